"""BMP280: temperature and pressure over I2C, one forced measurement per sample.

DS = Bosch BST-BMP280-DS001-11, revision 1.14 (2015-05). Promises two values of one moment by the data sheet's integer
formulas, so that boards with 32-bit floats give the same digits. Leaves to others the heat of the housing.
Settings are DS 3.4 "weather monitoring": oversampling x1 for both, filter off, forced mode.
"""

from balise_node.drivers._bosch import CTRL_MEAS, FORCED_X1, Calibration, Chip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "bmp280"

_CHIP = 0x58  # DS 4.3.1
_CALIBRATION_BYTES = 24  # DS 3.11.2 table 17: registers 88 to 9F


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("temperature", "pressure")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x76) -> None:
        """`address` is 0x76 with SDO at ground, 0x77 with SDO at 3.3 V (DS 5.2)."""
        self._chip = Chip(MODEL, bus, sleep_ms, address)
        self._calibration: Calibration | None = None

    def wake(self) -> None:
        """The first time: is it the right chip, and its calibration. The chip itself needs no waking."""
        if self._calibration is None:
            self._calibration = self._read_calibration()

    def sample(self) -> tuple[int, int]:
        """1/100 Cel (-4000 to 8500), Pa (30000 to 110000): DS table 2."""
        calibration = self._calibration or self._read_calibration()
        data = self._chip.measured(CTRL_MEAS, bytes((FORCED_X1,)), 6)
        return calibration.air(MODEL, data)[:2]

    def sleep(self) -> None:
        """Nothing to do: after a forced measurement the chip sleeps by itself (DS 3.6.2)."""

    def _read_calibration(self) -> Calibration:
        return Calibration(self._chip.calibration(_CHIP, _CALIBRATION_BYTES))
