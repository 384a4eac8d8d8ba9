"""BME280: temperature, humidity and pressure over I2C, one forced measurement per sample.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09). Promises three values of one moment by the data sheet's integer
formulas, so that boards with 32-bit floats give the same digits. Leaves to others the heat of the housing.
Settings are DS 3.5.1 "weather monitoring": oversampling x1 for all three, filter off: least self-heating.
"""

from struct import unpack

from balise_node.drivers._bosch import CTRL_MEAS, FORCED_X1, PressureChip

MODEL = "bme280"

_CTRL_HUM = 0xF2  # DS 5.4.3
_HUMIDITY_X1 = 0b001  # DS 5.4.3: osrs_h
_H1, _H2_TO_H6 = 0xA1, 0xE1  # DS 4.2.2 table 16: one byte, and seven to E7


class Sensor(PressureChip):
    MODEL = MODEL
    CHIP = 0x60  # DS 5.4.1
    CHANNELS = ("temperature", "humidity", "pressure")

    def sample(self) -> tuple[int, int, int]:
        """1/100 Cel (-4000 to 8500), 1/100 %RH (0 to 10000), Pa (30000 to 110000): DS table 1 to 3."""
        # F2 counts only when F4 follows (DS 5.4.3)
        data = self._measured(_CTRL_HUM, bytes((_HUMIDITY_X1, CTRL_MEAS, FORCED_X1)), 8)
        centi_c, pa, t_fine = self._air(data)
        return centi_c, self._humidity_centi_pct(data[6] << 8 | data[7], t_fine), pa

    def _identify(self) -> None:
        h1 = self._registers.read(_H1, 1)[0]
        h2, h3, e4, e5, e6, h6 = unpack("<hBbBbb", self._registers.read(_H2_TO_H6, 7))
        # H4 and H5 are 12 bits wide and share E5
        self._humid = (h1, h2, h3, e4 * 16 + (e5 & 0x0F), e6 * 16 + (e5 >> 4), h6)
        super()._identify()

    def _humidity_centi_pct(self, adc: int, t_fine: int) -> int:
        """1/100 %RH, rounded and held in 0 to 100 %; the 32-bit formula of DS 4.2.3, whose result is in 1/1024 %RH."""
        h1, h2, h3, h4, h5, h6 = self._humid
        v = t_fine - 76800
        wet = ((adc << 14) - (h4 << 20) - h5 * v + 16384) >> 15
        warm = (((((v * h6) >> 10) * (((v * h3) >> 11) + 32768)) >> 10) + 2097152) * h2 + 8192
        v = wet * (warm >> 14)
        v -= ((((v >> 15) * (v >> 15)) >> 7) * h1) >> 4
        v = min(max(v, 0), 419430400)
        return int(((v >> 12) * 100 + 512) >> 10)
