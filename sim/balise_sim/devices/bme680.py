"""BME680 temperature, humidity, pressure and gas chip: registers, forced mode, heater, the gas converter's ranges.

DS = Bosch BST-BME680-DS001, revision 1.9 (2024), whose formulas in C are Bosch's own BME68x_SensorAPI (API). The counts
are found backwards from the set values through the floating-point formulas, not the integer ones that drivers use, so
each checks the other. The factory constants are a real chip's (pimoroni/bme680-python, tests/conftest.py, MIT). Not
specified, so chosen here: the heater is stable when it had 30 ms for a plate of 200 to 400 Cel (DS 3.3.5 says 20 to 30
ms). Not played: SPI, the IIR filter, set points other than 0.
"""

from collections.abc import Mapping
from struct import pack
from typing import ClassVar

from balise_sim.devices._bosch import OVERSAMPLING, SKIPPED, SOFT_RESET, Trim, nearest
from balise_sim.devices.base import Quantity, Register, RegisterDevice

T1, T2, T3 = 26041, 26469, 3
P = (36673, -10515, 88, 7310, -129, 30, 46, -3177, -2379, 30)
H = (676, 1029, 0, 45, 20, 120, -100)
GH = (-30, -24754, 18)
HEAT_RANGE, HEAT_VALUE, GAIN_ERROR = 1, 48, 0

FIELD, RES_HEAT, GAS_WAIT, CTRL_GAS_0, CTRL_GAS_1, CTRL_HUM, CTRL_MEAS = 0x1D, 0x5A, 0x64, 0x70, 0x71, 0x72, 0x74
CONFIG, ID, RESET, VARIANT = 0x75, 0xD0, 0xE0, 0xF0
NEW_DATA, GAS_MEASURING, MEASURING = 0x80, 0x40, 0x20  # DS 5.3.5
VALID, STABLE = 0x20, 0x10
FIELD_AT_RESET = bytes((0, 0, 0x80, 0, 0, 0x80, 0, 0, 0x80, 0, 0, 0, 0, 0, 0))
# API: deviations of the gas converter's ranges, in percent
GAIN_PCT = {5: -1.0, 7: -0.8, 10: -0.2, 11: -0.5, 13: -1.0}
SPAN_PCT = {4: 0.1, 5: 0.7, 7: -0.8, 8: -0.1}
STABLE_AFTER_MS, COLDEST_C, HOTTEST_C = 30, 200, 400

TRIM = Trim(t=(T1, T2, T3 * 16), p=())


def calibration() -> dict[int, bytes]:
    """The constants as they lie in the chip (API "coefficient index macros")."""
    h1, h2, h3, h4, h5, h6, h7 = H
    p1, p2, p3, p4, p5, p6, p7, p8, p9, p10 = P
    shared = (h2 & 0x0F) << 4 | h1 & 0x0F
    return {
        0x00: bytes((HEAT_VALUE, 0, HEAT_RANGE << 4, 0, (GAIN_ERROR & 0x0F) << 4)),
        0x8A: pack("<hbxHhbxhhbbxxhhB", T2, T3, p1, p2, p3, p4, p5, p7, p6, p8, p9, p10),
        0xE1: pack("<BBBbbbBbHhbb", h2 >> 4, shared, h1 >> 4, h3, h4, h5, h6, h7, T1, GH[1], GH[0], GH[2]),
    }


def pressure_pa(adc: float, t_fine: float) -> float:
    """API, floating point; falls as adc rises."""
    v1 = t_fine / 2 - 64000
    v2 = (v1 * v1 * P[5] / 131072 + v1 * P[4] * 2) / 4 + P[3] * 65536
    v1 = (1 + (P[2] * v1 * v1 / 16384 + P[1] * v1) / 524288 / 32768) * P[0]
    p = (1048576 - adc - v2 / 4096) * 6250 / v1
    return p + (P[8] * p * p / 2147483648 + p * P[7] / 32768 + (p / 256) ** 3 * P[9] / 131072 + P[6] * 128) / 16


