"""SDS011: PM2.5 and PM10 by laser scattering, over UART 9600 8N1, asked in query mode.

PR = Nova Fitness "Laser Dust Sensor Control Protocol" V1.3 (2015-07-20); DS = "SDS011 specification" V1.3 (2015-10-09).
Promises both values of one moment in 0.1 ug/m3, the sensor's own step. Leaves to others the humidity correction and
how long the laser may run (DS: 8000 h).
Where the sensor disagrees with PR 3.4 ("any command wakes it"): asleep it ignores all but the work command, and many a
unit answers that one with five bytes of nothing; asked again, it answers as PR says.
Reporting mode and working period outlive a power cut, so a sensor that had another life is set right at the first wake.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._uart import Dialogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "sds011"

_DATA, _REPLY = 0xC0, 0xC5  # PR 3: second byte of a data frame, and of the reply to any other command
_MODE, _QUERY, _ID, _POWER, _FIRMWARE, _PERIOD = 2, 4, 5, 6, 7, 8  # PR 3.1 to 3.6: first byte of a command's body
_SET = 1  # PR 3.1, 3.4, 3.5: second byte, 0 asks and 1 sets
_FRAME_BYTES = 10  # PR 3
_FIRST_MS = 80  # 19 bytes out and 10 back are 31 ms at 9600 baud; the sensor's own delay is not specified
_TIMEOUT_MS = 1100  # DS: one measurement a second, so a sensor in active mode has spoken as well by then


def command(number: int, *values: int) -> bytes:
    """AA B4, 15 bytes of body that end in FF FF (every sensor), low byte of the body's sum, AB (PR 1)."""
    body = bytes((number,) + values + (0,) * (12 - len(values)) + (0xFF, 0xFF))
    return b"\xaa\xb4" + body + bytes((sum(body) & 0xFF, 0xAB))


class Frames:
    """AA C0 or AA C5, six bytes, low byte of their sum, AB (PR 3)."""

    HEAD = b"\xaa"

    @staticmethod
    def size(data: bytes, at: int) -> int:
        if at + 1 < len(data) and data[at + 1] not in (_DATA, _REPLY):
            return 0
        return _FRAME_BYTES

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        if frame[9] != 0xAB:
            return "tail"
        return None if sum(frame[2:8]) & 0xFF == frame[8] else "checksum"


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    CHANNELS = ("pm2_5", "pm10")
    WARMUP_S = 30  # PR 3.4: "the data is stable when the sensor works after 30 seconds"

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._line = Dialogue(MODEL, bus, sleep_ms, Frames, _TIMEOUT_MS)
        self._is_set_up = False
        self.device_id: int | None = None  # of the last sample: another number is another sensor

    def wake(self) -> None:
        """Fan and laser on; the first time also query mode, and no working period of its own (PR 3.1, 3.5)."""
        try:
            self._order(_POWER, _SET, 1)
        except SensorError:
            self._order(_POWER, _SET, 1)
        if not self._is_set_up:
            self.speaks_unasked(False)
            self.period_min(0)
            self._is_set_up = True

    def sample(self) -> tuple[int, int]:
        """PM2.5 and PM10 in 0.1 ug/m3 (PR 3.2); DS: 0 to 999.9."""
        frame = self._line.ask(command(_QUERY), _is_data, _FIRST_MS)
        self.device_id = frame[6] << 8 | frame[7]
        return frame[2] | frame[3] << 8, frame[4] | frame[5] << 8

    def sleep(self) -> None:
        """Fan and laser off. The answer is awaited: a laser left on by a lost command burns its 8000 h."""
        self._order(_POWER, _SET, 0)

    def firmware(self) -> tuple[int, int, int]:
        """Year, month and day of the sensor's own program (PR 3.6)."""
        reply = self._order(_FIRMWARE)
        return reply[3], reply[4], reply[5]

    def speaks_unasked(self, on: "bool | None" = None) -> bool:
        """Reporting mode (PR 3.1): a frame a second, or only when asked; None only asks which."""
        return self._setting(_MODE, None if on is None else not on) == 0

    def period_min(self, minutes: "int | None" = None) -> int:
        """Working period (PR 3.5): 0 works all the time, 1 to 30 works 30 s in so many minutes; None only asks."""
        return self._setting(_PERIOD, minutes)

    def set_id(self, device_id: int) -> None:
        """Another id of two bytes, for good (PR 3.3)."""
        self._order(_ID, *([0] * 10), device_id >> 8, device_id & 0xFF)

    def _setting(self, number: int, value: "int | None") -> int:
        return self._order(number)[4] if value is None else self._order(number, _SET, value)[4]

    def _order(self, number: int, *values: int) -> bytes:
        return self._line.ask(
            command(number, *values), lambda frame: frame[1] == _REPLY and frame[2] == number, _FIRST_MS
        )


def _is_data(frame: bytes) -> bool:
    return frame[1] == _DATA
