"""Senseair S8: CO2 by infrared, over UART 9600 8N1 with Modbus.

DS = Senseair TDE2067 "Modbus on Senseair S8" and PSP126 (S8 LP specification). Promises CO2 and the meter status, read
one right after the other. A status bit never drops the value: it becomes the flag "suspect" or "fail" beside it. Leaves
to others the baseline: by itself the sensor takes the lowest value of 180 h for 400 ppm; abc_hours(0) turns that off.
"""

from balise_node.drivers import SensorError
from balise_node.drivers._modbus import crc16
from balise_node.drivers._uart import Dialogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import UART, SleepMs

MODEL = "senseair_s8"

_ANY = 0xFE  # DS "general": every sensor answers to this address
_HOLDING, _INPUT, _WRITE, _REFUSED = 0x03, 0x04, 0x06, 0x80  # Modbus functions, and the bit of an exception
_STATUS, _CO2, _ABC = 0x00, 0x03, 0x1F  # DS register map: IR1, IR4, HR32
_STATUS_REGISTERS = 3  # with alarm and output status: an answer of another length than CO2's is no other's answer
_FAIL_BITS = 0x01 | 0x04 | 0x10 | 0x40  # DS IR1: fatal, algorithm, self-diagnostics, memory
_SUSPECT_BITS = 0x02 | 0x08 | 0x20  # DS IR1: offset regulation, output, out of range
_WRITE_BYTES, _REFUSAL_BYTES = 8, 5
_FIRST_MS = 120  # 8 bytes out and 11 back are 20 ms at 9600 baud; the sensor's own delay is not specified
_TIMEOUT_MS = 1000


def command(function: int, register: int, value: int) -> bytes:
    """Any sensor, function, register, how many or what, CRC with its low byte first (DS "Modbus frame")."""
    body = bytes((_ANY, function, register >> 8, register & 0xFF, value >> 8, value & 0xFF))
    crc = crc16(body)
    return body + bytes((crc & 0xFF, crc >> 8))


class Frames:
    """FE, function, then registers by their count, or what was written, or a refusal; CRC (DS "Modbus frame")."""

    HEAD = b"\xfe"

    @staticmethod
    def size(data: bytes, at: int) -> int:
        if at + 3 > len(data):
            return _REFUSAL_BYTES
        function, count = data[at + 1], data[at + 2]
        if function == _WRITE:
            return _WRITE_BYTES
        if function in (_HOLDING | _REFUSED, _INPUT | _REFUSED, _WRITE | _REFUSED):
            return _REFUSAL_BYTES
        return count + 5 if function in (_HOLDING, _INPUT) and count in (2, 2 * _STATUS_REGISTERS) else 0

    @staticmethod
    def fault(frame: bytes) -> "str | None":
        return None if crc16(frame[:-2]) == frame[-2] | frame[-1] << 8 else "checksum"


class Sensor:
    MODEL = MODEL
    BUS = "uart"
    CHANNELS = ("co2", "senseair_s8_status")
    WARMUP_S = 10  # it measures every 4 s (PSP126)

    def __init__(self, bus: "UART", sleep_ms: "SleepMs") -> None:
        self._line = Dialogue(MODEL, bus, sleep_ms, Frames, _TIMEOUT_MS)
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Nothing to do: it has no sleep."""

    def sample(self) -> tuple[int, int]:
        """ppm (PSP126: 400 to 2000, extended 10000), and the meter status."""
        co2 = self._registers(_INPUT, _CO2, 1)
        status = self._registers(_INPUT, _STATUS, _STATUS_REGISTERS)
        flag = 4 if status & _FAIL_BITS else 3 if status & _SUSPECT_BITS else 0
        self.flags = {0: flag} if flag else {}
        return co2, status

    def sleep(self) -> None:
        """Nothing to do: no command does it."""

    def abc_hours(self, hours: "int | None" = None) -> int:
        """The period of the sensor's self-calibration; 4 to 4800 sets it, 0 turns it off, None only asks."""
        if hours is not None:
            self._ask(command(_WRITE, _ABC, hours), _WRITE_BYTES)
        return self._registers(_HOLDING, _ABC, 1)

    def _registers(self, function: int, register: int, count: int) -> int:
        """The first of so many registers."""
        frame = self._ask(command(function, register, count), 2 * count + 5)
        return frame[3] << 8 | frame[4]

    def _ask(self, question: bytes, size: int) -> bytes:
        function = question[1]
        frame = self._line.ask(
            question,
            lambda frame: frame[1] == function | _REFUSED or (frame[1] == function and len(frame) == size),
            _FIRST_MS,
        )
        if frame[1] & _REFUSED:
            raise SensorError(MODEL, "refused", frame)
        return frame
