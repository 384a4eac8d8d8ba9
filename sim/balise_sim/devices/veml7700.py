"""VEML7700, Vishay: ambient light in 16-bit registers.

DS = Vishay VEML7700, document 84286, revision 1.8; AN = application note 84323. The count is the light of the last
whole integration. Not specified, so chosen here: the first integration begins 2.5 ms after the power bit is cleared,
the next ones follow without a pause, and until the first has ended the register reads as it was.
"""

from collections.abc import Mapping
from typing import ClassVar

from balise_sim.devices.base import I2CDevice, Quantity

ADDRESS = 0x10  # DS "slave address"
CONFIGURATION, ALS, WHITE = 0x00, 0x04, 0x05  # DS "command register format"
DEFAULT = 0x0001  # DS: off after power-up
GAIN = {0b00: 1, 0b01: 2, 0b10: 0.125, 0b11: 0.25}  # DS: bits 12:11
INTEGRATION_MS = {0b1100: 25, 0b1000: 50, 0b0000: 100, 0b0001: 200, 0b0010: 400, 0b0011: 800}  # DS: bits 9:6
FINEST_LX = 0.0042  # AN: per count at gain 2 and 800 ms
WAKE_US = 2_500  # DS: wait after switching on
MOST = 0xFFFF
WHITE_SHARE = 1.3  # of the ALS count under a lamp; not specified


class Model(I2CDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {"illuminance": Quantity(0, 35_230, 0.5376, 350)}
    FAULTS: ClassVar[dict[str, str]] = I2CDevice.FAULTS | {"blinded": "a lamp shines into the chip: the counter stops"}

    def __init__(self, address: int = ADDRESS, seed: int = 0) -> None:
        super().__init__(address, seed)
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._words = {CONFIGURATION: DEFAULT}
        self._pointer = CONFIGURATION
        self._on_since_us: int | None = None
        self._count = 0

    def on_write(self, data: bytes, now_us: int) -> None:
        self._settle(now_us)
        self._pointer = data[0]
        if len(data) < 3 or self._pointer > 0x03:  # DS: 00 to 03 can be written, a word each
            return
        word = data[1] | data[2] << 8
        if self._pointer == CONFIGURATION:
            was_off = self._words[CONFIGURATION] & 1
            self._on_since_us = None if word & 1 else now_us if was_off else self._on_since_us
        self._words[self._pointer] = word

    def on_read(self, n: int, now_us: int) -> bytes:
        self._settle(now_us)
        word = {ALS: self._count, WHITE: min(MOST, round(self._count * WHITE_SHARE))}.get(
            self._pointer, self._words.get(self._pointer, 0)
        )
        return (word.to_bytes(2, "little") * (n // 2 + 1))[:n]

    def _settle(self, now_us: int) -> None:
        """Takes over the last integration that has ended."""
        if self._on_since_us is None:
            return
        word = self._words[CONFIGURATION]
        integration_ms = INTEGRATION_MS.get(word >> 6 & 0b1111, 100)
        whole = (now_us - self._on_since_us - WAKE_US) // (integration_ms * 1000)
        if whole < 1:
            return
        ended_us = self._on_since_us + WAKE_US + whole * integration_ms * 1000
        count_lx = FINEST_LX * (2 / GAIN[word >> 11 & 0b11]) * (800 / integration_ms)
        light = self.measure("illuminance", ended_us) / count_lx
        self._count = MOST if self.has("blinded") else min(MOST, round(light))
