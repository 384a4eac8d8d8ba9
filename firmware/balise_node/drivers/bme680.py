"""BME680: temperature, humidity, pressure and the resistance of a heated metal oxide, over I2C.

DS = Bosch BST-BME680-DS001, revision 1.9 (2024), whose formulas in C are Bosch's own BME68x_SensorAPI (API). Promises
four values of one moment by the integer formulas, and the two bits by which the chip judges its gas value: not valid is
flag 4, heater not stable flag 3. Leaves to others what the resistance means: it falls with reducing gases and with
humidity, drifts for days, and only Bosch's closed library makes an index of it. The integer formulas have 32 bits: up
to 8 Pa and 0.06 %RH off the floating ones (computed over the whole range). The plate is heated to 300 Cel for 100 ms
(DS 3.2.1, and the API's example), other settings are those of our BME280.
"""

from struct import unpack

from balise_node.drivers import SensorError
from balise_node.drivers._i2c import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

MODEL = "bme680"

_ID, _CHIP = 0xD0, 0x61  # DS table 20
_VARIANT = 0xF0  # API: 0 is a BME680, 1 a BME688, which has other gas registers
_CALIBRATION = ((0x8A, 23), (0xE1, 14), (0x00, 5))  # API "coefficient index macros"
_FIELD, _FIELD_BYTES = 0x1D, 15  # DS table 20: to gas_r_lsb, 2B
_RES_HEAT, _GAS_WAIT, _CTRL_GAS_0, _CTRL_GAS_1 = 0x5A, 0x64, 0x70, 0x71  # DS table 20
_CTRL_HUM, _CTRL_MEAS = 0x72, 0x74
_X1, _FORCED_X1 = 0b001, 0b001_001_01  # DS 5.3.1: osrs_h; osrs_t, osrs_p, mode
_WAIT_100_MS, _HEATER_ON, _RUN_GAS = (
    0x59,
    0x00,
    0x10,
)  # DS 3.2.1, 5.3.3: 25 times 4 ms; heat_off 0; run_gas, set point 0
_HOT_C = 300
_NEW_DATA, _BUSY = 0x80, 0x60  # DS 5.3.5: new_data_0; gas_measuring, measuring
_GAS_VALID, _HEATER_STABLE = 0x20, 0x10  # DS 5.3.5: of register 2B
_MEASURE_MS, _LOOKS = 60, 5  # API: 3 x 1.963 + 9 x 0.477 + 1 ms, and 100 ms of heat, make 111 ms
# API: what the ranges of the gas converter are off from powers of two, by range, as factors of 2 ** 31 and in Ohm
_GAIN = {5: 2126008810, 7: 2130303777, 10: 2143188679, 11: 2136746228, 13: 2126008810}
_OHM = {4: 255744255, 5: 127110228, 7: 32258064, 8: 16016016}
_GAS_AT, _FAIL, _SUSPECT = 3, 4, 3


