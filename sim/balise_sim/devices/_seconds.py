"""The inside of Sensirion's particle sensors: modes, a new set of values every second, fan cleaning, a status register.

Promises that only time, orders and faults change it. Leaves to the models the commands and how values are sent. Values
are right from the first one on: what data sheets call start-up time is how long noise is averaged, and these have none.
Not specified, so chosen here: a stopped fan or a weak laser leaves the values as they are; time asleep does not count
towards the next cleaning.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

SECOND_US = 1_000_000  # SPS30 4.1, SEN5x 5.1: new readings every second
CLEANING_US = 10_000_000  # SPS30 4.2, SEN5x 5.2
START_UP_US = 3_000_000  # SPS30 4.4, SEN5x 5.4: so long the fan's speed is not looked at
WEEK_S = 604_800  # SPS30 4.2, SEN5x 5.2: default interval of cleaning


class Trouble(NamedTuple):
    """What a fault does to the status register."""

    bit: int
    ends: bool = False  # by itself, when the fault does
    of_speed: bool = False  # not looked at while the fan starts or is cleaned


class World(Protocol):
    """What the engine asks of its device model."""

    def measure(self, name: str, at_us: int) -> float: ...
    def has(self, fault: str) -> bool: ...


class Engine:
    """The sensor itself: `channels` are measured every second. Every call is handed a time that does not go back."""

    def __init__(self, world: World, channels: tuple[str, ...], troubles: Mapping[str, Trouble]) -> None:
        self._world, self._channels, self._troubles = world, channels, troubles
        self.interval_s = WEEK_S
        self.power_up(0)

    def power_up(self, now_us: int) -> None:
        self.mode = "idle"
        self.status = 0
        self.powered_us = now_us
        self._fan_us = 0  # how long the fan has run since it was cleaned
        self.new: Mapping[str, float] | None = None
        self.latest: Mapping[str, float] | None = None
        self._begin(now_us)

    def _begin(self, now_us: int) -> None:
        self._started_us = now_us
        self._seconds = 0
        self._due = False  # whether a second has ended whose values are not taken yet
        self._wrong = dict.fromkeys(self._troubles, 0)
        self._cleaned_us = now_us  # the end of the last cleaning

    def start(self, now_us: int) -> None:
        """From idle mode."""
        self.mode = "measuring"
        self.new = self.latest = None
        self._begin(now_us)

    def stop(self, now_us: int) -> None:
        self.settle(now_us)
        self.mode = "idle"

    def clean(self, now_us: int) -> None:
        """Meanwhile values are not updated (SPS30 4.2, SEN5x 5.2)."""
        self.settle(now_us)
        self._cleaned_us = now_us + CLEANING_US
        self._fan_us = 0

    def cleans(self, now_us: int) -> bool:
        return self.mode == "measuring" and now_us < self._cleaned_us

    def settle(self, now_us: int) -> None:
        """Lives through the seconds up to now."""
        if self.mode != "measuring":
            return
        while self._seconds < (now_us - self._started_us) // SECOND_US:
            self._seconds += 1
            self._second(self._started_us + self._seconds * SECOND_US)
        at_us = self._started_us + self._seconds * SECOND_US
        if self._due and at_us > self._cleaned_us and not self._world.has("no_new_values"):
            self.latest = self.new = {name: self._world.measure(name, at_us) for name in self._channels}
        self._due = False

    def _second(self, at_us: int) -> None:
        self._due = True
        self._fan_us += SECOND_US
        for fault, trouble in self._troubles.items():
            self._wrong[fault] = self._wrong[fault] + 1 if self._world.has(fault) else 0
            if trouble.of_speed and (at_us - self._started_us <= START_UP_US or at_us <= self._cleaned_us):
                self._wrong[fault] = 0
            if self._wrong[fault] >= 2:  # SPS30 4.4, SEN5x 5.4: twice in succession
                self.status |= trouble.bit
            elif trouble.ends:
                self.status &= ~trouble.bit
        if 0 < self.interval_s * SECOND_US <= self._fan_us:
            self._cleaned_us = at_us + CLEANING_US
            self._fan_us = 0
