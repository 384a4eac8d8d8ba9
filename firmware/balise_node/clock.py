"""The node's clocks: milliseconds since boot that never wrap, and UTC as the gateway told it, with its uncertainty.

Integers only: on a board a float has 24 bits. Leaves to others: which acknowledgement may be trusted with the time
(one that newly releases a frame of this boot: a replayed one cannot), and writing the anchors.
"""

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DRIFT_PPM = 50  # of a board's crystal, temperature included: how fast the uncertainty grows
STEP_MS = 1000  # a correction of a tick or more is a step: it opens a new anchor
_PPM = 1_000_000


class BootClock:
    """Milliseconds since this object was made, from a tick counter that wraps (2**30 ms, 12.4 days, on boards).

    Must be asked at least once in half a wrap (6.2 days).
    """

    def __init__(self, ticks_ms: "Callable[[], Any]", ticks_diff: "Callable[[Any, Any], int]") -> None:
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._ms = 0

    def ms(self) -> int:
        """Milliseconds since boot, as wide as they need to be."""
        now = self._ticks_ms()
        self._ms += self._ticks_diff(now, self._last)
        self._last = now
        return self._ms


class UtcClock:
    """UTC = milliseconds since boot + an offset, once somebody has told it."""

    def __init__(self) -> None:
        self.offset_ms: int | None = None
        self._uncertainty_ms = 0
        self._told_at_ms = 0

    def uncertainty_ms(self, boot_ms: int) -> int:
        """What was told, plus what the crystal may have drifted since."""
        return self._uncertainty_ms + (boot_ms - self._told_at_ms) * DRIFT_PPM // _PPM

    def utc_ms(self, boot_ms: int) -> int:
        """UTC at a moment of this boot; only when it is known."""
        if self.offset_ms is None:
            raise ValueError("UTC is not known yet: ask offset_ms first")
        return boot_ms + self.offset_ms

    def hear(self, boot_ms: int, utc_ms: int, uncertainty_ms: int) -> int | None:
        """Somebody says that it is utc_ms now. Returns by how much the clock moved (0: first time), None: not at all.

        Taken: the first; one that is surer than what is known; and one that cannot both be true with what is known (the
        gateway's own clock was set, and what it said last counts).
        """
        offset_ms = utc_ms - boot_ms
        moved_ms = 0
        if self.offset_ms is not None:
            known_ms = self.uncertainty_ms(boot_ms)
            moved_ms = offset_ms - self.offset_ms
            if uncertainty_ms >= known_ms and abs(moved_ms) <= known_ms + uncertainty_ms:
                return None
        self.offset_ms = offset_ms
        self._uncertainty_ms = uncertainty_ms
        self._told_at_ms = boot_ms
        return moved_ms


class Slot:
    """A moment of the sampling grid: `ms` since 1970 (or since boot: `boot_domain`), and when that is since boot."""

    def __init__(self, boot_domain: bool, ms: int, at_boot_ms: int) -> None:
        self.boot_domain = boot_domain
        self.ms = ms
        self.at_boot_ms = at_boot_ms


class Grid:
    """Multiples of the period: of UTC once it is known, of the time since boot before. No slot is given twice."""

    def __init__(self, period_ms: int) -> None:
        self.period_ms = period_ms
        self._last: Slot | None = None
        self._last_utc_ms = -1

    def next(self, boot_ms: int, offset_ms: int | None) -> Slot:
        """The next slot after this moment; asking does not use it up."""
        if offset_ms is not None:
            ms = self._after(boot_ms + offset_ms)
            if ms == self._last_utc_ms and not self._gap_is_long(ms + self.period_ms - offset_ms):
                ms += self.period_ms  # the clock was set back by a little: the slot has its row already
            if ms > self._last_utc_ms:
                return Slot(False, ms, ms - offset_ms)
        ms = self._after(boot_ms)  # also while UTC, set back by much, goes through slots that have their rows
        return Slot(True, ms, ms)

    def use(self, slot: Slot) -> list[Slot]:
        """This slot's row is being made. Returns first and last of the slots before it that nobody used, or nothing.

        A slot counts as skipped when it lies between the two both by its name and by the time since boot: so a clock
        that is set skips none. Where rows go over from boot time to UTC, or back, the two grids do not join: none.
        """
        last, self._last = self._last, slot
        if not slot.boot_domain:
            self._last_utc_ms = slot.ms
        if last is None or last.boot_domain != slot.boot_domain:
            return []
        between_ms = min(slot.ms - last.ms, slot.at_boot_ms - last.at_boot_ms)
        skipped = (between_ms - 1) // self.period_ms
        if skipped <= 0:
            return []
        return [self._before(slot, skipped), self._before(slot, 1)]

    def _gap_is_long(self, at_boot_ms: int) -> bool:
        return self._last is not None and (at_boot_ms - self._last.at_boot_ms) * 2 >= self.period_ms * 3

    def _after(self, ms: int) -> int:
        return (ms // self.period_ms + 1) * self.period_ms

    def _before(self, slot: Slot, periods: int) -> Slot:
        less_ms = periods * self.period_ms
        return Slot(slot.boot_domain, slot.ms - less_ms, slot.at_boot_ms - less_ms)
