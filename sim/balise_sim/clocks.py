"""Virtual time for asyncio: a loop that jumps to its next timer, and the clock that guests are handed.

Promises: on a VirtualLoop nothing depends on wall time: the same program gives the same order of events each run.
Leaves to others: pacing against real time and sharing a clock between processes (paced.py, shared_clock.py).
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NoReturn

YEAR_MS = 365 * 86_400_000
NOBODY_KNOWS_MS = 2**31 - 1  # what a gateway's clock says of itself when nobody has set it
CLOCK_MODES = {"right": 0, "ahead": YEAR_MS, "back": -YEAR_MS, "unknown": 0}  # by how much a gateway's clock is wrong


class Stalled(RuntimeError):
    """Every task waits and nothing is planned: virtual time has nowhere to go."""


class _JumpingSelector(selectors.SelectSelector):
    """Waits by telling the loop to jump; nothing real is ever waited for."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled("every task waits for something that no timer will bring: a deadlock in virtual time")
        if timeout > 0:
            self._jump(timeout)
        return []


class ExactTimers:
    """A loop on which no timer runs before its time, not even by a fraction.

    asyncio runs what is due within its clock's resolution. A callback that then finds its moment not come and asks
    again would do so for ever, because time stands still while there is something to run.
    """

    def time(self) -> float:
        raise NotImplementedError

    @property
    def _clock_resolution(self) -> float:
        return math.ulp(self.time())

    @_clock_resolution.setter
    def _clock_resolution(self, resolution_s: float) -> None:
        """asyncio sets what the system's clock has; it means nothing here."""


class VirtualLoop(ExactTimers, asyncio.SelectorEventLoop):
    """An event loop whose time() starts at 0 and moves only when there is nothing left to run.

    Real sockets, subprocesses and threads have no place here: what they would bring does not come in virtual time.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        return self._now_s

    def _jump(self, duration_s: float) -> None:
        # The next timer's own time, not now + duration: sums of floats would drift off the microsecond
        scheduled = self._scheduled  # type: ignore[attr-defined]
        self._now_s = max(self._now_s, scheduled[0].when()) if scheduled else self._now_s + duration_s

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        raise RuntimeError(f"{func!r} asks for a thread: threads run on wall time and would end virtual time's order")


class LoopClock:
    """The clock handed to a gateway or hub that runs on a loop of simulated time.

    `start_utc_ms` is UTC when the loop's time was 0. The boot began when this object was made. `mode` is one of
    CLOCK_MODES; a clock that is a year ahead or back believes itself, as after a wrong answer to NTP.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start_utc_ms: int, uncertainty_ms: int = 10) -> None:
        self._loop, self._start_utc_ms, self._uncertainty_ms = loop, start_utc_ms, uncertainty_ms
        self._boot_s = loop.time()
        self.mode = "right"

    def utc_ms(self) -> int:
        return self._start_utc_ms + int(self._loop.time() * 1000) + CLOCK_MODES[self.mode]

    def boot_ms(self) -> int:
        return int((self._loop.time() - self._boot_s) * 1000)

    def uncertainty_ms(self) -> int:
        return NOBODY_KNOWS_MS if self.mode == "unknown" else self._uncertainty_ms
