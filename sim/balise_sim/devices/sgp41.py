"""SGP41 (or SGP40) gas sensor on the wire: conditioning, raw signals of a hot plate, self-test, feature set, serial.

DS = Sensirion "Datasheet SGP41", version 1.0 (2021-12), by the names of its sections; SGP40: "Datasheet SGP40", version
1.0 (2020-07). Not specified, so chosen here: a plate that is hot for less than 170 ms gives a fifth too few ticks; a
NOx pixel whose conditioning was held for more than 10 s gives 65535 for ever; the compensation of humidity moves
nothing. Not played: the general call.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices.base import Nack, Quantity

HEAT_US, CONDITION_US = 170_000, 10_000_000  # the maker's low-power example; DS conditioning
QUIET_US = 1_000_000  # for the fault that loses the state
COLD = 0.8
BURNT = 0xFFFF
FEATURES = {"sgp40": 0x3220, "sgp41": 0x0240}  # the lowest nine bits (ESPHome, sgp4x.h)
ONLY = {0x260F: "sgp40", 0x2612: "sgp41", 0x2619: "sgp41"}  # commands that the other chip does not have


class Model(CommandDevice):
    CHANNELS = {  # noqa: RUF012 - 16 bits of ticks; the maker's algorithm takes those below 65000
        "voc_raw": Quantity(1000.0, 64000.0, 1.0, 30000.0),
        "nox_raw": Quantity(1000.0, 64000.0, 1.0, 16000.0),
    }
    REPORTS: ClassVar[Mapping[str, str]] = {
        "voc_index": "what the driver makes of the ticks, when it is asked often",
        "nox_index": "what the driver makes of the ticks, when it is asked often",
    }
    FAULTS: ClassVar[dict[str, str]] = CommandDevice.FAULTS | {
        "conditioned_too_long": "the NOx pixel was conditioned for more than 10 s, and is destroyed",
        "state_lost": "whatever happens between samples resets it: the plate is cold at each first measurement",
    }
    POWER_UP_US = 600  # DS 2.2
    SERIAL: ClassVar[Sequence[int]] = (0x0000, 0x0123, 0x4567)

    def __init__(self, address: int = 0x59, variant: str = "sgp41", seed: int = 0) -> None:
        self._variant = variant
        self.is_burnt = False
        super().__init__(address, seed)

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self._hot_us: int | None = None  # since when
        self._conditioned_us: int | None = None  # since when it is being conditioned
        self._heard_us = now_us

    def settle(self, now_us: int) -> None:
        if self._conditioned_us is not None and now_us - self._conditioned_us > CONDITION_US:
            self.is_burnt = True
        if self.has("state_lost") and now_us - self._heard_us > QUIET_US and self._conditioned_us is None:
            self._hot_us = None
        self._heard_us = now_us

    def admit(self, code: int, row: Command) -> None:
        super().admit(code, row)
        if ONLY.get(code, self._variant) != self._variant:
            raise Nack(f"an {self._variant} has no {code:04x}")

    def _voc(self, at_us: int) -> int:
        """Starts the plate if it is cold (DS raw signals)."""
        self._hot_us = at_us if self._hot_us is None else self._hot_us
        return self._ticks("voc_raw", at_us)

    def _ticks(self, name: str, at_us: int) -> int:
        hot_us = at_us - (at_us if self._hot_us is None else self._hot_us)
        return round(self.measure(name, at_us) * (1.0 if hot_us >= HEAT_US else COLD))

    def _condition(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        if self._conditioned_us is None:
            self._conditioned_us = at_us
        return (self._voc(at_us),)

    def _measure(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        self._conditioned_us = None
        voc = self._voc(at_us)
        burnt = self.is_burnt or self.has("conditioned_too_long")
        return voc, BURNT if burnt else self._ticks("nox_raw", at_us)

    def _measure_40(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (self._voc(at_us),)

    def _self_test(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        """DS self-test: bit 0 is the VOC pixel, bit 1 the NOx pixel."""
        burnt = self.is_burnt or self.has("conditioned_too_long")
        return (0xD400 | (2 if burnt else 0),)

    def _heater_off(self, words: Sequence[int], at_us: int) -> None:
        self._hot_us = self._conditioned_us = None

    def _features(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (FEATURES[self._variant],)

    def _serial(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self.SERIAL

    COMMANDS: ClassVar[Mapping[int, Command]] = {
        0x2612: Command(_condition, 50_000, "DS conditioning", words=2),
        0x2619: Command(_measure, 50_000, "DS raw signals", words=2),
        0x260F: Command(_measure_40, 30_000, "SGP40 3.1", words=2),
        0x280E: Command(_self_test, 320_000, "DS self-test"),
        0x3615: Command(_heater_off, 1_000, "DS heater off"),
        0x202F: Command(_features, 1_000, "DS commands"),
        0x3682: Command(_serial, 1_000, "DS commands"),
    }
