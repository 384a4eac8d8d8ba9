"""RTC, WDT and Timer.

Promises: timers fire inside calls and waits, in order of due time; the host ends the boot when the watchdog is not
fed in time; the real-time clock runs on through resets and forgets at a power cut, as the board's does.
"""

import time

import _bridge
from micropython import const

_START, _FEED = const(1), const(0)
_SET, _REMEMBER = const(1), const(2)


class RTC:
    def __init__(self, id=0, datetime=None):
        if datetime is not None:
            self.init(datetime)

    def init(self, datetime):
        year, month, day, hour, minute, second = (list(datetime) + [0] * 6)[:6]
        self.datetime((year, month, day, 0, hour, minute, second, 0))

    def datetime(self, datetimetuple=None):
        """(year, month, day, weekday, hours, minutes, seconds, microseconds)."""
        if datetimetuple is None:
            seconds, us = divmod(_bridge.look() + _bridge.rtc_us, 1000000)
            year, month, day, hour, minute, second, weekday, _ = time.gmtime(seconds)
            return (year, month, day, weekday, hour, minute, second, us)
        year, month, day, _, hour, minute, second, us = datetimetuple
        seconds = time.mktime((year, month, day, hour, minute, second, 0, 0))
        _bridge.rtc_us = seconds * 1000000 + us - _bridge.now_us
        _bridge.call(_bridge.CLOCK, 0, _SET, _bridge.rtc_us)
        return None

    def memory(self, data=None):
        """Bytes that outlive a deep sleep."""
        _bridge.call(_bridge.CLOCK, 0, 0 if data is None else _REMEMBER, 0, b"" if data is None else data)
        return _bridge.reply() if data is None else None


class WDT:
    def __init__(self, id=0, timeout=5000):
        _bridge.call(_bridge.WATCHDOG, 0, _START, timeout)

    def feed(self):
        _bridge.call(_bridge.WATCHDOG, 0, _FEED)


class Timer:
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id=-1, **options):
        self._id = id
        self._callback = None
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, period=-1, freq=-1, tick_hz=1000, callback=None, hard=False):
        self.deinit()
        self._period_us = 1000000 // freq if freq > 0 else period * 1000000 // tick_hz
        if self._period_us <= 0:
            raise ValueError("timer period must be above 0")
        self._mode = mode
        self._callback = callback
        self.due_us = _bridge.now_us + self._period_us
        _bridge.timers.append(self)

    def deinit(self):
        if self in _bridge.timers:
            _bridge.timers.remove(self)

    def fire(self):
        """Runs the callback; called by the bridge when `due_us` has come."""
        if self._mode == Timer.PERIODIC:
            self.due_us += self._period_us
        else:
            self.deinit()
        if self._callback:
            self._callback(self)
