"""What a node draws from its battery: the time in each state times the board's current in it.

Promises: every moment since the ledger began is in one state of the processor and one of the radio; the same run gives
the same sums. Leaves to others: the currents (the board files, with their sources) and what sensors draw.

A VM's computing takes no time here, so "run" holds what the buses, the flash and the network hold the processor up, and
is the smaller part of the truth; what a node spends waiting or asleep, which is nearly all, is counted in full.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OFF = "off"
DAY_S, HOUR_S, SECOND_US = 86_400, 3_600, 1_000_000
UA_PER_MA = 1000
# Not specified, so chosen: what a segment waits and sends around its bytes, and a rate that any home's Wi-Fi gives
FRAME_BYTES, FRAME_US, BYTES_PER_US = 1460, 300, 1.0


@dataclass(frozen=True)
class Draw:
    """What was drawn by state: for how long, and how much charge."""

    seconds: Mapping[str, float]
    mah: Mapping[str, float]
    span_s: float

    @property
    def total_mah(self) -> float:
        return sum(self.mah.values())

    @property
    def mah_per_day(self) -> float:
        return self.total_mah * DAY_S / self.span_s if self.span_s else 0.0

    def lines(self) -> list[str]:
        """A table to print: state, time, charge, share of the day's charge."""
        total = self.total_mah or 1.0
        rows = [
            f"{state:15} {self.seconds[state]:12.1f} s {mah:10.4f} mAh {100 * mah / total:5.1f} %"
            for state, mah in sorted(self.mah.items(), key=lambda pair: -pair[1])
        ]
        return [*rows, f"{self.mah_per_day:.2f} mAh a day, without its sensors"]


class Ledger:
    """The states of one board. `now_us` is the world's clock; the node says when a state begins, in the same time."""

    def __init__(self, current_ua: Mapping[str, int], now_us: Callable[[], int]) -> None:
        self._current_ua, self._now_us = current_ua, now_us
        self.restart()

    def restart(self) -> None:
        """Counts anew from now on, in the states that are."""
        self._states = getattr(self, "_states", {"processor": OFF, "radio": OFF})
        self._begun_us = self._now_us()
        self._since_us = dict.fromkeys(self._states, self._begun_us)
        self._spent_us: dict[str, float] = {}

    def processor(self, state: str, at_us: int) -> None:
        """One of off, boot, run, wait, light_sleep, deep_sleep."""
        self._enter("processor", state, at_us)

    def radio(self, state: str) -> None:
        """One of off, wifi_join, wifi_connected; from now on."""
        self._enter("radio", state, self._now_us())

    def sent(self, count: int) -> None:
        """The radio sent so many bytes."""
        air_us = math.ceil(count / FRAME_BYTES) * FRAME_US + count / BYTES_PER_US
        self._spent_us["wifi_send"] = self._spent_us.get("wifi_send", 0) + air_us

    def report(self) -> Draw:
        """Everything until now."""
        now_us = self._now_us()
        for part, state in self._states.items():
            self._enter(part, state, now_us)
        seconds = {state: us / SECOND_US for state, us in self._spent_us.items() if us and state != OFF}
        mah = {state: self._current_ua[state] / UA_PER_MA * s / HOUR_S for state, s in seconds.items()}
        return Draw(seconds, mah, (now_us - self._begun_us) / SECOND_US)

    def _enter(self, part: str, state: str, at_us: int) -> None:
        """A VM's clock may run a little before the world's: a state that the world ends earlier never was."""
        before = self._states[part]
        self._spent_us[before] = self._spent_us.get(before, 0) + max(0, at_us - self._since_us[part])
        self._since_us[part] = max(at_us, self._since_us[part])
        self._states[part] = state
