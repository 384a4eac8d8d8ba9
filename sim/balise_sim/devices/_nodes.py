"""What SEN5x and SEN6x have in common: a data-ready flag, unknown values, settings, VOC state, a status.

DS = Sensirion "Datasheet SEN5x" version 2 (2022-03). Promises that an order that the mode does not allow does nothing
and is acknowledged, as the maker's drivers describe it. Leaves to the models their commands, channels and status bits.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices._seconds import SECOND_US, Engine, Trouble
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

TUNING = (
    (100, 12, 12, 180, 50, 230),
    (1, 12, 12, 720, 50, 230),
)  # DS 6.1.8, 6.1.9: of VOC and NOx, as they leave the maker
TUNING_LIMITS = ((1, 250), (1, 1000), (1, 1000), (0, 3000), (10, 5000), (1, 1000))


class Setting(NamedTuple):
    """Words that an order sets and, without them, reads."""

    usual: tuple[int, ...]  # after power on
    limits: tuple[tuple[int, int], ...] = ()  # beyond them nothing happens
    idle_only: bool = False


def readers(settings: Mapping[int, Setting]) -> dict[int, Command]:
    def reader(code: int) -> Command:
        return Command(lambda model, words, at_us: model.settings[code], 20_000, "DS 6.1.6 to 6.1.10")

    return {code: reader(code) for code in settings}


def writers(settings: Mapping[int, Setting]) -> dict[int, Command]:
    def writer(code: int, row: Setting) -> Command:
        def act(model: "NodeDevice", words: Sequence[int], at_us: int) -> None:
            within = all(low <= word <= high for word, (low, high) in zip(words, row.limits, strict=False))
            if within and (model.engine.mode == "idle" or not row.idle_only):
                model.settings[code] = tuple(words)

        return Command(act, 20_000, "DS 6.1.6 to 6.1.10", words=len(row.usual))

    return {code: writer(code, row) for code, row in settings.items()}


def text(letters: str) -> Sequence[int]:
    """32 bytes, ended by zero (DS 6.1.14)."""
    return struct.unpack(">16H", letters.encode().ljust(32, b"\0"))


class NodeDevice(CommandDevice):
    """A model has CHANNELS, COMMANDS and TROUBLES; `unknown` names what this part does not have."""

    TROUBLES: ClassVar[Mapping[str, Trouble]]
    ROWS: ClassVar[Mapping[int, Setting]]
    SCALES: ClassVar[Mapping[str, int]]  # channel to its factor on the wire, in the order of sending
    SIGNED: ClassVar[frozenset[str]] = frozenset(("humidity", "temperature", "voc_index", "nox_index"))
    KEEPS_VOC_STATE: ClassVar[bool] = False  # over stop and start
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
        self.settings = {code: row.usual for code, row in self.ROWS.items()}
        self._learned = self._restored = 0
        self._since_us: int | None = None

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
            self._learned = self._restored or (self._learned if self.KEEPS_VOC_STATE else 0)
            self._restored, self._since_us = 0, at_us

    def on_stop(self, words: Sequence[int], at_us: int) -> None:
        if self.engine.mode == "measuring":
            self._learned, self._since_us = self._learning_s(at_us), None
            self.engine.stop(at_us)

    def _learning_s(self, at_us: int) -> int:
        return self._learned + (0 if self._since_us is None else (at_us - self._since_us) // SECOND_US)

    def on_state(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        """DS 6.1.11. Not specified, so chosen here: how many seconds it has learned."""
        return [self._learning_s(at_us) >> shift & 0xFFFF for shift in (48, 32, 16, 0)]

    def set_state(self, words: Sequence[int], at_us: int) -> None:
        if self.engine.mode == "idle":  # DS 6.1.11; it counts at the next start
            self._restored = sum(word << shift for word, shift in zip(words, (48, 32, 16, 0), strict=True))

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
