"""BME280 temperature, humidity and pressure chip: registers, forced and normal mode, measuring time, soft reset.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09). The counts are found backwards from the set values through the
data sheet's floating-point formulas (8.1), not the integer ones that drivers use, so each checks the other. The factory
constants are a real chip's (pimoroni/bme280-python, tests/calibration.py, MIT). Not played: SPI, the IIR filter.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from struct import pack
from typing import ClassVar

from balise_sim.devices.base import Quantity, Register, RegisterDevice

T = (28009, 25654, 50)  # DS 4.2.2 table 16
P = (39145, -10750, 3024, 5667, -120, -7, 15500, -14600, 6000)
H = (75, 376, 0, 286, 50, 30)

ID, RESET, CTRL_HUM, STATUS, CTRL_MEAS, CONFIG, DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF5, 0xF7
MEASURING, COPYING = 0x08, 0x01  # DS 5.4.4
SOFT_RESET = 0xB6  # DS 5.4.2
COPY_US = 2_000  # DS table 1: start-up time
OVERSAMPLING = (0, 1, 2, 4, 8, 16, 16, 16)  # DS 5.4.3, 5.4.5
STANDBY_US = (500, 62_500, 125_000, 250_000, 500_000, 1_000_000, 10_000, 20_000)  # DS 5.4.6 table 27
SKIPPED = 0x80000  # DS 5.4.7, 5.4.8: the output of a measurement that is off (humidity: its upper 16 bits)


def calibration() -> dict[int, bytes]:
    """The constants as they lie in the chip (DS 4.2.2 table 16); H4 and H5 have 12 bits each and share E5."""
    h1, h2, h3, h4, h5, h6 = H
    shared = (h4 & 0x0F) | (h5 & 0x0F) << 4
    return {
        0x88: pack("<Hhh", *T) + pack("<Hhhhhhhhh", *P) + bytes((0, h1)),
        0xE1: pack("<hBbBbb", h2, h3, h4 >> 4, shared, h5 >> 4, h6),
    }


def fine_temperature(adc: float) -> float:
    """DS 8.1: 1/5120 Cel."""
    return (adc / 16384 - T[0] / 1024) * T[1] + (adc / 131072 - T[0] / 8192) ** 2 * T[2]


def pressure_pa(adc: float, t_fine: float) -> float:
    """DS 8.1; falls as adc rises."""
    v1 = t_fine / 2 - 64000
    v2 = (v1 * v1 * P[5] / 32768 + v1 * P[4] * 2) / 4 + P[3] * 65536
    v1 = (1 + (P[2] * v1 * v1 / 524288 + P[1] * v1) / 524288 / 32768) * P[0]
    p = (1048576 - adc - v2 / 4096) * 6250 / v1
    return p + (P[8] * p * p / 2147483648 + p * P[7] / 32768 + P[6]) / 16


def humidity_pct(adc: float, t_fine: float) -> float:
    """DS 8.1, before it is held in 0 to 100 %."""
    v = t_fine - 76800
    v = (adc - (H[3] * 64 + H[4] / 16384 * v)) * (H[1] / 65536 * (1 + H[5] / 67108864 * v * (1 + H[2] / 67108864 * v)))
    return v * (1 - H[0] * v / 524288)


def nearest(value: float, bits: int, curve: Callable[[int], float]) -> int:
    """The count of that many bits whose value on a rising curve is nearest."""
    at = bisect_left(range((1 << bits) - 1), value, key=curve)
    return at - 1 if at and value - curve(at - 1) < curve(at) - value else at


class Model(RegisterDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS tables 1 to 4; pressure at oversampling x1, 16 bits (DS 3.4.2)
        "temperature": Quantity(-40.0, 85.0, 0.01, 15.0),
        "humidity": Quantity(0.0, 100.0, 0.008, 60.0),
        "pressure": Quantity(30000.0, 110000.0, 2.62, 101325.0),
    }
    FAULTS = RegisterDevice.FAULTS | {
        "wrong_chip": "a BMP280 (id 58) sold as BME280: no humidity",
        "humidity_stuck": "humidity stays at 100 %, as after condensation",
        "measuring_forever": "the status says measuring, and never ends",
    }
    REGISTERS: ClassVar[Mapping[int, Register]] = {
        ID: Register(0x60, "r", "DS 5.4.1"),
        RESET: Register(0x00, "w", "DS 5.4.2"),
        CTRL_HUM: Register(0x00, "rw", "DS 5.4.3"),
        STATUS: Register(0x00, "r", "DS 5.4.4"),
        CTRL_MEAS: Register(0x00, "rw", "DS 5.4.5"),
        CONFIG: Register(0x00, "rw", "DS 5.4.6"),
        **{DATA + i: Register(reset, "r", "DS 5.3") for i, reset in enumerate(b"\x80\0\0\x80\0\0\x80\0")},
    }
    WRITES_IN_PAIRS = True  # DS 6.2.1

    def __init__(self, address: int = 0x76, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.reset(-COPY_US)

    def reset(self, now_us: int) -> None:
        self._clear()
        for start, values in calibration().items():
            self.memory[start : start + len(values)] = values
        self._copied_us = now_us + COPY_US
        self._ready_us: int | None = None
        self._osrs_h = 0  # DS 5.4.3: CTRL_HUM counts only once CTRL_MEAS is written

    def on_register(self, register: int, value: int, now_us: int) -> None:
        if register == RESET:
            if value == SOFT_RESET:
                self.reset(now_us)
            return
        super().on_register(register, value, now_us)
        if register == CTRL_MEAS:
            self._osrs_h = self.memory[CTRL_HUM] & 7
            self._ready_us = now_us + self._measure_us() if value & 3 else None

    def settle(self, now_us: int) -> None:
        while self._ready_us is not None and self._ready_us <= now_us and not self.has("measuring_forever"):
            self._latch(self._ready_us)
            if self.memory[CTRL_MEAS] & 3 == 3:  # DS 3.3.4: normal mode goes on after the standby time
                cycle_us = STANDBY_US[self.memory[CONFIG] >> 5] + self._measure_us()
                self._ready_us += max((now_us - self._ready_us) // cycle_us, 1) * cycle_us
            else:
                self.memory[CTRL_MEAS] &= 0xFC  # DS 3.3.3: forced mode ends in sleep mode
                self._ready_us = None
        busy = self._ready_us is not None and now_us >= self._ready_us - self._measure_us()
        copying = now_us < self._copied_us
        self.memory[STATUS] = (MEASURING if busy else 0) | (COPYING if copying else 0)
        self.memory[ID] = 0x58 if self.has("wrong_chip") else 0x60

    def _oversampling(self) -> tuple[int, int, int]:
        control = self.memory[CTRL_MEAS]
        return OVERSAMPLING[control >> 5], OVERSAMPLING[control >> 2 & 7], OVERSAMPLING[self._osrs_h]

    def _measure_us(self) -> int:
        """DS 9.1, typical: 1 ms, and for each quantity 2 ms a sample, and 0.5 ms for pressure and humidity."""
        t, p, h = self._oversampling()
        return 1000 + 2000 * (t + p + h) + 500 * (bool(p) + bool(h))

    def _latch(self, at_us: int) -> None:
        """Puts the counts of the quantities at that moment into F7 to FE; x1 has 16 bits, each doubling one more."""
        t, p, h = self._oversampling()
        t_shift, p_shift = 5 - t.bit_length(), 5 - p.bit_length()
        target = self.measure("temperature", at_us) * 5120
        adc_t = nearest(target, 20 - t_shift, lambda count: fine_temperature(count << t_shift)) << t_shift
        t_fine = fine_temperature(adc_t)
        target = -self.measure("pressure", at_us)
        adc_p = nearest(target, 20 - p_shift, lambda count: -pressure_pa(count << p_shift, t_fine)) << p_shift
        humidity = 100.0 if self.has("humidity_stuck") else self.measure("humidity", at_us)
        adc_h = nearest(humidity, 16, lambda count: humidity_pct(count, t_fine))
        adc_t, adc_p = adc_t if t else SKIPPED, adc_p if p else SKIPPED
        adc_h = adc_h if h and not self.has("wrong_chip") else SKIPPED >> 4
        self.memory[DATA : DATA + 8] = (
            (adc_p << 4).to_bytes(3, "big") + (adc_t << 4).to_bytes(3, "big") + adc_h.to_bytes(2, "big")
        )
