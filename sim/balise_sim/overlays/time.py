"""`time` of the board: its epoch, its wrapping ticks, its clock that only the world moves.

Leaves to others: setting the clock (machine.RTC).
"""

import _bridge
from _bridge import look, pause

_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAY_S = 86400
_TICKS_PERIOD = _bridge.settings["ticks_period"]
_TICKS_MASK = _TICKS_PERIOD - 1
_TICKS_HALF = _TICKS_PERIOD // 2
_EPOCH_YEAR = _bridge.settings["epoch_year"]


def ticks_ms():
    return look() // 1000 & _TICKS_MASK


def ticks_us():
    return look() & _TICKS_MASK


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    if not -_TICKS_HALF < delta < _TICKS_HALF:
        raise OverflowError("ticks interval overflow")
    return ticks + delta & _TICKS_MASK


def ticks_diff(ticks1, ticks2):
    return (ticks1 - ticks2 + _TICKS_HALF & _TICKS_MASK) - _TICKS_HALF


def sleep(seconds):
    pause(max(0, int(seconds * 1000000)))


def sleep_ms(ms):
    pause(max(0, ms * 1000))


def sleep_us(us):
    pause(max(0, us))


def time():
    return (look() + _bridge.rtc_us) // 1000000


def time_ns():
    return (look() + _bridge.rtc_us) * 1000


def _leap_days_before(year):
    year -= 1
    return year // 4 - year // 100 + year // 400


_FIRST_WEEKDAY = ((_EPOCH_YEAR - 1) * 365 + _leap_days_before(_EPOCH_YEAR)) % 7  # 1 January of year 1 was a Monday, 0


def _is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _day_number(year):
    """Days from the board's epoch to 1 January of the year."""
    return (year - _EPOCH_YEAR) * 365 + _leap_days_before(year) - _leap_days_before(_EPOCH_YEAR)


def gmtime(secs=None):
    """(year, month, day, hour, minute, second, weekday, yearday): eight fields, as on a board."""
    seconds = time() if secs is None else int(secs)
    days, seconds = divmod(seconds, _DAY_S)
    year = _EPOCH_YEAR + days // 366
    while _day_number(year + 1) <= days:
        year += 1
    yearday = days - _day_number(year)
    month = 12
    while month > 1 and yearday < _month_start(year, month):
        month -= 1
    weekday = (days + _FIRST_WEEKDAY) % 7
    day = yearday - _month_start(year, month) + 1
    return (year, month, day, seconds // 3600, seconds // 60 % 60, seconds % 60, weekday, yearday + 1)


localtime = gmtime


def _month_start(year, month):
    return _DAYS_BEFORE_MONTH[month - 1] + (1 if month > 2 and _is_leap(year) else 0)


def mktime(local_time):
    year, month, day, hour, minute, second = local_time[:6]
    days = _day_number(year) + _month_start(year, month) + day - 1
    return days * _DAY_S + hour * 3600 + minute * 60 + second
