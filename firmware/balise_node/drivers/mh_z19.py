"""MH-Z19 (and MH-Z19B, same commands): CO2 by infrared, over UART 9600 8N1.

DS = Winsen "MH-Z19B user's manual" V1.0. Promises CO2 and the temperature on its board at one moment. Leaves to
others the baseline: by itself the sensor takes the lowest value of each day for 400 ppm, which is right only in rooms
that are aired; set_baseline(False) turns that off.
The temperature byte is not in DS; it is known from many drivers, and only good for a whole degree.
"""

from balise_node.drivers._uart import Dialogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "mh_z19"

_READ, _ZERO, _BASELINE = 0x86, 0x87, 0x79  # DS "commands": gas concentration, zero point, self-calibration
_ON, _OFF = 0xA0, 0x00
_FRAME_BYTES = 9
_TEMPERATURE_OFFSET = 40
_FIRST_MS = 60  # 9 bytes out and 9 back are 19 ms at 9600 baud; the sensor's own delay is not specified
_TIMEOUT_MS = 1000


def command(number: int, value: int = 0) -> bytes:
    """FF 01, command, value, four zeros, and 100 minus the sum of all but the first (DS "checksum")."""
    body = bytes((1, number, value, 0, 0, 0, 0))
    return b"\xff" + body + bytes((-sum(body) & 0xFF,))


class Frames:
    """FF, the command that is answered, six bytes, and 100 minus the sum of all but the first (DS "checksum")."""

    HEAD = b"\xff"

    @staticmethod
    def size(data: bytes, at: int) -> int:
        return _FRAME_BYTES if at + 1 == len(data) or data[at + 1] in (_READ, _BASELINE) else 0

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        return "checksum" if sum(frame[1:]) & 0xFF else None


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    CHANNELS = ("co2", "board_temperature")
    WARMUP_S = 180  # DS table 1: preheat time 3 min

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._line = Dialogue(MODEL, bus, sleep_ms, Frames, _TIMEOUT_MS)

    def wake(self) -> None:
        """Nothing to do: it has no sleep, and stays warm."""

    def sample(self) -> tuple[int, int]:
        """ppm (DS table 1: to 2000 or 5000), and 1/100 Cel in whole degrees."""
        frame = self._line.ask(command(_READ), lambda frame: frame[1] == _READ, _FIRST_MS)
        return frame[2] << 8 | frame[3], 100 * (frame[4] - _TEMPERATURE_OFFSET)

    def sleep(self) -> None:
        """Nothing to do: no command does it."""

    def set_baseline(self, on: bool) -> None:
        """The sensor's self-calibration; on after power on. Some units answer, DS says that none does."""
        self._line.tell(command(_BASELINE, _ON if on else _OFF))

    def zero(self) -> None:
        """What it sees now is 400 ppm. DS: only after 20 min in outside air; nothing is answered."""
        self._line.tell(command(_ZERO))
