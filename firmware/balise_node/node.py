"""One boot of a node: wakes on the sampling grid, keeps one row per slot, and lets the sender push.

Promises that measuring never waits on the network, and that each slot has one row or is told as lost. Leaves to others:
what a row is made of, where it is kept, how it leaves, and what happens after a fault.
"""

import asyncio
import gc

from balise_node.board import Watchdog
from balise_node.clock import STEP_MS, BootClock, Grid, Slot, UtcClock
from balise_node.keeper import Keeper
from balise_node.sender import Sender
from balise_node.sensors import Sensors

_WAKE_EARLY_MS = 2_000  # on top of the warm-up: a slot must not be missed by a task that came a little late
_REST_MS = 10_000  # sensors sleep between rows when they gain at least this
_UNSURE_MS = 1_000  # the clock is asked for when it may be wrong by a tick
_ASK_EVERY_MS = 3_600_000
_LONGEST_PAUSE_MS = 3_600_000  # so that the clock of ms since boot is asked often enough


class Node:
    """One boot of one node."""

    def __init__(self, keeper: Keeper, sender: Sender, sensors: Sensors, clock: BootClock, period_ms: int) -> None:
        self._keeper, self._sender, self._sensors, self._clock = keeper, sender, sensors, clock
        self._utc = UtcClock()
        self._grid = Grid(period_ms)
        self._rests = period_ms >= sensors.warmup_ms + _WAKE_EARLY_MS + _REST_MS
        self._ready_ms: int | None = None  # since when the sensors are warm; None while they sleep
        self._clock_set = asyncio.Event()
        self._asked_ms = -_ASK_EVERY_MS
        self._told_uncertainty_ms = 0  # of the last anchor
        self.watchdog = Watchdog(0)  # none, until one is put in its place
        sender.told_time = self._told_time
        sender.forgotten = keeper.say_hello_again

    async def measure(self) -> None:
        """One row per slot, for ever."""
        self._sensors.listen()
        while True:
            slot = await self._next_slot()
            skipped = self._grid.use(slot)
            if skipped:
                count = (skipped[1].ms - skipped[0].ms) // self._grid.period_ms + 1
                print(f"late: {count} rows were not measured")
                self._keeper.note_lost(skipped[0], skipped[1], "late", count)
            self._keep(slot, self._sensors.sample(self.watchdog.feed))
            if self._rests:
                self._sensors.sleep()
                self._ready_ms = None

    def _keep(self, slot: Slot, values: list[int | None]) -> None:
        gc.collect()  # what is kept from here on fills the first holes, so that large ones stay
        self._ask_time()
        if self._keeper.keep_row(slot, values, self._sensors.flags):
            shown = " ".join(["-" if value is None else str(value) for value in values])
            utc = "-" if slot.boot_domain else str(slot.ms // 1000)
            print("kept", self._keeper.boot, self._keeper.count, utc, slot.at_boot_ms // 1000, shown)
        else:
            print("not kept: the store is full")
        self._sender.wake()

    async def _next_slot(self) -> Slot:
        """Waits for the next slot that the sensors can be ready for; plans anew when the clock is set meanwhile."""
        while True:
            now_ms = self._clock.ms()
            ready_ms = now_ms + self._sensors.warmup_ms if self._ready_ms is None else self._ready_ms
            slot = self._grid.next(max(now_ms, ready_ms - 1), self._utc.offset_ms)
            wake_ms = slot.at_boot_ms - self._sensors.warmup_ms - _WAKE_EARLY_MS
            if self._ready_ms is None and now_ms < wake_ms:
                await self._pause(wake_ms)
                continue
            if self._ready_ms is None:
                self._ready_ms = ready_ms
                self._sensors.wake(self.watchdog.feed)
            if await self._pause(slot.at_boot_ms):
                return slot

    async def _pause(self, until_ms: int) -> bool:
        """Sleeps; False when the clock was set before the time had come."""
        self._clock_set.clear()
        while True:
            self.watchdog.feed()
            left_ms = until_ms - self._clock.ms()
            if left_ms <= 0:
                return True
            left_ms = min(left_ms, self.watchdog.patience_ms or _LONGEST_PAUSE_MS)
            try:
                await asyncio.wait_for_ms(self._clock_set.wait(), left_ms)
            except asyncio.TimeoutError:  # noqa: UP041 (not a built-in of MicroPython)
                continue
            return False

    def _told_time(self, boot_ms: int, utc_ms: int, uncertainty_ms: int) -> None:
        first = self._utc.offset_ms is None
        moved_ms = self._utc.hear(boot_ms, utc_ms, uncertainty_ms)
        if moved_ms is None:
            return
        if first or abs(moved_ms) >= STEP_MS or uncertainty_ms < self._told_uncertainty_ms // 2:
            self._told_uncertainty_ms = uncertainty_ms
            print(f"clock: UTC {utc_ms // 1000}, within {uncertainty_ms} ms, set by {moved_ms} ms")
            self._keeper.tell_anchor(boot_ms, utc_ms, uncertainty_ms)
        self._clock_set.set()

    def _ask_time(self) -> None:
        """A frame without readings is answered at once, so its answer tells the time well."""
        now_ms = self._clock.ms()
        if self._utc.offset_ms is None or now_ms - self._asked_ms < _ASK_EVERY_MS:
            return
        uncertainty_ms = self._utc.uncertainty_ms(now_ms)
        if uncertainty_ms > _UNSURE_MS:
            self._asked_ms = now_ms
            self._told_uncertainty_ms = uncertainty_ms
            self._keeper.tell_anchor(now_ms, self._utc.utc_ms(now_ms), uncertainty_ms)
            self._keeper.ask_time()
