"""PMS5003 (and PMS7003, same protocol): PM1, PM2.5 and PM10 over UART 9600 8N1, asked in passive mode.

DS = Plantower "PMS5003 series data manual" V2.3 (2016). Promises the three concentrations "under atmospheric
environment" of one moment; the sensor's step is 1 ug/m3, the channels' 0.1. Leaves the counts alone: the size bins are
not sizes (Kuula 2020, Ouimette 2022), and so is PM10 a guess from smaller grains.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._uart import Dialogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "pms5003"

_MODE, _READ, _POWER = 0xE1, 0xE2, 0xE4  # DS appendix II: command byte
_REPLY_BYTES, _DATA_BYTES = 8, 32  # DS appendix I, II: length word 4 (a reply) or 28 (data), and four bytes more
_PM_WORDS_AT = 10  # DS appendix I: data 4 to 6, atmospheric; data 1 to 3 before them are "CF=1", for factories
_ERROR_AT = 29  # DS appendix I: low byte of data 13
_START_MS = 100  # the module starts after wake; not specified
_FIRST_MS = 80  # 7 bytes out and 32 back are 41 ms at 9600 baud; the sensor's own delay is not specified
_TIMEOUT_MS = 2500  # DS "output result": a sensor left in active mode speaks every 2.3 s at the latest


def command(number: int, value: int) -> bytes:
    """42 4D, command, two bytes of data, and the sum of all of them in two bytes (DS appendix II)."""
    body = bytes((0x42, 0x4D, number, value >> 8, value & 0xFF))
    return body + bytes((sum(body) >> 8, sum(body) & 0xFF))


class Frames:
    """42 4D, length, data, and the sum of everything before it (DS appendix I)."""

    HEAD = b"\x42\x4d"

    @staticmethod
    def size(data: bytes, at: int) -> int:
        if at + 4 > len(data):
            return 4
        size = (data[at + 2] << 8 | data[at + 3]) + 4
        return size if size in (_REPLY_BYTES, _DATA_BYTES) else 0

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        return None if sum(frame[:-2]) == frame[-2] << 8 | frame[-1] else "checksum"


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    CHANNELS = ("pm1", "pm2_5", "pm10")
    WARMUP_S = 30  # DS "circuit attentions" 4: stable data at least 30 s after wake

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._sleep_ms = sleep_ms
        self._line = Dialogue(MODEL, bus, sleep_ms, Frames, _TIMEOUT_MS)

    def wake(self) -> None:
        """Fan and laser on, then passive mode: wake is not answered, and the module may start in active mode."""
        self._line.tell(command(_POWER, 1))
        self._sleep_ms(_START_MS)
        self._order(_MODE, 0)

    def sample(self) -> tuple[int, int, int]:
        """PM1, PM2.5 and PM10 in 0.1 ug/m3; DS table 1: 0 to 500 is the effective range, 1000 the end."""
        frame = self._line.ask(command(_READ, 0), _is_data, _FIRST_MS)
        if not any(frame[4:30]):  # even in filtered air the version byte is not zero
            raise SensorError(MODEL, "all zero", frame)
        if frame[_ERROR_AT]:
            raise SensorError(MODEL, "error byte", frame)
        pm1, pm2_5, pm10 = [10 * (frame[at] << 8 | frame[at + 1]) for at in range(_PM_WORDS_AT, _PM_WORDS_AT + 6, 2)]
        return pm1, pm2_5, pm10

    def sleep(self) -> None:
        self._order(_POWER, 0)

    def _order(self, number: int, value: int) -> None:
        self._line.ask(
            command(number, value), lambda frame: len(frame) == _REPLY_BYTES and frame[4] == number, _FIRST_MS
        )


def _is_data(frame: bytes) -> bool:
    return len(frame) == _DATA_BYTES
