"""SHT3x-DIS temperature and humidity chip: single shots, periodic measurement, status, heater, reset.

DS = Sensirion "Datasheet SHT3x-DIS", version 5 (2018-05). Not specified, so chosen here: the heater warms the chip by
3 K, a periodic measurement is latched at the moment it is fetched. Not played: alert limits, the accelerated response.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from balise_sim.devices._command import Command, CommandDevice
from balise_sim.devices.base import Quantity

HEATER_K = 3.0
ALERT, HEATER, WAS_RESET = 1 << 15, 1 << 13, 1 << 4  # DS 4.11 table 18
HIGH_US, MEDIUM_US, LOW_US = 15_000, 6_000, 4_000  # DS 2.2 table 4: at most
PERIODIC = {  # DS 4.5 table 10: commands of high, medium and low repeatability by their period
    2_000_000: (0x2032, 0x2024, 0x202F),
    1_000_000: (0x2130, 0x2126, 0x212D),
    500_000: (0x2236, 0x2220, 0x222B),
    250_000: (0x2334, 0x2322, 0x2329),
    100_000: (0x2737, 0x2721, 0x272A),
}


def periodic(period_us: int) -> Command:
    """A command that begins to measure by itself (DS 4.5)."""

    def act(model: "Model", words: Sequence[int], at_us: int) -> None:
        model.begin(period_us, at_us)

    return Command(act, 1_000, "DS 4.5")


class Model(CommandDevice):
    CHANNELS = {  # noqa: RUF012 - DS 1.1, 1.2
        "temperature": Quantity(-40.0, 85.0, 0.01, 20.0),
        "humidity": Quantity(0.0, 100.0, 0.01, 55.0),
    }
    REPORTS: ClassVar[Mapping[str, str]] = {"sht31_status": "alerts, heater, resets and refused commands (DS 4.11)"}
    FAULTS: ClassVar[dict[str, str]] = CommandDevice.FAULTS | {
        "heater_stuck": "the heater stays on, whatever it is told: 3 K too warm, and the status says so",
    }

    def __init__(self, address: int = 0x44, seed: int = 0) -> None:
        super().__init__(address, seed)

    def reset(self, now_us: int) -> None:
        super().reset(now_us)
        self._events = ALERT | WAS_RESET  # DS 4.11: both are set after power on
        self._heats = False
        self._period_us = 0
        self._next_us = 0

    def is_measuring(self) -> bool:
        return self._period_us > 0

    def begin(self, period_us: int, at_us: int) -> None:
        self._period_us, self._next_us = period_us, at_us + period_us

    def _counts(self, at_us: int) -> Sequence[int]:
        warm_c = self.measure("temperature", at_us) + (HEATER_K if self._is_hot() else 0.0)
        rh_pct = self.measure("humidity", at_us)
        return round((warm_c + 45) / 175 * 65535), round(rh_pct / 100 * 65535)  # DS 4.13, backwards

    def _is_hot(self) -> bool:
        return self._heats or self.has("heater_stuck")

    def _single(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return self._counts(at_us)

    def _fetch(self, words: Sequence[int], at_us: int) -> Sequence[int] | None:  # DS 4.6
        if not self._period_us or at_us < self._next_us:
            return None
        self._next_us = at_us + self._period_us
        return self._counts(at_us)

    def _break(self, words: Sequence[int], at_us: int) -> None:  # DS 4.8
        self._period_us = 0

    def _soft_reset(self, words: Sequence[int], at_us: int) -> None:  # DS 4.9
        self.reset(at_us - self.POWER_UP_US)

    def _status(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        return (self._events | (HEATER if self._is_hot() else 0),)

    def _clear(self, words: Sequence[int], at_us: int) -> None:
        self._events = 0

    def _heater_on(self, words: Sequence[int], at_us: int) -> None:
        self._heats = True

    def _heater_off(self, words: Sequence[int], at_us: int) -> None:
        self._heats = False

    COMMANDS = {  # noqa: RUF012 - the data sheet's tables
        0x2400: Command(_single, HIGH_US, "DS 4.3"),
        0x240B: Command(_single, MEDIUM_US, "DS 4.3"),
        0x2416: Command(_single, LOW_US, "DS 4.3"),
        0xE000: Command(_fetch, 0, "DS 4.6", measuring=True),
        0x3093: Command(_break, 1_000, "DS 4.8", measuring=True),
        0x30A2: Command(_soft_reset, 1_500, "DS 4.9", measuring=True),
        0x306D: Command(_heater_on, 1_000, "DS 4.10", measuring=True),
        0x3066: Command(_heater_off, 1_000, "DS 4.10", measuring=True),
        0xF32D: Command(_status, 1_000, "DS 4.11", measuring=True),
        0x3041: Command(_clear, 1_000, "DS 4.11", measuring=True),
        **{code: periodic(period_us) for period_us, codes in PERIODIC.items() for code in codes},
    }
