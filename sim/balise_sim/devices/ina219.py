"""INA219 supply monitor: six 16-bit registers, triggered and continuous conversions, the end of the shunt's range.

DS = Texas Instruments SBOS448G, revision G (2015-12). Not played: the power-down mode's slow start, sampling of single
voltages (both are always taken), the PGA's smaller ranges (what they would clip is not clipped).
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices.base import I2CDevice, Quantity

CONFIGURATION, SHUNT, BUS, POWER, CURRENT, CALIBRATION = range(6)  # DS 8.6.1 table 2
AT_RESET = {CONFIGURATION: 0x399F}  # DS table 2
WRITABLE = (CONFIGURATION, CALIBRATION)
RESET_BIT = 0x8000  # DS 8.6.2.1
READY, OVERFLOW = 0x02, 0x01  # DS 8.6.3.2
SHUNT_END = 32_000  # DS table 7: +-320 mV in steps of 10 uV
SAMPLE_US = 532  # DS table 5, 12 bits


def conversion_us(configuration: int) -> int:
    """DS table 5: 9 to 12 bits take 84 to 532 us, 2 to 128 samples so many times the last."""
    total = 0
    for code in (configuration >> 7 & 15, configuration >> 3 & 15):
        total += SAMPLE_US << (code & 7) if code & 8 else (84, 148, 276, 532)[code & 3]
    return total


class Model(I2CDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS 7.5, with 0.1 ohm
        "supply_voltage": Quantity(0.0, 26.0, 0.004, 5.0),
        "supply_current": Quantity(-3.2, 3.2, 0.0001, 0.08),
    }
    REPORTS: ClassVar[Mapping[str, str]] = {"supply_power": "voltage times current, which the driver computes"}
    FAULTS = I2CDevice.FAULTS | {
        "overflow": "the load takes more than the shunt can show: its reading stays at the end, OVF is set",
        "never_ready": "a conversion never ends",
    }

    def __init__(self, address: int = 0x40, shunt_milliohm: int = 100, seed: int = 0) -> None:
        super().__init__(address, seed)
        self._ohm = shunt_milliohm / 1000
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._registers = [AT_RESET.get(number, 0) for number in range(6)]
        self._pointer = 0
        self._start(now_us)

    def on_write(self, data: bytes, now_us: int) -> None:
        self._settle(now_us)
        self._pointer = data[0] & 7
        if len(data) < 3 or self._pointer not in WRITABLE:
            return
        value = data[1] << 8 | data[2]
        if self._pointer == CONFIGURATION and value & RESET_BIT:
            self.reset(now_us)
            return
        self._registers[self._pointer] = value
        if self._pointer == CONFIGURATION:
            self._registers[BUS] &= ~READY
            self._start(now_us)

    def on_read(self, n: int, now_us: int) -> bytes:
        self._settle(now_us)
        value = self._registers[self._pointer] if self._pointer < 6 else 0
        if self._pointer == POWER:
            self._registers[BUS] &= ~READY  # DS 8.6.3.2
        return (value.to_bytes(2, "big") * (n // 2 + 1))[:n]

    def _start(self, now_us: int) -> None:
        configuration = self._registers[CONFIGURATION]
        is_idle = configuration & 3 == 0  # DS table 6: power-down, and converter off
        self._ready_us = None if is_idle else now_us + conversion_us(configuration)

    def _settle(self, now_us: int) -> None:
        if self._ready_us is None or now_us < self._ready_us or self.has("never_ready"):
            return
        configuration = self._registers[CONFIGURATION]
        if configuration & 4:  # DS table 6: continuous
            cycle_us = conversion_us(configuration)
            self._ready_us += (now_us - self._ready_us) // cycle_us * cycle_us
            self._latch(self._ready_us)
            self._ready_us += cycle_us
        else:
            self._latch(self._ready_us)
            self._ready_us = None

    def _latch(self, at_us: int) -> None:
        volts, amperes = self.measure("supply_voltage", at_us), self.measure("supply_current", at_us)
        shunt = round(amperes * self._ohm / 10e-6)
        shunt = SHUNT_END if self.has("overflow") else min(max(shunt, -SHUNT_END), SHUNT_END)
        bus = round(volts / 0.004)
        current = shunt * self._registers[CALIBRATION] // 4096  # DS 8.5.1
        self._registers[SHUNT] = shunt & 0xFFFF
        self._registers[BUS] = bus << 3 | READY | (OVERFLOW if self.has("overflow") else 0)
        self._registers[CURRENT] = current & 0xFFFF
        self._registers[POWER] = abs(current) * bus // 5000 & 0xFFFF
