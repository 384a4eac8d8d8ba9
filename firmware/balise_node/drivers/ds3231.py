"""DS3231: a clock that keeps UTC without the board's power, and the temperature of its own case.

DS = Maxim/Analog Devices DS3231 data sheet 19-5170, revision 10 (2015-03). Promises the temperature of a conversion
that began with the call, the status register, and UTC in seconds or None when the clock has stopped since it was set.
Leaves to others what the board's clock makes of it. The case is warmed by the board: this is no air temperature.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "ds3231"

_TIME, _CONTROL, _STATUS = 0x00, 0x0E, 0x0F  # DS figure 1
_STOPPED_ON_BATTERY, _CONVERT = 0x80, 0x20  # DS "control register": EOSC, CONV
_OSCILLATOR_STOPPED, _BUSY = 0x80, 0x04  # DS "status register": OSF, BSY
_CONVERT_MS = 200  # DS "AC electrical characteristics": t_CONV, at most
_LOOKS = 3
_DAY_S = 86400
_DAYS_TO_2000 = 10957  # from 1970
_DAYS_IN_4_YEARS = 1461
_LAST_DAY = 36524  # from 2000: the chip takes 2100 for a leap year, which it is not
_MONTH_ENDS = (31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366)  # of a leap year, as 2000 was


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("board_temperature", "ds3231_status")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x68) -> None:
        self._registers = Registers(MODEL, bus, address)
        self._sleep_ms = sleep_ms

    def wake(self) -> None:
        """Nothing to do: the clock runs."""

    def sample(self) -> tuple[int, int]:
        """1/100 Cel (-4000 to 8500 in steps of 25), and the status register as DS numbers its bits."""
        registers = self._registers.read(_CONTROL, 2)
        for _ in range(_LOOKS):  # DS "control register": no conversion is asked for while one runs
            if not registers[1] & _BUSY:
                break
            self._sleep_ms(_CONVERT_MS)
            registers = self._registers.read(_CONTROL, 2)
        self._registers.write(_CONTROL, bytes((registers[0] & ~_STOPPED_ON_BATTERY | _CONVERT,)))
        self._sleep_ms(_CONVERT_MS)
        registers = self._registers.read(_CONTROL, 5)
        if registers[0] & _CONVERT or registers[1] & _BUSY:
            raise SensorError(MODEL, "not ready", registers)
        quarters = (registers[3] << 2 | registers[4] >> 6) - (registers[3] >> 7 << 10)
        return quarters * 25, registers[1]

    def sleep(self) -> None:
        """Nothing to do: the clock runs."""

    def utc_s(self) -> "int | None":
        """Seconds since 1970, UTC; None when the clock stopped since it was set (OSF), or was never set."""
        status = self._registers.read(_STATUS, 1)
        if status[0] & _OSCILLATOR_STOPPED:
            return None
        time = self._registers.read(_TIME, 7)
        seconds, minutes, hours = _plain(time[0]), _plain(time[1]), _hour(time[2])
        day, month, years = _plain(time[4]), _plain(time[5] & 0x7F), _plain(time[6])
        if not (seconds < 60 and minutes < 60 and hours < 24 and 0 < day <= 31 and 0 < month <= 12 and years < 100):
            raise SensorError(MODEL, "bad answer", time)
        days = _days(years, month, day) + _DAYS_TO_2000
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    def set_utc_s(self, utc_s: int) -> None:
        """Sets the clock, in 24-hour mode, and says that it runs (OSF cleared). From 2000 to 2099."""
        days, rest = divmod(utc_s, _DAY_S)
        days -= _DAYS_TO_2000
        if not 0 <= days <= _LAST_DAY:
            raise SensorError(MODEL, "out of range")
        years, month, day = _date(days)
        fields = rest % 60, rest // 60 % 60, rest // 3600, (days + 5) % 7 + 1, day, month, years  # a Saturday was first
        self._registers.write(_TIME, bytes([field // 10 << 4 | field % 10 for field in fields]))
        status = self._registers.read(_STATUS, 1)
        self._registers.write(_STATUS, bytes((status[0] & ~_OSCILLATOR_STOPPED,)))


def _plain(coded: int) -> int:
    """Of two decimal digits; what is none is more than any field may be."""
    tens, ones = coded >> 4, coded & 15
    return tens * 10 + ones if tens < 10 > ones else 255


def _hour(coded: int) -> int:
    """DS figure 1: bit 6 says 12-hour mode, where bit 5 says PM."""
    if not coded & 0x40:
        return _plain(coded)
    hour = _plain(coded & 0x1F)
    return hour % 12 + (12 if coded & 0x20 else 0) if 0 < hour <= 12 else 255


def _days(years: int, month: int, day: int) -> int:
    """Days since 2000-01-01."""
    leap = years % 4 == 0
    before = _MONTH_ENDS[month - 2] if month > 1 else 0
    return years * 365 + (years + 3) // 4 + before - (0 if leap or month < 3 else 1) + day - 1


def _date(days: int) -> tuple[int, int, int]:
    """Years since 2000, month and day."""
    years, at = days // _DAYS_IN_4_YEARS * 4, days % _DAYS_IN_4_YEARS
    if at >= 366:
        years, at = years + 1 + (at - 366) // 365, (at - 366) % 365
        at += 1 if at >= 59 else 0  # as in a leap year
    month = 0
    while at >= _MONTH_ENDS[month]:
        month += 1
    return years, month + 1, at - (_MONTH_ENDS[month - 1] if month else 0) + 1
