"""NextPM: masses and counts of dust over UART 115200 8E1, by the maker's simple protocol.

DS = Tera Sensor "NextPM User Guide" V3.6 (2021-07-02), "simplified serial port communication". Promises the means of
the last 10 s (or as many as `average_s` says) and the state byte they came with. A state bit never drops a value: it
becomes the flag "suspect" or "fail" beside all of them. Leaves to others the humidity correction, and the thermometer
inside the housing: inside() gives it as the sensor does.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._uart import Dialogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "nextpm"

_ADDRESS = 0x81  # DS "send a command"
_AVERAGES = {10: 0x11, 60: 0x12, 900: 0x13}  # DS "command frame 0x11, 0x12 and 0x13": seconds
_INSIDE, _POWER, _STATE, _FIRMWARE, _FAN = 0x14, 0x15, 0x16, 0x17, 0x21  # DS: a chapter for each
_SIZES = b"\x10\x10\x10\x08\x04\x04\x06"  # of the answers to 11 to 17
_FAN_BYTES = 5
_ASLEEP = 0x01  # DS "state code": bit 0
_NOT_READY = 0x04
_FAIL_BITS = 0x01 | 0x04 | 0x20 | 0x80  # asleep, not ready, fan, laser: nothing was measured, or not with this air
_SUSPECT_BITS = 0x02 | 0x08 | 0x10 | 0x40  # degraded, heater, thermometer, memory
_FIRST_MS = 400  # DS "NextPM responses": after more than 350 ms
_TIMEOUT_MS = 1500


def command(*values: int) -> bytes:
    """81, the command, its value if it has one, and what makes the sum of all zero (DS "send a command")."""
    body = bytes((_ADDRESS,) + values)  # noqa: RUF005 - MicroPython has no star in a tuple
    return body + bytes((-sum(body) & 0xFF,))


class Frames:
    """81, the command, the state byte, data, and what makes the sum of all zero (DS "NextPM responses")."""

    HEAD = b"\x81"

    @staticmethod
    def size(data: bytes, at: int) -> int:
        if at + 1 == len(data):
            return 4
        if data[at + 1] == _FAN:
            return _FAN_BYTES
        index = data[at + 1] - 0x11
        return _SIZES[index] if 0 <= index < len(_SIZES) else 0

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        return "checksum" if sum(frame) & 0xFF else None


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    LINE = {"baudrate": 115200, "parity": 0}  # noqa: RUF012 - DS "serial port configuration": 8 bits, even, 1 stop bit
    CHANNELS = ("pm1", "pm2_5", "pm10", "n1_per_cm3", "n2_5_per_cm3", "n10_per_cm3", "nextpm_status")
    WARMUP_S = 16  # DS "state code", bit 2: first data 15 s after wake

    def __init__(self, bus: "UART", sleep_ms: "SleepMs", average_s: int = 10) -> None:
        """`average_s` is 10, 60 or 900; the longer ones are for a sensor that never rests."""
        self._line = Dialogue(MODEL, bus, sleep_ms, Frames, _TIMEOUT_MS)
        self._read = _AVERAGES[average_s]
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Fan and laser on. There is no command for it but one that turns sleep into work and work into sleep."""
        if self._ask(_STATE)[2] & _ASLEEP:
            self._ask(_POWER)

    def sample(self) -> tuple[int, ...]:
        """0.1 ug/m3, 0.001 per cm3 (DS: pieces per litre) of grains up to 1, 2.5 and 10 um, and the state byte."""
        frame = self._line.ask(command(self._read), lambda frame: frame[1] in (self._read, _STATE), _FIRST_MS)
        state = frame[2]
        if frame[1] == _STATE:  # DS "NextPM responses": the state alone, when there are no data
            raise SensorError(MODEL, "warming up" if state & _NOT_READY else "refused", frame)
        words = [frame[at] << 8 | frame[at + 1] for at in range(3, 15, 2)]
        flag = 4 if state & _FAIL_BITS else 3 if state & _SUSPECT_BITS else 0
        self.flags = dict.fromkeys(range(len(words)), flag) if flag else {}
        return tuple(words[3:] + words[:3] + [state])

    def sleep(self) -> None:
        """Fan and laser off."""
        if not self._ask(_STATE)[2] & _ASLEEP:
            self._ask(_POWER)

    def inside(self) -> tuple[int, int]:
        """1/100 Cel and 1/100 %RH in the housing; outside it is (DS) T = 0.9754 x - 4.2488, RH = 1.1768 x - 4.727."""
        frame = self._ask(_INSIDE)
        return frame[3] << 8 | frame[4], frame[5] << 8 | frame[6]

    def firmware(self) -> int:
        """The number of the sensor's own program, such as 1047 in hexadecimal digits."""
        frame = self._ask(_FIRMWARE)
        return frame[3] << 8 | frame[4]

    def fan_pct(self, ratio_pct: int = 0) -> int:
        """The fan's duty; 30 to 100 sets it, 0 only asks."""
        return self._ask(_FAN, ratio_pct)[3]

    def _ask(self, *values: int) -> bytes:
        return self._line.ask(command(*values), lambda frame: frame[1] == values[0], _FIRST_MS)
