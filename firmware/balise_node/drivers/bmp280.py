"""BMP280: temperature and pressure over I2C, one forced measurement per sample.

DS = Bosch BST-BMP280-DS001-11, revision 1.14 (2015-05). Promises two values of one moment by the data sheet's integer
formulas, so that boards with 32-bit floats give the same digits. Leaves to others the heat of the housing.
Settings are DS 3.4 "weather monitoring": oversampling x1 for both, filter off, forced mode.
"""

from balise_node.drivers._bosch import CTRL_MEAS, FORCED_X1, PressureChip

MODEL = "bmp280"


class Sensor(PressureChip):
    MODEL = MODEL
    CHIP = 0x58  # DS 4.3.1
    CHANNELS = ("temperature", "pressure")

    def sample(self) -> tuple[int, int]:
        """1/100 Cel (-4000 to 8500), Pa (30000 to 110000): DS table 2."""
        return self._air(self._measured(CTRL_MEAS, bytes((FORCED_X1,)), 6))[:2]
