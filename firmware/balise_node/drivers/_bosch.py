"""What BME280 and BMP280 share: registers, a forced measurement, and the compensation of temperature and pressure.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09); BST-BMP280-DS001-11 says the same of what is shared. Promises
whole Pa and 1/100 Cel by the data sheet's integer formulas, so that boards with 32-bit floats give the same digits.
Leaves to the drivers the chip's own id, its control registers and humidity.
"""

from struct import unpack

from balise_node.drivers import SensorError
from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

CTRL_MEAS = 0xF4  # DS 5.4.5
FORCED_X1 = 0b001_001_01  # DS 5.4.5: osrs_t, osrs_p, mode
_ID, _STATUS = 0xD0, 0xF3  # DS 5.4.1, 5.4.4
_CALIBRATION = 0x88  # DS 4.2.2 table 16
_MEASURING, _COPYING = 0x08, 0x01  # DS 5.4.4: im_update is set while the calibration is still being copied
_MEASURE_MS = 10  # DS 9.1: at most 1.25 + 2.3 + 2.3 + 0.575 + 2.3 + 0.575 = 9.3 ms
_LOOKS = 5
_NEVER_MEASURED = b"\x80\x00\x00\x80\x00\x00"  # DS 5.3 table 18: the data registers after a reset


class Chip:
    """Asks one chip."""

    def __init__(self, model: str, bus: "I2C", sleep_ms: "SleepMs", address: int) -> None:
        self._model = model
        self.registers = Registers(model, bus, address)
        self._sleep_ms = sleep_ms

    def calibration(self, chip_id: int, count: int) -> bytes:
        """Registers 88 to 87 + count of the chip, if it is the right one and they can be a chip's."""
        chip = self.registers.read(_ID, 1)
        if chip[0] != chip_id:
            raise SensorError(self._model, "wrong chip", chip)
        found = self.registers.read(_CALIBRATION, count)
        for start in (0, 6):  # dig_T1 and dig_P1: an unreadable memory gives all zeros or all ones
            if found[start : start + 2] in (b"\x00\x00", b"\xff\xff"):
                raise SensorError(self._model, "calibration", found)
        return found

    def measured(self, register: int, order: bytes, count: int) -> bytes:
        """Registers F7 to F6 + count of a new measurement, which this order starts.

        One write sets all control registers (pairs of register and value, DS 6.2.1), so a chip that lost its settings
        with its power measures all the same. One read brings the status and the data of the same moment (DS 4.1:
        shadowed during a burst).
        """
        self.registers.write(register, order)
        burst = b""
        for _ in range(_LOOKS):
            self._sleep_ms(_MEASURE_MS)
            burst = self.registers.read(_STATUS, 4 + count)
            if not burst[0] & (_MEASURING | _COPYING) and burst[4:10] != _NEVER_MEASURED:
                return burst[4:]
        raise SensorError(self._model, "not ready", burst)


class Calibration:
    """The chip's factory constants dig_T1 to dig_P9, and what they make of counts (DS 4.2.2, 4.2.3)."""

    def __init__(self, first: bytes) -> None:
        """`first` holds registers 88 to 9F."""
        self._t = unpack("<Hhh", first[0:6])
        self._p = unpack("<Hhhhhhhhh", first[6:24])

    def air(self, model: str, data: bytes) -> tuple[int, int, int]:
        """1/100 Cel, Pa and t_fine from registers F7 to FC."""
        t_fine = self.t_fine(data[3] << 12 | data[4] << 4 | data[5] >> 4)
        centi_c = (t_fine * 5 + 128) >> 8
        pa = self.pressure_pa(data[0] << 12 | data[1] << 4 | data[2] >> 4, t_fine)
        if not (-10000 < centi_c < 15000 and 0 < pa < 200000):
            raise SensorError(model, "implausible", data)
        return centi_c, pa, t_fine

    def t_fine(self, adc_t: int) -> int:
        """Temperature in 1/5120 Cel, which the other formulas need (DS 4.2.3)."""
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
