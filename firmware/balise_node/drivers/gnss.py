"""A satellite receiver: position, altitude and UTC from NMEA 0183 sentences over UART 9600 8N1, as it speaks by itself.

DS = u-blox 8 / M8 Receiver Description UBX-13003221, "NMEA messages" GGA and RMC; whoever speaks NMEA 0183 will do,
with any talker (GP, GN, GL, ...). Promises the values of one second that began after the call, from a GGA and a RMC of
the same time; None for a position that there is not. Leaves to others to keep the antenna in sight of the sky.
gnss_status is GGA's quality (0 no fix, 1 GNSS, 2 with corrections, 4 and 5 RTK, 6 dead reckoning, 7 by hand, 8
simulated) and 16 when RMC says that the data are valid. A position of quality 6 to 8, or one that RMC calls invalid, is
suspect.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "gnss"

_LOOK_MS, _TIMEOUT_MS = 100, 2500  # DS: a report each second; two may be spoilt by the moment at which we begin
_KEEP_BYTES = 1024
_MOST_BYTES = 120  # NMEA 0183 has 82 at most, receivers with many digits a few more
_VALID = 16
_SUSPECT = 3
# GPS counts its weeks in ten bits (IS-GPS-200 20.3.3.3.1.1), so an old receiver is 1024 weeks late; no receiver of ours
# hears a day before this was written
_OLDEST_S, _ROLLOVER_S = 1_767_225_600, 1024 * 7 * 86400
_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_HEX = b"0123456789ABCDEF"


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    CHANNELS = ("latitude", "longitude", "altitude", "satellites", "gnss_status")
    WARMUP_S = 0

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._bus = bus
        self._sleep_ms = sleep_ms
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Nothing to do: the receiver works when it has power. It may need a minute for its first fix."""

    def sample(self) -> "tuple[int | None, ...]":
        """Microdegrees north and east, decimetres above the sea, satellites in use, and the status (see above)."""
        gga, rmc = self._heard((b"GGA", b"RMC"))
        quality, satellites = _number(gga, 6) or 0, _number(gga, 7)
        if quality > 8:
            raise _odd(gga)
        status = quality | (_VALID if _field(rmc, 2) == b"A" else 0)
        self.flags = {}
        if not quality:
            return None, None, None, satellites, status
        if quality > 5 or not status & _VALID:
            self.flags = {0: _SUSPECT, 1: _SUSPECT, 2: _SUSPECT}
        return _degrees(gga, 2, b"NS", 90), _degrees(gga, 4, b"EW", 180), _number(gga, 9, 1), satellites, status

    def sleep(self) -> None:
        """Nothing to do: how to let a receiver rest is its maker's own language."""

    def utc_s(self) -> "int | None":
        """Seconds since 1970 at the last full second, or None without a fix (RMC not valid).

        A leap second, 23:59:60, is the second after it, as POSIX counts. A receiver that has not heard how many leap
        seconds there are yet may be wrong by some: DS says it takes 12.5 minutes of view at most.
        """
        (rmc,) = self._heard((b"RMC",))
        if _field(rmc, 2) != b"A":
            return None
        date, time = _number(rmc, 9), _number(rmc, 1)
        if date is None or time is None:
            return None
        day, month, year = date // 10000, date // 100 % 100, 2000 + date % 100
        hour, minute, second = time // 10000, time // 100 % 100, time % 100
        if not (0 < day <= 31 and 0 < month <= 12 and hour < 24 and minute < 60 and second <= 60):
            raise _odd(rmc)
        days = (year - 1970) * 365 + (year - 1969) // 4 + _DAYS_BEFORE_MONTH[month - 1] + day - 1
        days += 1 if year % 4 == 0 and month > 2 else 0  # right from 2000 to 2099
        utc_s = ((days * 24 + hour) * 60 + minute) * 60 + second
        while utc_s < _OLDEST_S:
            utc_s += _ROLLOVER_S
        return utc_s

    def _heard(self, wanted: tuple[bytes, ...]) -> "list[list[bytes]]":
        """The fields of a sentence of each wanted kind, all of the same time, none begun before the call."""
        self._bus.read()
        data, fault = b"", "silent"
        found: dict[bytes, list[bytes]] = {}
        for _ in range(_TIMEOUT_MS // _LOOK_MS):
            self._sleep_ms(_LOOK_MS)
            came = self._bus.read() or b""
            sentences, data, damaged = _cut((data + came)[-_KEEP_BYTES:])
            for fields in sentences:
                found[fields[0][-3:]] = fields
                same = [found[kind] for kind in wanted if kind in found and _field(found[kind], 1) == _field(fields, 1)]
                if len(same) == len(wanted):
                    return same
            if damaged or fault == "checksum":
                fault = "checksum"
            elif sentences or fault == "unasked":
                fault = "unasked"
            elif came:
                fault = "garbage"
        raise SensorError(MODEL, fault, data[:_MOST_BYTES])


def _cut(data: bytes) -> "tuple[list[list[bytes]], bytes, bool]":
    """The fields of all sound sentences, what may become one, and whether one had a wrong checksum.

    NMEA 0183: $, fields with commas between, *, and the exclusive or of all bytes between in two hex digits.
    """
    sound: list[list[bytes]] = []
    damaged = False
    start = data.find(b"$")
    while start >= 0:
        end, following = data.find(b"*", start), data.find(b"$", start + 1)
        if following >= 0 and not 0 <= end < following:  # it breaks off, and another begins
            start = following
            continue
        if end < 0 or end + 3 > len(data):
            return sound, data[start:] if len(data) - start < _MOST_BYTES else b"", damaged
        check = 0
        for byte in data[start + 1 : end]:
            check ^= byte
        if data[end + 1 : end + 3].upper() == bytes((_HEX[check >> 4], _HEX[check & 15])):
            sound.append(data[start + 1 : end].split(b","))
        else:
            damaged = True
        start = following
    return sound, b"", damaged


def _field(fields: "list[bytes]", at: int) -> bytes:
    return fields[at] if at < len(fields) else b""


def _odd(fields: "list[bytes]") -> SensorError:
    return SensorError(MODEL, "bad answer", b",".join(fields))


def _number(fields: "list[bytes]", at: int, decimals: int = 0) -> "int | None":
    """A field such as -12.34 as an integer of so many decimals, the rest cut off; None when it is empty."""
    text = _field(fields, at)
    if not text:
        return None
    sign = -1 if text[:1] == b"-" else 1
    whole, _, part = (text[1:] if sign < 0 else text).partition(b".")
    digits = whole + (part + b"0" * decimals)[:decimals]
    if not whole.isdigit() or not (part or b"0").isdigit() or len(whole) > 6:
        raise _odd(fields)
    return sign * int(digits)


def _degrees(fields: "list[bytes]", at: int, sides: bytes, most: int) -> int:
    """A field such as 4717.11399 (degrees, and minutes in two digits and more) and its side, as microdegrees."""
    whole, _, part = _field(fields, at).partition(b".")
    side = sides.find(_field(fields, at + 1) or b"?")
    minutes = whole[-2:] + (part + b"0000000")[:7]
    if side < 0 or len(whole) > 5 or not whole[:-2].isdigit() or not minutes.isdigit():
        raise _odd(fields)
    microdegrees = int(whole[:-2]) * 1000000 + (int(minutes) + 300) // 600
    if microdegrees > most * 1000000:
        raise _odd(fields)
    return -microdegrees if side else microdegrees
