"""SPS30 dust sensor on I2C: idle, measurement and sleep mode, both formats, data-ready flag, cleaning, status.

DS = Sensirion "SPS30 Datasheet" version 2.0 (2023-06). Not specified, so chosen here: an order that does not fit the
mode is acknowledged and does nothing; before the first values there is nothing to read; 20 ms from power on to the
first acknowledgement.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import ClassVar

from balise_sim.devices import _sps30
from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices.base import Nack, Quantity

OPEN_US = 100_000  # DS 6.3.6: so long the interface of a sleeping sensor stays open
WAKE = 0x1103


def words_of(data: bytes) -> Sequence[int] | None:
    return struct.unpack(f">{len(data) // 2}H", data) or None


class Model(CommandDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = _sps30.CHANNELS
    REPORTS = _sps30.REPORTS
    FAULTS = (
        CommandDevice.FAULTS
        | _sps30.FAULTS
        | {"ignores_first_wake": "asleep, the first wake-up command is acknowledged, but only opens the interface"}
    )
    POWER_UP_US = 20_000

    def __init__(self, address: int = 0x69, seed: int = 0) -> None:
        self._engine = _sps30.engine(self)
        super().__init__(address, seed)

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self._engine.power_up(now_us)
        self._output = _sps30.FLOATS
        self._open_until_us = -1
        self._pointer = b""

    def settle(self, now_us: int) -> None:
        self._engine.settle(now_us)

    def on_write(self, data: bytes, now_us: int) -> None:
        if self._engine.mode == "sleeping" and not self._hears(data, now_us):
            return
        super().on_write(data, now_us)
        self._pointer = data if self._answer else b""

    def on_read(self, n: int, now_us: int) -> bytes:
        """DS 6.1: the pointer stays, so the same may be read again, as it is by then."""
        if self._engine.mode == "sleeping":
            raise Nack(f"0x{self.address:02x} sleeps")
        if not self._answer and self._pointer:
            super().on_write(self._pointer, now_us)
            self.busy_until_us = now_us
        return super().on_read(n, now_us)

    def _hears(self, data: bytes, now_us: int) -> bool:
        """Whether a sleeping sensor takes this; whatever comes first opens its interface (DS 6.3.6)."""
        is_open, self._open_until_us = now_us <= self._open_until_us, now_us + OPEN_US
        if is_open and data == WAKE.to_bytes(2, "big"):
            return True
        if self.has("ignores_first_wake") and not is_open:
            return False
        raise Nack(f"0x{self.address:02x} sleeps")

    def _start(self, words: Sequence[int], at_us: int) -> None:
        if self._engine.mode == "idle" and words[0] >> 8 in (_sps30.FLOATS, _sps30.INTEGERS):
            self._output = words[0] >> 8
            self._engine.start(at_us)

    def _stop(self, words: Sequence[int], at_us: int) -> None:
        if self._engine.mode == "measuring":
            self._engine.stop(at_us)

    def _ready(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (int(self._engine.new is not None),)

    def _read_values(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        self._engine.new = None
        return words_of(_sps30.packed(self._engine.latest, self._output))

    def _sleep(self, words: Sequence[int], at_us: int) -> None:
        if self._engine.mode == "idle":  # DS note 19
            self._engine.mode, self._open_until_us = "sleeping", -1

    def _wake(self, words: Sequence[int], at_us: int) -> None:
        if self._engine.mode == "sleeping":
            self._engine.mode = "idle"

    def _clean(self, words: Sequence[int], at_us: int) -> None:
        if self._engine.mode == "measuring":  # DS note 20
            self._engine.clean(at_us)

    def _interval(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return divmod(self._engine.interval_s, 1 << 16)

    def _set_interval(self, words: Sequence[int], at_us: int) -> None:
        self._engine.interval_s = words[0] << 16 | words[1]

    def _product(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        return words_of(_sps30.PRODUCT_TYPE)

    def _serial(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        return words_of(_sps30.SERIAL.ljust(32, b"\0"))

    def _version(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:
        return words_of(bytes(_sps30.FIRMWARE))

    def _status(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return divmod(self._engine.status | (_sps30.RESERVED if self.has("reserved_bits") else 0), 1 << 16)

    def _clear(self, words: Sequence[int], at_us: int) -> None:
        self._engine.status = 0

    def _reset(self, words: Sequence[int], at_us: int) -> None:
        self.reset(at_us - self.POWER_UP_US)

    COMMANDS: ClassVar[Mapping[int, Command]] = {  # DS table 8
        0x0010: Command(_start, 20_000, "DS 6.3.1", words=1),
        0x0104: Command(_stop, 20_000, "DS 6.3.2"),
        0x0202: Command(_ready, 0, "DS 6.3.3"),
        0x0300: Command(_read_values, 0, "DS 6.3.4"),
        0x1001: Command(_sleep, 5_000, "DS 6.3.5"),
        WAKE: Command(_wake, 5_000, "DS 6.3.6"),
        0x5607: Command(_clean, 5_000, "DS 6.3.7"),
        0x8004: Command(_interval, 5_000, "DS 6.3.8"),
        0xD002: Command(_product, 0, "DS 6.3.9"),
        0xD033: Command(_serial, 0, "DS 6.3.9"),
        0xD100: Command(_version, 0, "DS 6.3.10"),
        0xD206: Command(_status, 0, "DS 6.3.11"),
        0xD210: Command(_clear, 5_000, "DS 6.3.12"),
        0xD304: Command(_reset, 100_000, "DS 6.3.13"),
    }
    SETTINGS: ClassVar[Mapping[int, Command]] = {0x8004: Command(_set_interval, 20_000, "DS 6.3.8", words=2)}
