"""What SEN5x and SEN6x have in common on the wire: words with checksums, a data-ready flag, unknown values, a status.

DS = Sensirion "Datasheet SEN5x" version 2 (2022-03). Promises that an order that the mode does not allow does nothing
and is acknowledged, as the maker's drivers describe it. Leaves to the models their commands, channels and status bits.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import ClassVar

from balise_sim.devices._command import CommandDevice
from balise_sim.devices._seconds import Engine, Trouble
from balise_sim.devices.base import Quantity

UNKNOWN, UNKNOWN_SIGNED = 0xFFFF, 0x7FFF  # DS 6.1.5 and the maker's driver

MASS = Quantity(0.0, 1000.0, 0.1, 8.0)  # DS table 3, step: DS 6.1.5
HUMIDITY = Quantity(0.0, 100.0, 0.01, 55.0)
TEMPERATURE = Quantity(-40.0, 70.0, 0.005, 20.0)
INDEX = Quantity(1.0, 500.0, 0.1, 100.0)  # DS table 5
FAULTS = {
    "no_new_values": "it measures, but there is never a new value",
    "all_unknown": "every value is said to be unknown",
    "fan_stopped": "the fan is on, but does not turn: bit 4 of the status",
    "fan_speed": "the fan turns too fast or too slowly: bit 21 of the status",
    "rht_error": "the humidity chip inside does not answer: bit 6 of the status, both values unknown",
    "gas_error": "the gas chip inside fails: bit 7 of the status, both indices as they are",
}
TROUBLES = {  # DS 5.4
    "fan_stopped": Trouble(1 << 4),
    "fan_speed": Trouble(1 << 21, ends=True, of_speed=True),
    "rht_error": Trouble(1 << 6),
    "gas_error": Trouble(1 << 7),
}


def text(letters: str) -> Sequence[int]:
    """32 bytes, ended by zero (DS 6.1.14)."""
    return struct.unpack(">16H", letters.encode().ljust(32, b"\0"))


class NodeDevice(CommandDevice):
    """A model has CHANNELS, COMMANDS and TROUBLES; `unknown` names what this part does not have."""

    TROUBLES: ClassVar[Mapping[str, Trouble]]
    SCALES: ClassVar[Mapping[str, int]]  # channel to its factor on the wire, in the order of sending
    SIGNED: ClassVar[frozenset[str]] = frozenset(("humidity", "temperature", "voc_index", "nox_index"))
    POWER_UP_US = 50_000  # DS table 8
    NOX_AFTER_US = 10_500_000  # since power on, by the maker's driver
    NAME = ""
    SERIAL = "7C2E90B15D34AF68"

    def __init__(self, address: int, seed: int = 0, unknown: Sequence[str] = ()) -> None:
        self.engine = Engine(self, tuple(self.CHANNELS), self.TROUBLES)
        self._unknown = frozenset(unknown)
        super().__init__(address, seed)

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self.engine.power_up(now_us)

    def settle(self, now_us: int) -> None:
        self.engine.settle(now_us)

    def is_known(self, name: str, at_us: int) -> bool:
        """Whether the part can say this by then."""
        if self.has("all_unknown") or name in self._unknown:
            return False
        if self.has("rht_error") and name in ("humidity", "temperature"):
            return False
        return name != "nox_index" or at_us - self.engine.powered_us >= self.NOX_AFTER_US

    def sent(self, names: Sequence[str], at_us: int) -> Sequence[int]:
        """The latest values as words."""
        self.engine.new = None
        latest = self.engine.latest
        words = []
        for name in names:
            if latest is None or not self.is_known(name, at_us):
                words.append(UNKNOWN_SIGNED if name in self.SIGNED else UNKNOWN)
            else:
                words.append(round(latest[name] * self.SCALES[name]) & 0xFFFF)
        return words

    def on_start(self, words: Sequence[int], at_us: int) -> None:
        if self.engine.mode == "idle":
            self.engine.start(at_us)

    def on_stop(self, words: Sequence[int], at_us: int) -> None:
        if self.engine.mode == "measuring":
            self.engine.stop(at_us)

    def on_ready(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (int(self.engine.new is not None),)

    def on_status(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return divmod(self.engine.status, 1 << 16)

    def on_clear(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        """It may also be read before it is gone, by the maker's driver."""
        shown = self.on_status(words, at_us)
        self.engine.status = 0
        return shown

    def on_name(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return text(self.NAME)

    def on_serial(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return text(self.SERIAL)

    def on_reset(self, words: Sequence[int], at_us: int) -> None:
        self.reset(at_us - self.POWER_UP_US)
