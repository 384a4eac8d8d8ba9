"""BME280 temperature, humidity and pressure chip: what _bosch.py says, and humidity.

DS = Bosch BST-BME280-DS002-15, revision 1.6 (2018-09). The humidity count is found backwards through the data sheet's
floating-point formula (8.1). The factory constants are a real chip's (pimoroni/bme280-python, tests/calibration.py,
MIT). Not played: SPI, the IIR filter.
"""

from collections.abc import Mapping
from struct import pack
from typing import ClassVar

from balise_sim.devices._bosch import CTRL_MEAS, ID, OVERSAMPLING, PressureChip, Trim, nearest
from balise_sim.devices.base import Quantity, Register

TRIM = Trim(  # DS 4.2.2 table 16
    t=(28009, 25654, 50),
    p=(39145, -10750, 3024, 5667, -120, -7, 15500, -14600, 6000),
)
H = (75, 376, 0, 286, 50, 30)

CTRL_HUM, HUMIDITY = 0xF2, 0xFD
NO_HUMIDITY = 0x8000  # DS 5.4.9: the output of a measurement that is off


def humidity_pct(adc: float, t_fine: float) -> float:
    """DS 8.1, before it is held in 0 to 100 %."""
    v = t_fine - 76800
    v = (adc - (H[3] * 64 + H[4] / 16384 * v)) * (H[1] / 65536 * (1 + H[5] / 67108864 * v * (1 + H[2] / 67108864 * v)))
    return v * (1 - H[0] * v / 524288)


class Model(PressureChip):
    CHIP_ID, SOLD_AS = 0x60, 0x58  # DS 5.4.1; BST-BMP280-DS001 4.3.1
    TRIM = TRIM
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS table 2
        **PressureChip.CHANNELS,
        "humidity": Quantity(0.0, 100.0, 0.008, 60.0),
    }
    FAULTS = PressureChip.FAULTS | {
        "wrong_chip": "a BMP280 (id 58) sold as BME280: no humidity",
        "humidity_stuck": "humidity stays at 100 %, as after condensation",
    }
    REGISTERS: ClassVar[Mapping[int, Register]] = {
        **PressureChip.REGISTERS,
        ID: Register(0x60, "r", "DS 5.4.1"),
        CTRL_HUM: Register(0x00, "rw", "DS 5.4.3"),
        HUMIDITY: Register(0x80, "r", "DS 5.3"),
        HUMIDITY + 1: Register(0x00, "r", "DS 5.3"),
    }

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self._osrs_h = 0  # DS 5.4.3: CTRL_HUM counts only once CTRL_MEAS is written

    def calibration(self) -> dict[int, bytes]:
        """DS 4.2.2 table 16; H4 and H5 have 12 bits each and share E5."""
        h1, h2, h3, h4, h5, h6 = H
        shared = (h4 & 0x0F) | (h5 & 0x0F) << 4
        second = pack("<hBbBbb", h2, h3, h4 >> 4, shared, h5 >> 4, h6)
        return {0x88: self.TRIM.packed() + bytes((0, h1)), 0xE1: second}

    def on_register(self, register: int, value: int, now_us: int) -> None:
        if register == CTRL_MEAS:
            self._osrs_h = self.memory[CTRL_HUM] & 7
        super().on_register(register, value, now_us)

    def _oversampling(self) -> tuple[int, ...]:
        return (*super()._oversampling(), OVERSAMPLING[self._osrs_h])

    def _latch(self, at_us: int) -> float:
        t_fine = super()._latch(at_us)
        humidity = 100.0 if self.has("humidity_stuck") else self.measure("humidity", at_us)
        adc_h = nearest(humidity, 16, lambda count: humidity_pct(count, t_fine))
        is_off = not self._osrs_h or self.has("wrong_chip")
        self.memory[HUMIDITY : HUMIDITY + 2] = (NO_HUMIDITY if is_off else adc_h).to_bytes(2, "big")
        return t_fine