class Calibration:
    """The chip's factory constants, and what they make of counts (API)."""

    def __init__(self, first: bytes, second: bytes, third: bytes) -> None:
        """The runs of _CALIBRATION."""
        t2, t3, _, p1, p2, p3, _, p4, p5, p7, p6, _, p8, p9, p10 = unpack("<hbBHhbBhhbbHhhB", first)
        h2, shared, h1, h3, h4, h5, h6, h7, t1, gh2, gh1, gh3 = unpack("<BBBbbbBbHhbb", second)
        self._t = t1, t2, t3
        self._p = p1, p2, p3, p4, p5, p6, p7, p8, p9, p10
        self._h = h1 << 4 | shared & 0x0F, h2 << 4 | shared >> 4, h3, h4, h5, h6, h7
        self._heater = gh1, gh2, gh3, third[2] >> 4 & 3, third[0] - (third[0] >> 7 << 8)
        self._gain_error = (third[4] >> 4) - (third[4] >> 7 << 4)  # four bits, signed

    def sound(self) -> bool:
        """Whether the constants can be a chip's: an unreadable memory gives all zeros or all ones."""
        return self._t[0] not in (0, 0xFFFF) and self._p[0] not in (0, 0xFFFF)

    def t_fine(self, adc: int) -> int:
        """Temperature in 1/5120 Cel, which the other formulas need."""
        t1, t2, t3 = self._t
        var = (adc >> 3) - (t1 << 1)
        return int(((var * t2) >> 11) + (((((var >> 1) * (var >> 1)) >> 12) * (t3 << 4)) >> 14))

    def pressure_pa(self, adc: int, t_fine: int) -> int:
        """Whole Pa. The API halves its operand where it would overflow; here nothing does."""
        p1, p2, p3, p4, p5, p6, p7, p8, p9, p10 = self._p
        warm = (t_fine >> 1) - 64000
        square = (warm >> 2) * (warm >> 2)
        offset = (((square >> 11) * p6) >> 2) + ((warm * p5) << 1)
        offset = (offset >> 2) + (p4 << 16)
        slope = (((square >> 13) * (p3 << 5)) >> 3) + ((p2 * warm) >> 1)
        slope = ((32768 + (slope >> 18)) * p1) >> 15
        if slope <= 0:
            return 0
        p = ((1048576 - adc - (offset >> 12)) * 3125 << 1) // slope
        var1 = (p9 * (((p >> 3) * (p >> 3)) >> 13)) >> 12
        var2 = ((p >> 2) * p8) >> 13
        var3 = ((p >> 8) * (p >> 8) * (p >> 8) * p10) >> 17
        return int(p + ((var1 + var2 + var3 + (p7 << 7)) >> 4))

    def humidity_centi_pct(self, adc: int, centi_c: int) -> int:
        """1/100 %RH, rounded and held in 0 to 100 %."""
        h1, h2, h3, h4, h5, h6, h7 = self._h
        wet = adc - h1 * 16 - ((centi_c * h3 // 100) >> 1)
        warm = (h2 * (centi_c * h4 // 100 + ((centi_c * (centi_c * h5 // 100)) >> 6) // 100 + 16384)) >> 10
        var = wet * warm
        bend = ((h6 << 7) + centi_c * h7 // 100) >> 4
        var += (bend * (((var >> 14) * (var >> 14)) >> 10)) >> 1
        milli_pct = ((var >> 10) * 1000) >> 12
        return int(min(max((milli_pct + 5) // 10, 0), 10000))

    def gas_ohm(self, adc: int, span: int) -> int:
        """Resistance by the converter's count and its range, 0 to 15."""
        gain = ((1340 + 5 * self._gain_error) * _GAIN.get(span, 2147483647)) >> 16
        count = (adc << 15) - 16777216 + gain
        return ((_OHM.get(span, 4096000000 >> span) * gain >> 9) + (count >> 1)) // count

    def heater_code(self, hot_c: int, around_c: int) -> int:
        """What res_heat_0 must be for a plate of so many Cel."""
        gh1, gh2, gh3, span, value = self._heater
        var = (gh1 + 784) * (((gh2 + 154009) * hot_c * 5 // 100 + 3276800) // 10)
        var = around_c * gh3 // 1000 * 256 + var // 2
        code = (var // (span + 4) // (131 * value + 65536) - 250) * 34
        return int(min(max((code + 50) // 100, 0), 255))


class Sensor:
    MODEL = MODEL
    BUS = "i2c"
    CHANNELS = ("temperature", "humidity", "pressure", "gas_resistance", "bme680_status")
    WARMUP_S = 0

    def __init__(self, bus: "I2C", sleep_ms: "SleepMs", address: int = 0x76) -> None:
        """`address` is 0x76 with SDO at ground, 0x77 with SDO at 3.3 V (DS 6.2); most modules have 0x77."""
        self._registers = Registers(MODEL, bus, address)
        self._sleep_ms = sleep_ms
        self._calibration: Calibration | None = None
        self._around_c = 25  # of the last sample; the heater's code depends a little on it
        self.flags: dict[int, int] = {}

    def wake(self) -> None:
        """The first time: is it the right chip, and its calibration. The chip itself needs no waking."""
        if self._calibration is None:
            self._calibration = self._read_calibration()

    def sample(self) -> tuple[int, int, int, int, int]:
        """1/100 Cel (-4000 to 8500), 1/100 %RH, Pa (30000 to 110000), Ohm, and bits 20 and 10 of register 2B."""
        calibration = self._calibration or self._read_calibration()
        data = self._measured(calibration.heater_code(_HOT_C, self._around_c))
        t_fine = calibration.t_fine(data[5] << 12 | data[6] << 4 | data[7] >> 4)
        centi_c = (t_fine * 5 + 128) >> 8
        pa = calibration.pressure_pa(data[2] << 12 | data[3] << 4 | data[4] >> 4, t_fine)
        if not (-10000 < centi_c < 15000 and 0 < pa < 200000):
            raise SensorError(MODEL, "implausible", data)
        self._around_c = centi_c // 100
        status = data[14] & (_GAS_VALID | _HEATER_STABLE)
        flag = _FAIL if not status & _GAS_VALID else _SUSPECT if not status & _HEATER_STABLE else 0
        self.flags = {_GAS_AT: flag} if flag else {}
        ohm = calibration.gas_ohm(data[13] << 2 | data[14] >> 6, data[14] & 0x0F)
        return centi_c, calibration.humidity_centi_pct(data[8] << 8 | data[9], centi_c), pa, ohm, status

    def sleep(self) -> None:
        """Nothing to do: after a forced measurement the chip sleeps by itself, the plate cold (DS 3.1)."""

    def _measured(self, heater_code: int) -> bytes:
        """Registers 1D to 2B of a new measurement. One write sets all (pairs of register and value, DS 6.2.1)."""
        order = bytes((_X1, _RES_HEAT, heater_code, _GAS_WAIT, _WAIT_100_MS, _CTRL_GAS_0, _HEATER_ON))
        self._registers.write(_CTRL_HUM, order + bytes((_CTRL_GAS_1, _RUN_GAS, _CTRL_MEAS, _FORCED_X1)))
        data = b""
        for _ in range(_LOOKS):
            self._sleep_ms(_MEASURE_MS)
            data = self._registers.read(_FIELD, _FIELD_BYTES)
            if data[0] & (_NEW_DATA | _BUSY) == _NEW_DATA:
                return data
        raise SensorError(MODEL, "not ready", data)

    def _read_calibration(self) -> Calibration:
        chip = self._registers.read(_ID, 1) + self._registers.read(_VARIANT, 1)
        if chip != bytes((_CHIP, 0)):
            raise SensorError(MODEL, "wrong chip", chip)
        runs = [self._registers.read(start, count) for start, count in _CALIBRATION]
        calibration = Calibration(*runs)
        if not calibration.sound():
            raise SensorError(MODEL, "calibration", runs[0])
        return calibration
