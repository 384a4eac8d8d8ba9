"""BME280: temperature, humidity and pressure over I2C, one forced measurement per sample.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09). Promises three values of one moment by the data sheet's integer
formulas, so that boards with 32-bit floats give the same digits. Leaves to others the heat of the housing.
Settings are DS 3.5.1 "weather monitoring": oversampling x1 for all three, filter off: least self-heating.
"""

from struct import unpack

from balise_node.drivers._bosch import CTRL_MEAS, FORCED_X1, Chip
from balise_node.drivers._bosch import Calibration as Shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "bme280"

_CHIP = 0x60  # DS 5.4.1
_CTRL_HUM = 0xF2  # DS 5.4.3
_HUMIDITY_X1 = 0b001  # DS 5.4.3: osrs_h
_FIRST_BYTES, _SECOND, _SECOND_BYTES = 26, 0xE1, 7  # DS 4.2.2 table 16: registers 88 to A1, then E1 to E7


class Calibration(Shared):
    """The shared constants, and dig_H1 to dig_H6 (DS 4.2.2, 4.2.3)."""

    def __init__(self, first: bytes, second: bytes) -> None:
        """`first` holds registers 88 to A1, `second` E1 to E7."""
        super().__init__(first)
        h2, h3, e4, e5, e6, h6 = unpack("<hBbBbb", second)  # H4 and H5 are 12 bits wide and share E5
        self._h = (first[25], h2, h3, e4 * 16 + (e5 & 0x0F), e6 * 16 + (e5 >> 4), h6)

    def humidity_centi_pct(self, adc_h: int, t_fine: int) -> int:
        """1/100 %RH, rounded and held in 0 to 100 %; the 32-bit formula of DS 4.2.3, whose result is in 1/1024 %RH."""
        h1, h2, h3, h4, h5, h6 = self._h
        v = t_fine - 76800
        wet = ((adc_h << 14) - (h4 << 20) - h5 * v + 16384) >> 15
        warm = (((((v * h6) >> 10) * (((v * h3) >> 11) + 32768)) >> 10) + 2097152) * h2 + 8192
        v = wet * (warm >> 14)
        v -= ((((v >> 15) * (v >> 15)) >> 7) * h1) >> 4
        v = min(max(v, 0), 419430400)
        return int(((v >> 12) * 100 + 512) >> 10)


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("temperature", "humidity", "pressure")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x76) -> None:
        """`address` is 0x76 with SDO at ground, 0x77 with SDO at 3.3 V (DS 6.2)."""
        self._chip = Chip(MODEL, bus, sleep_ms, address)
        self._calibration: Calibration | None = None

    def wake(self) -> None:
        """The first time: is it the right chip, and its calibration. The chip itself needs no waking."""
        if self._calibration is None:
            self._calibration = self._read_calibration()

    def sample(self) -> tuple[int, int, int]:
        """1/100 Cel (-4000 to 8500), 1/100 %RH (0 to 10000), Pa (30000 to 110000): DS table 1 to 3."""
        calibration = self._calibration or self._read_calibration()
        # F2 counts only when F4 follows (DS 5.4.3)
        data = self._chip.measured(_CTRL_HUM, bytes((_HUMIDITY_X1, CTRL_MEAS, FORCED_X1)), 8)
        centi_c, pa, t_fine = calibration.air(MODEL, data)
        return centi_c, calibration.humidity_centi_pct(data[6] << 8 | data[7], t_fine), pa

    def sleep(self) -> None:
        """Nothing to do: after a forced measurement the chip sleeps by itself (DS 3.3.3)."""

    def _read_calibration(self) -> Calibration:
        first = self._chip.calibration(_CHIP, _FIRST_BYTES)
        return Calibration(first, self._chip.registers.read(_SECOND, _SECOND_BYTES))