def humidity_pct(adc: float, celsius: float) -> float:
    """API, floating point, before it is held in 0 to 100 %."""
    v = adc - (H[0] * 16 + H[2] / 2 * celsius)
    v *= H[1] / 262144 * (1 + H[3] / 16384 * celsius + H[4] / 1048576 * celsius * celsius)
    return v + (H[5] / 16384 + H[6] / 2097152 * celsius) * v * v


def gas_count(ohm: float, span: int) -> float:
    """API, floating point, solved for the count of the gas converter in that range."""
    gain = (1340 + 5 * GAIN_ERROR) * (1 + GAIN_PCT.get(span, 0.0) / 100)
    return (1 / (ohm * (1 + SPAN_PCT.get(span, 0.0) / 100) * 125e-9 * (1 << span)) - 1) * gain + 512


def plate_c(code: int, around_c: float) -> float:
    """API, floating point, solved for the temperature that res_heat stands for."""
    resistance = (code / 3.4 + 25) * (1 + HEAT_VALUE * 0.002) * (4 + HEAT_RANGE) / 4
    return ((resistance - GH[2] / 1024 * around_c) / (GH[0] / 16 + 49) - 1) / (GH[1] / 32768 * 0.0005 + 0.00235)


class Model(RegisterDevice):
    # DS tables 1 to 7. The steps of pressure and humidity are those of the integer formulas in 32 bits, which are up to
    # 8 Pa and 0.06 %RH off the floating ones; the chip's own at oversampling x1 are 2.6 Pa and 0.008 %RH.
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        "temperature": Quantity(-40.0, 85.0, 0.01, 15.0),
        "humidity": Quantity(0.0, 100.0, 0.13, 60.0),
        "pressure": Quantity(30000.0, 110000.0, 17.0, 101325.0),
        "gas_resistance": Quantity(200.0, 12_000_000.0, 1.0, 50_000.0, 0.0013),
    }
    REPORTS: ClassVar[Mapping[str, str]] = {"bme680_status": "register 2B: gas_valid_r 20, heat_stab_r 10"}
    FAULTS = RegisterDevice.FAULTS | {
        "wrong_chip": "a BME280 (id 60) sold as BME680",
        "bme688": "the newer variant, with other gas registers",
        "humidity_stuck": "humidity stays at 100 %, as after condensation",
        "measuring_forever": "the status says measuring, and never ends",
        "heater_cold": "the plate does not reach its temperature: heat_stab stays clear",
        "gas_not_valid": "the gas conversion is a dummy: gas_valid stays clear",
    }
    REGISTERS: ClassVar[Mapping[int, Register]] = {
        **{FIELD + i: Register(reset, "r", "DS table 20") for i, reset in enumerate(FIELD_AT_RESET)},
        **{at: Register(0, "rw", "DS table 20") for at in (RES_HEAT, GAS_WAIT, CTRL_GAS_0, CTRL_GAS_1)},
        **{at: Register(0, "rw", "DS table 20") for at in (CTRL_HUM, CTRL_MEAS, CONFIG)},
        ID: Register(0x61, "r", "DS table 20"),
        RESET: Register(0x00, "w", "DS table 20"),
        VARIANT: Register(0x00, "r", "API"),
    }
    WRITES_IN_PAIRS = True  # DS 6.2.1

    def __init__(self, address: int = 0x76, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._clear()
        for start, values in calibration().items():
            self.memory[start : start + len(values)] = values
        self._began_us: int | None = None
        self.heated_to_c = 0.0

    def on_register(self, register: int, value: int, now_us: int) -> None:
        if register == RESET:
            if value == SOFT_RESET:
                self.reset(now_us)
            return
        super().on_register(register, value, now_us)
        if register == CTRL_MEAS and value & 3 == 1:
            self._began_us = now_us
            self.memory[FIELD] &= ~NEW_DATA

    def settle(self, now_us: int) -> None:
        self.memory[ID] = 0x60 if self.has("wrong_chip") else 0x61
        self.memory[VARIANT] = 1 if self.has("bme688") else 0
        if self._began_us is None:
            return
        air_us, gas_us = self._spans_us()
        if now_us >= self._began_us + air_us + gas_us and not self.has("measuring_forever"):
            self._latch(self._began_us + air_us)
            self._began_us = None
            self.memory[CTRL_MEAS] &= 0xFC  # DS 3.1: forced mode ends in sleep mode
            self.memory[FIELD] = NEW_DATA
        else:
            heats = gas_us and now_us >= self._began_us + air_us
            self.memory[FIELD] = MEASURING | (GAS_MEASURING if heats else 0)

    def _oversampling(self) -> tuple[int, int, int]:
        control = self.memory[CTRL_MEAS]
        return OVERSAMPLING[control >> 5], OVERSAMPLING[control >> 2 & 7], OVERSAMPLING[self.memory[CTRL_HUM] & 7]

    def _wait_ms(self) -> int:
        """DS 5.3.3: six bits, times 1, 4, 16 or 64."""
        return (self.memory[GAS_WAIT] & 63) << 2 * (self.memory[GAS_WAIT] >> 6)

    def _spans_us(self) -> tuple[int, int]:
        """API: of temperature, pressure and humidity, and then of gas."""
        gas_us = self._wait_ms() * 1000 + 5 * 477 if self.memory[CTRL_GAS_1] & 0x10 else 0
        return 1000 + 1963 * sum(self._oversampling()) + 4 * 477, gas_us

    def _latch(self, at_us: int) -> None:
        """Puts the counts of that moment into the field; x1 has 16 bits, each doubling one more."""
        t, p, h = self._oversampling()
        t_shift, p_shift = 5 - t.bit_length(), 5 - p.bit_length()
        target = self.measure("temperature", at_us) * 5120
        adc_t = nearest(target, 20 - t_shift, lambda count: TRIM.fine_temperature(count << t_shift)) << t_shift
        t_fine = TRIM.fine_temperature(adc_t)
        target = -self.measure("pressure", at_us)
        adc_p = nearest(target, 20 - p_shift, lambda count: -pressure_pa(count << p_shift, t_fine)) << p_shift
        humidity = 110.0 if self.has("humidity_stuck") else self.measure("humidity", at_us)
        adc_h = nearest(humidity, 16, lambda count: humidity_pct(count, t_fine / 5120))
        adc_t, adc_p, adc_h = adc_t if t else SKIPPED, adc_p if p else SKIPPED, adc_h if h else SKIPPED >> 4
        self.memory[FIELD + 2 : FIELD + 10] = (
            (adc_p << 4).to_bytes(3, "big") + (adc_t << 4).to_bytes(3, "big") + adc_h.to_bytes(2, "big")
        )
        self.memory[FIELD + 13 : FIELD + 15] = self._gas(at_us, t_fine / 5120)

    def _gas(self, at_us: int, around_c: float) -> bytes:
        """Count, status and range of the gas converter, which takes the range with the count nearest to the middle."""
        ohm = self.measure("gas_resistance", at_us)
        span = min(range(16), key=lambda span: abs(gas_count(ohm, span) - 512))
        count = min(max(round(gas_count(ohm, span)), 0), 1023)
        is_on = not self.memory[CTRL_GAS_0] & 0x08 and self.memory[CTRL_GAS_1] & 0x10
        self.heated_to_c = plate_c(self.memory[RES_HEAT], around_c) if is_on else around_c
        is_hot = COLDEST_C <= self.heated_to_c <= HOTTEST_C and self._wait_ms() >= STABLE_AFTER_MS
        status = VALID if self.memory[CTRL_GAS_1] & 0x10 and not self.has("gas_not_valid") else 0
        status |= STABLE if is_hot and not self.has("heater_cold") else 0
        return bytes((count >> 2, (count & 3) << 6 | status | span))
