"""Gap (QARTOD test 1): rows that did not come when they should have.

Promises to find, from the usual distance of a device's rows, where rows are missing and how many. A gap is told when
the row after it comes; rows that come later still (a node's store) make it smaller, but it was one. Leaves to each
window's `expected` (`aggregates.py`) what that means for a mean. Nothing is flagged: there is no value to flag.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import sub

QARTOD = 1
LATE = 2.5  # usual distances without a row: one row may be lost or late, two are a gap
STEADY = 2.0  # longest to shortest usual distance: a device that speaks when something changes has no gaps
_KNOWN = 5  # distances that say what is usual


@dataclass(slots=True)
class Rhythm:
    """How far apart the rows of one device are, on one clock (`boot`, None for UTC)."""

    boot: int | None
    last_ms: int | None = None
    steps_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_KNOWN))

    def gaps(self, times_ms: Sequence[int]) -> Iterator[tuple[int, int]]:
        """(last row before, rows missing) of each gap that these rows end."""
        if self._are_even(times_ms):
            return
        for at_ms in times_ms:
            last_ms = self.last_ms
            if last_ms is not None and at_ms <= last_ms:
                continue
            if last_ms is not None:
                step_ms, known = at_ms - last_ms, self.steps_ms
                if len(known) == _KNOWN and step_ms > LATE * max(known) and max(known) <= STEADY * min(known):
                    yield last_ms, round(step_ms / sorted(known)[_KNOWN // 2]) - 1
                known.append(step_ms)
            self.last_ms = at_ms

    def _are_even(self, times_ms: Sequence[int]) -> bool:
        """Many rows at once: whether no step is long beside any other; then they are remembered."""
        if self.last_ms is None or len(self.steps_ms) < _KNOWN or len(times_ms) < _KNOWN:
            return False
        steps_ms = list(map(sub, times_ms, [self.last_ms, *times_ms[:-1]]))
        shortest = min(min(steps_ms), min(self.steps_ms))
        if shortest <= 0 or max(steps_ms) > LATE * shortest:
            return False
        self.steps_ms.extend(steps_ms[-_KNOWN:])
        self.last_ms = times_ms[-1]
        return True
