"""Event loops on real sockets whose time is the world's: it passes at a pace of 1 to 1440 simulated seconds a second.

Promises: on the world's own loop every timer runs exactly at its virtual time, as on a VirtualLoop; real time only says
when it may. Loops of other processes follow the shared clock. When the machine is too slow, the pace drops and nobody
is late. Leaves to others: the clock's file (shared_clock.py).

    loop = PacedLoop(Leader(SharedClock.make(path, start_utc_ms), pace=1440))  # the world's process
    loop = PacedLoop(Follower(SharedClock.open(path)))  # any other; its clock is LoopClock(loop, start_utc_ms)
"""

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from typing import Protocol

from balise_sim.clocks import ExactTimers
from balise_sim.shared_clock import NEVER_US, SharedClock

SECOND_US = 1_000_000
SLACK_S, SLACK_REAL_S = 1.0, 0.004  # how far the world runs past a promise: the larger of both, in virtual time
HOLD_REAL_S = 0.1  # how long it waits for a process that does not move
NAP_REAL_S = 0.001  # shortest real pause of a follower: a timer may be that much late
DOZE_REAL_S = 0.25  # longest pause before looking at the clock again
MAX_LAG_REAL_S = 1.0  # a world that fell behind by more does not race to catch up

Ready = list[tuple[selectors.SelectorKey, int]]
Select = Callable[[float], Ready]


class Pace(Protocol):
    """Where a loop's time comes from."""

    def now_s(self) -> float: ...

    def select(self, really: Select, until_s: float | None) -> Ready:
        """Waits for descriptors until that virtual time (None: no end). `really` waits in real seconds."""

    def close(self) -> None: ...


class Leader:
    """The world's pace: owns time, and publishes it. `real_s` is the real clock."""

    def __init__(self, clock: SharedClock, pace: float, real_s: Callable[[], float] = time.monotonic) -> None:
        if pace <= 0:
            raise ValueError(f"a pace of {pace:g} does not move: 1 is real time, 1440 a day in a minute")
        self._clock, self._pace, self._real_s = clock, pace, real_s
        self._now_s = 0.0
        self._base_s, self._base_real_s = 0.0, real_s()
        self._slack_s = max(SLACK_S, SLACK_REAL_S * pace)
        self._held: dict[int, tuple[int, float]] = {}  # process to its promise, and since when the world waits for it
        self._publish(0.0)

    def now_s(self) -> float:
        return self._now_s

    def _publish(self, limit_s: float) -> None:
        """Others may let time pass up to `limit_s`: this loop does nothing before."""
        self._clock.publish(round(self._now_s * SECOND_US), round(limit_s * SECOND_US), self._pace)

    def _allowed_s(self, real_s: float) -> float:
        """How far virtual time may have come by now."""
        allowed_s = self._base_s + (real_s - self._base_real_s) * self._pace
        if allowed_s - self._now_s > MAX_LAG_REAL_S * self._pace:
            self._base_s, self._base_real_s = self._now_s, real_s
            allowed_s = self._now_s
        return allowed_s

    def _ceiling_s(self, allowed_s: float, real_s: float) -> float:
        """How far time may go without leaving a process behind that has something to do and still moves."""
        ceiling_s, held = allowed_s, {}
        for pid, promise_us in self._clock.promises().items():
            reach_s = promise_us / SECOND_US + self._slack_s
            if reach_s < allowed_s:
                before = self._held.get(pid)
                held[pid] = before if before and before[0] == promise_us else (promise_us, real_s)
                if real_s - held[pid][1] < HOLD_REAL_S:
                    ceiling_s = min(ceiling_s, reach_s)
        self._held = held
        return ceiling_s

    def select(self, really: Select, until_s: float | None) -> Ready:
        if until_s is not None and until_s <= self._now_s:
            self._publish(self._now_s)
            return really(0)
        target_s = math.inf if until_s is None else until_s
        while True:
            real_s = self._real_s()
            allowed_s = self._allowed_s(real_s)
            ceiling_s = self._ceiling_s(allowed_s, real_s)
            self._now_s = max(self._now_s, min(target_s, ceiling_s))
            if target_s <= ceiling_s:
                self._publish(self._now_s)
                return really(0)
            pause_s = min((target_s - allowed_s) / self._pace, DOZE_REAL_S) if ceiling_s == allowed_s else NAP_REAL_S
            self._publish(min(target_s, self._now_s + pause_s * self._pace))
            if ready := really(pause_s):
                return ready

    def close(self) -> None:
        self._clock.close()


class Follower:
    """The pace of any other process: reads the world's clock and promises when it is next busy."""

    def __init__(self, clock: SharedClock) -> None:
        self._clock = clock

    def now_s(self) -> float:
        return self._clock.now_us() / SECOND_US

    def select(self, really: Select, until_s: float | None) -> Ready:
        try:
            return self._select(really, until_s)
        finally:
            self._clock.promise(self._clock.now_us())  # busy from now on

    def _select(self, really: Select, until_s: float | None) -> Ready:
        now_s = self.now_s()
        if until_s is not None and until_s <= now_s:
            return really(0)
        self._clock.promise(NEVER_US if until_s is None else int(until_s * SECOND_US))
        while True:
            pace = max(self._clock.read().pace, 1e-3)
            pause_s = DOZE_REAL_S if until_s is None else min((until_s - now_s) / pace, DOZE_REAL_S)
            if ready := really(max(pause_s, NAP_REAL_S)):
                return ready
            now_s = self.now_s()
            if until_s is not None and now_s >= until_s:
                return []

    def close(self) -> None:
        self._clock.close()


class _PacedSelector(selectors.SelectSelector):
    """select() has the finest timeouts of all selectors, and a simulated street has few descriptors."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace
        self.next_timer_s: Callable[[], float] = pace.now_s

    def select(self, timeout: float | None = None) -> Ready:
        if timeout is None:
            return self._pace.select(super().select, None)
        # The next timer's own time, not now + timeout: sums of floats would drift off the microsecond
        return self._pace.select(super().select, self.next_timer_s() if timeout > 0 else 0.0)


class PacedLoop(ExactTimers, asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        selector = _PacedSelector(pace)
        super().__init__(selector)
        selector.next_timer_s = self._next_timer_s

    def time(self) -> float:
        return self._pace.now_s()

    def _next_timer_s(self) -> float:
        return float(self._scheduled[0].when())  # type: ignore[attr-defined]

    def close(self) -> None:
        super().close()
        self._pace.close()
