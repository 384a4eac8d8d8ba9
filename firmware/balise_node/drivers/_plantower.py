"""What all Plantower dust sensors share: commands, frames of several lengths, and what their words mean.

Promises the masses, counts and status of one frame as scaled integers. Leaves to the drivers which words their model
has. Frames are told apart by their length word alone: 20, 28 and 36 belong to parts that are sold (PMS3003, PMS5003,
PMS5003ST); of 24 we know no part, and read it because the word allows it.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MASSES = ("pm1", "pm2_5", "pm10", "pm1_cf1", "pm2_5_cf1", "pm10_cf1")
COUNTS = (
    "n_gt0_3_per_cm3",
    "n_gt0_5_per_cm3",
    "n_gt1_per_cm3",
    "n_gt2_5_per_cm3",
    "n_gt5_per_cm3",
    "n_gt10_per_cm3",
)
COUNTS_FINE = COUNTS[:4]  # of a PMS5003T
FAIL = 4  # QARTOD

_MODE, _READ, _POWER = 0xE1, 0xE2, 0xE4  # DS (PMS5003) appendix II: command byte
_REPLY_BYTES = 8  # length word 4 and four bytes more
_DATA_BYTES = (24, 28, 32, 40)
_COUNTS_AT = 16  # DS appendix I: data 7
_START_MS = 100  # the module starts after wake; not specified
_FIRST_MS = 80  # 7 bytes out and 40 back are 49 ms at 9600 baud; the sensor's own delay is not specified
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
        return size if size == _REPLY_BYTES or size in _DATA_BYTES else 0

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        return None if sum(frame[:-2]) == frame[-2] << 8 | frame[-1] else "checksum"


def word(frame: bytes, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]


def signed(frame: bytes, at: int) -> int:
    return (word(frame, at) ^ 0x8000) - 0x8000


def masses(model: str, frame: bytes) -> list[int]:
    """Data 4 to 6 ("atmospheric"), then 1 to 3 ("CF=1"), in 0.1 ug/m3 (DS appendix I).

    A frame without anything in it is no measurement of clean air: there the version or a reserved word is not zero.
    """
    if not any(frame[4:-2]):
        raise SensorError(model, "all zero", frame)
    return [10 * word(frame, at) for at in (10, 12, 14, 4, 6, 8)]


def counts(frame: bytes, how_many: int) -> list[int]:
    """Particles larger than 0.3, 0.5, 1, ... um in 0.1 l, which is 0.01 per cm3 (DS appendix I: data 7 and on)."""
    return [word(frame, _COUNTS_AT + 2 * i) for i in range(how_many)]


def doubts(status: int, how_many: int) -> dict[int, int]:
    """The flags of a frame's first values: all fail while the error byte, the low one of the status, is not zero."""
    return dict.fromkeys(range(how_many), FAIL) if status & 0xFF else {}


class Serial:
    """A Plantower sensor on a UART, asked in passive mode; one that is left in active mode is read as well."""

    BUS = "uart"
    WARMUP_S = 30  # DS "circuit attentions" 4: stable data at least 30 s after wake

    MODEL = ""
    _BYTES = 32

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        from balise_node.drivers._uart import Dialogue  # here: a sensor on I2C uses this module without it

        self._sleep_ms = sleep_ms
        self._line = Dialogue(self.MODEL, bus, sleep_ms, Frames, _TIMEOUT_MS)
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Fan and laser on, then passive mode: wake is not answered, and the module may start in active mode."""
        self._line.tell(command(_POWER, 1))
        self._sleep_ms(_START_MS)
        self._order(_MODE, 0)

    def sleep(self) -> None:
        """Fan and laser off (DS appendix II)."""
        self._order(_POWER, 0)

    def _frame(self) -> bytes:
        """A data frame of this moment."""
        return self._line.ask(command(_READ, 0), self._is_data, _FIRST_MS)

    def _order(self, number: int, value: int) -> None:
        self._line.ask(
            command(number, value), lambda frame: len(frame) == _REPLY_BYTES and frame[4] == number, _FIRST_MS
        )

    def _is_data(self, frame: bytes) -> bool:
        return len(frame) == self._BYTES
