"""What BME280 and BMP280 share as chips: registers, forced and normal mode, measuring time, soft reset, T and P.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09); BST-BMP280-DS001-11 says the same of what is shared. The counts
are found backwards from the set values through the data sheet's floating-point formulas (8.1), not the integer ones
that drivers use, so each checks the other. Not played: SPI, the IIR filter.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from struct import pack
from typing import ClassVar, NamedTuple

from balise_sim.devices.base import Quantity, Register, RegisterDevice

ID, RESET, STATUS, CTRL_MEAS, CONFIG, DATA = 0xD0, 0xE0, 0xF3, 0xF4, 0xF5, 0xF7
MEASURING, COPYING = 0x08, 0x01  # DS 5.4.4
SOFT_RESET = 0xB6  # DS 5.4.2
COPY_US = 2_000  # DS table 1: start-up time
OVERSAMPLING = (0, 1, 2, 4, 8, 16, 16, 16)  # DS 5.4.3, 5.4.5
STANDBY_US = (500, 62_500, 125_000, 250_000, 500_000, 1_000_000, 10_000, 20_000)  # DS 5.4.6 table 27
SKIPPED = 0x80000  # DS 5.4.7, 5.4.8: the output of a measurement that is off


class Trim(NamedTuple):
    """A chip's factory constants dig_T1 to dig_P9, and what they make of counts."""

    t: tuple[int, ...]
    p: tuple[int, ...]

    def packed(self) -> bytes:
        """DS 4.2.2 table 16: as they lie in registers 88 to 9F."""
        return pack("<Hhh", *self.t) + pack("<Hhhhhhhhh", *self.p)

    def fine_temperature(self, adc: float) -> float:
        """DS 8.1: 1/5120 Cel."""
        return (adc / 16384 - self.t[0] / 1024) * self.t[1] + (adc / 131072 - self.t[0] / 8192) ** 2 * self.t[2]

    def pressure_pa(self, adc: float, t_fine: float) -> float:
        """DS 8.1; falls as adc rises."""
        v1, p = t_fine / 2 - 64000, self.p
        v2 = (v1 * v1 * p[5] / 32768 + v1 * p[4] * 2) / 4 + p[3] * 65536
        v1 = (1 + (p[2] * v1 * v1 / 524288 + p[1] * v1) / 524288 / 32768) * p[0]
        pa = (1048576 - adc - v2 / 4096) * 6250 / v1
        return pa + (p[8] * pa * pa / 2147483648 + pa * p[7] / 32768 + p[6]) / 16


def nearest(value: float, bits: int, curve: Callable[[int], float]) -> int:
    """The count of that many bits whose value on a rising curve is nearest."""
    at = bisect_left(range((1 << bits) - 1), value, key=curve)
    return at - 1 if at and value - curve(at - 1) < curve(at) - value else at


class PressureChip(RegisterDevice):
    """A model has CHIP_ID, SOLD_AS (the id under the fault wrong_chip), TRIM, and further registers and quantities."""

    CHIP_ID: ClassVar[int]
    SOLD_AS: ClassVar[int]
    TRIM: ClassVar[Trim]
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS tables 2 to 4; pressure at oversampling x1, 16 bits (DS 3.4.2)
        "temperature": Quantity(-40.0, 85.0, 0.01, 15.0),
        "pressure": Quantity(30000.0, 110000.0, 2.62, 101325.0),
    }
    FAULTS = RegisterDevice.FAULTS | {
        "measuring_forever": "the status says measuring, and never ends",
        "copying_forever": "the status says that the calibration is being copied (im_update), and never ends",
    }
    REGISTERS: ClassVar[Mapping[int, Register]] = {
        RESET: Register(0x00, "w", "DS 5.4.2"),
        STATUS: Register(0x00, "r", "DS 5.4.4"),
        CTRL_MEAS: Register(0x00, "rw", "DS 5.4.5"),
        CONFIG: Register(0x00, "rw", "DS 5.4.6"),
        **{DATA + i: Register(reset, "r", "DS 5.3") for i, reset in enumerate(b"\x80\0\0\x80\0\0")},
    }
    WRITES_IN_PAIRS = True  # DS 6.2.1

    def __init__(self, address: int = 0x76, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.reset(-COPY_US)

    def reset(self, now_us: int) -> None:
        self._clear()
        for start, values in self.calibration().items():
            self.memory[start : start + len(values)] = values
        self._copied_us = now_us + COPY_US
        self._ready_us: int | None = None

    def calibration(self) -> dict[int, bytes]:
        """The factory constants as they lie in the chip, by first register."""
        return {0x88: self.TRIM.packed()}

    def on_register(self, register: int, value: int, now_us: int) -> None:
        if register == RESET:
            if value == SOFT_RESET:
                self.reset(now_us)
            return
        super().on_register(register, value, now_us)
        if register == CTRL_MEAS:
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
        copying = now_us < self._copied_us or self.has("copying_forever")
        self.memory[STATUS] = (MEASURING if busy else 0) | (COPYING if copying else 0)
        self.memory[ID] = self.SOLD_AS if self.has("wrong_chip") else self.CHIP_ID

    def _oversampling(self) -> tuple[int, ...]:
        """Samples of temperature, of pressure, and of whatever else the chip measures."""
        control = self.memory[CTRL_MEAS]
        return OVERSAMPLING[control >> 5], OVERSAMPLING[control >> 2 & 7]

    def _measure_us(self) -> int:
        """DS 9.1, typical: 1 ms, 2 ms for each sample, and 0.5 ms for each quantity but temperature."""
        samples = self._oversampling()
        return 1000 + 2000 * sum(samples) + 500 * sum(map(bool, samples[1:]))

    def _latch(self, at_us: int) -> float:
        """Puts the counts of that moment into F7 to FC, and returns t_fine; x1 has 16 bits, each doubling one more."""
        t, p = self._oversampling()[:2]
        t_shift, p_shift, trim = 5 - t.bit_length(), 5 - p.bit_length(), self.TRIM
        target = self.measure("temperature", at_us) * 5120
        adc_t = nearest(target, 20 - t_shift, lambda count: trim.fine_temperature(count << t_shift)) << t_shift
        t_fine = trim.fine_temperature(adc_t)
        target = -self.measure("pressure", at_us)
        adc_p = nearest(target, 20 - p_shift, lambda count: -trim.pressure_pa(count << p_shift, t_fine)) << p_shift
        adc_t, adc_p = adc_t if t else SKIPPED, adc_p if p else SKIPPED
        self.memory[DATA : DATA + 6] = (adc_p << 4).to_bytes(3, "big") + (adc_t << 4).to_bytes(3, "big")
        return t_fine
