"""PMSA003I: masses and counts of dust over I2C, the frame of a PMS5003 as 32 registers.

DS = Plantower "PMSA003I data manual" V2.6. Promises six mass concentrations, six counts and the version and
error bytes as the sensor has them when it is asked; it measures about once a second. While the error byte is not zero,
the values are given all the same, with the flag "fail". Leaves to others rest and wake, which only its SET pin can do,
and what the numbers are worth: the size bins are not sizes (Kuula 2020, Ouimette 2022).
"""

from balise_node.drivers import SensorError
from balise_node.drivers._i2c import Registers
from balise_node.drivers._plantower import COUNTS, MASSES, Frames, counts, doubts, masses, word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

_FRAME_AT, _FRAME_BYTES = 0x00, 32  # DS appendix I: registers 00 to 1F
_STATUS_AT = 28  # DS appendix I: registers 1C and 1D, version and error


class Sensor:
    MODEL = "pmsa003i"
    BUS = "i2c"
    CHANNELS = MASSES + COUNTS + ("pms_status",)
    WARMUP_S = 30  # DS "circuit attentions": stable data at least 30 s after power on

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x12) -> None:
        """`address` is 0x12 in every sensor (DS appendix I)."""
        self._registers = Registers(self.MODEL, bus, address)
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """Is it there? It works from the moment it has power."""
        self._registers.read(_FRAME_AT, 2)

    def sample(self) -> tuple[int, ...]:
        """0.1 ug/m3, 0.01 per cm3, and 256 * version + error."""
        frame = self._registers.read(_FRAME_AT, _FRAME_BYTES)
        if frame[:2] != Frames.HEAD or Frames.size(frame, 0) != _FRAME_BYTES:
            raise SensorError(self.MODEL, "garbage", frame)
        problem = Frames.fault(frame)
        if problem is not None:
            raise SensorError(self.MODEL, problem, frame)
        values = masses(self.MODEL, frame) + counts(frame, len(COUNTS))
        status = word(frame, _STATUS_AT)
        self.flags = doubts(status, len(values))
        values.append(status)
        return tuple(values)

    def sleep(self) -> None:
        """Nothing to do: no command does it."""
