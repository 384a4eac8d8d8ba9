"""BME280: temperature, humidity and pressure over I2C, one forced measurement per sample.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09). Promises three values of one moment by the data sheet's integer
formulas, so that boards with 32-bit floats give the same digits. Leaves to others the heat of the housing.
Settings are DS 3.5.1 "weather monitoring": oversampling x1 for all three, filter off: least self-heating.
"""

from struct import unpack

from balise_node.drivers import SensorError
from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "bme280"

_ID, _CHIP = 0xD0, 0x60  # DS 5.4.1
_CTRL_HUM, _STATUS, _CTRL_MEAS = 0xF2, 0xF3, 0xF4  # DS 5.4.3 to 5.4.5
_CALIBRATION_1, _CALIBRATION_2 = 0x88, 0xE1  # DS 4.2.2 table 16: 26 bytes to A1, 7 bytes to E7
_HUMIDITY_X1 = 0b001  # DS 5.4.3: osrs_h
_FORCED_X1 = 0b001_001_01  # DS 5.4.5: osrs_t, osrs_p, mode
_MEASURING, _COPYING = 0x08, 0x01  # DS 5.4.4: im_update is set while the calibration is still being copied
_MEASURE_MS = 10  # DS 9.1: at most 1.25 + 2.3 + 2.3 + 0.575 + 2.3 + 0.575 = 9.3 ms
_LOOKS = 5
_NEVER_MEASURED = b"\x80\x00\x00\x80\x00\x00\x80\x00"  # DS 5.3 table 18: the data registers after a reset


class Calibration:
    """The chip's factory constants dig_T1 to dig_H6, and what they make of counts (DS 4.2.2, 4.2.3)."""

    def __init__(self, first: bytes, second: bytes) -> None:
        """`first` holds registers 88 to A1, `second` E1 to E7."""
        self._t = unpack("<Hhh", first[0:6])
        self._p = unpack("<Hhhhhhhhh", first[6:24])
        h2, h3, e4, e5, e6, h6 = unpack("<hBbBbb", second)  # H4 and H5 are 12 bits wide and share E5
        self._h = (first[25], h2, h3, e4 * 16 + (e5 & 0x0F), e6 * 16 + (e5 >> 4), h6)

    def sound(self) -> bool:
        """Whether the constants can be a chip's: an unreadable memory gives all zeros or all ones."""
        return self._t[0] not in (0, 0xFFFF) and self._p[0] not in (0, 0xFFFF)

    def t_fine(self, adc_t: int) -> int:
        """Temperature in 1/5120 Cel, which the other two formulas need (DS 4.2.3)."""
        t1, t2, t3 = self._t
        var1 = (((adc_t >> 3) - (t1 << 1)) * t2) >> 11
        var2 = (((((adc_t >> 4) - t1) * ((adc_t >> 4) - t1)) >> 12) * t3) >> 14
        return int(var1 + var2)

    def pressure_pa(self, adc_p: int, t_fine: int) -> int:
        """Whole Pa, rounded; the 64-bit formula of DS 4.2.3, whose result is in 1/256 Pa."""
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self._p
        var1 = t_fine - 128000
        var2 = var1 * var1 * p6
        var2 += (var1 * p5) << 17
        var2 += p4 << 35
        var1 = ((var1 * var1 * p3) >> 8) + ((var1 * p2) << 12)
        var1 = (((1 << 47) + var1) * p1) >> 33
        if var1 == 0:  # DS 4.2.3: "avoid exception caused by division by zero"
            return 0
        p = (((1048576 - adc_p) << 31) - var2) * 3125 // var1
        var1 = (p9 * (p >> 13) * (p >> 13)) >> 25
        var2 = (p8 * p) >> 19
        p = ((p + var1 + var2) >> 8) + (p7 << 4)
        return int((p + 128) >> 8)

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
        self._registers = Registers(MODEL, bus, address)
        self._sleep_ms = sleep_ms
        self._calibration: Calibration | None = None

    def wake(self) -> None:
        """The first time: is it the right chip, and its calibration. The chip itself needs no waking."""
        if self._calibration is None:
            self._calibration = self._read_calibration()

    def sample(self) -> tuple[int, int, int]:
        """1/100 Cel (-4000 to 8500), 1/100 %RH (0 to 10000), Pa (30000 to 110000): DS table 1 to 3."""
        calibration = self._calibration or self._read_calibration()
        data = self._measured()
        adc_p = data[0] << 12 | data[1] << 4 | data[2] >> 4
        adc_t = data[3] << 12 | data[4] << 4 | data[5] >> 4
        t_fine = calibration.t_fine(adc_t)
        centi_c = (t_fine * 5 + 128) >> 8
        pa = calibration.pressure_pa(adc_p, t_fine)
        if not (-10000 < centi_c < 15000 and 0 < pa < 200000):
            raise SensorError(MODEL, "implausible", data)
        return centi_c, calibration.humidity_centi_pct(data[6] << 8 | data[7], t_fine), pa

    def sleep(self) -> None:
        """Nothing to do: after a forced measurement the chip sleeps by itself (DS 3.3.3)."""

    def _measured(self) -> bytes:
        """Registers F7 to FE of a new measurement.

        One write sets both control registers (pairs of register and value, DS 6.2.1; F2 counts only when F4 follows, DS
        5.4.3), so a chip that lost its settings with its power measures all the same. One read brings the status and
        the data of the same moment (DS 4.1: shadowed during a burst).
        """
        self._registers.write(_CTRL_HUM, bytes((_HUMIDITY_X1, _CTRL_MEAS, _FORCED_X1)))
        burst = b""
        for _ in range(_LOOKS):
            self._sleep_ms(_MEASURE_MS)
            burst = self._registers.read(_STATUS, 12)
            if not burst[0] & (_MEASURING | _COPYING) and burst[4:] != _NEVER_MEASURED:
                return burst[4:]
        raise SensorError(MODEL, "not ready", burst)

    def _read_calibration(self) -> Calibration:
        chip = self._registers.read(_ID, 1)
        if chip[0] != _CHIP:
            raise SensorError(MODEL, "wrong chip", chip)
        first = self._registers.read(_CALIBRATION_1, 26)
        calibration = Calibration(first, self._registers.read(_CALIBRATION_2, 7))
        if not calibration.sound():
            raise SensorError(MODEL, "calibration", first)
        return calibration
