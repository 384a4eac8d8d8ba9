"""From rows to kept frames: numbers and seals them, puts them into the store, and remembers what could not be kept.

Promises: a frame is kept before it counts; a count is used for one content only, because only what the store took is
ever sent, and a frame that it refused leaves its count to the next; what is lost is told in a Loss item, first chance.
Leaves to others: measuring, sending.
"""

from balise_node import rows
from balise_node.rows import MANIFEST
from balise_node.store import HELLO, LOSS, ROW, FrameStore, StoreFull
from balise_wire import cbor
from balise_wire.frames import FrameKeys, seal_frame

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

    from balise_node.clock import Slot
    from balise_node.rows import Time

_TICK_MS = 1000
_TELL_AFTER = 60  # rows lost: an hour of them is told from the store's reserve, so that a power cut forgets no more
_MAX_RUNS = 8


def time_of(slot: "Slot", boot: int) -> "Time":
    """A slot as the wire writes it."""
    ticks = slot.ms // _TICK_MS
    return [boot, ticks] if slot.boot_domain else ticks


class Run:
    """Rows next to each other that were lost for one reason."""

    def __init__(self, first: "Slot", last: "Slot", reason: str, rows_lost: int) -> None:
        self.first, self.last, self.reason, self.rows_lost = first, last, reason, rows_lost

    def goes_on_with(self, other: "Run", period_ms: int) -> bool:
        """Is the other one its continuation?"""
        same = self.reason == other.reason and self.last.boot_domain == other.first.boot_domain
        return same and self.last.ms + period_ms == other.first.ms


class Keeper:
    """One boot's frames. Call `keep_row` for each row; the hello goes first by itself."""

    def __init__(self, keys: FrameKeys, store: FrameStore, node: str, boot: int, period_ms: int) -> None:
        self._keys, self._store, self._node = keys, store, node
        self.boot, self.count = boot, 0
        self._period_ms = period_ms
        self._hello: object | None = None
        self._manifest = b""  # as bytes: a boot may have to say it again, and objects take ten times as much
        self._anchor: list[object] | None = None
        self._runs: list[Run] = []

    def say_hello(self, manifest: bytes) -> None:
        """The first frame of the boot: what its columns mean, as packed CBOR."""
        self._manifest = manifest
        self.say_hello_again()

    def say_hello_again(self) -> None:
        """For a gateway that has not heard it, or has forgotten: without it no row of this boot has a meaning."""
        self._hello = cbor.decode(self._manifest)
        self._keep_hello()

    def tell_anchor(self, boot_ms: int, utc_ms: int, uncertainty_ms: int) -> None:
        """The clock was told or set: the next frame says so."""
        self._anchor = rows.anchor(self.boot, boot_ms, utc_ms, uncertainty_ms)

    def ask_time(self) -> None:
        """Sends what is to be told in a frame without readings, which the gateway answers at once, with its time."""
        self._keep(ROW, [])

    def keep_row(self, slot: "Slot", values: list[int | None], flags: dict[int, int]) -> bool:
        """Keep one row; False when there is no room: then it will be told as lost."""
        row = rows.readings(MANIFEST, time_of(slot, self.boot), values, flags)
        if self._keep_hello() and self._keep(ROW, [row]):
            return True
        self.note_lost(slot, slot, "store full", 1)
        return False

    def note_lost(self, first: "Slot", last: "Slot", reason: str, rows_lost: int) -> None:
        """Rows that never came to be kept."""
        run = Run(first, last, reason, rows_lost)
        if self._runs and self._runs[-1].goes_on_with(run, self._period_ms):
            self._runs[-1].last = last
            self._runs[-1].rows_lost += rows_lost
        else:
            self._runs.append(run)
        if len(self._runs) >= _MAX_RUNS or sum([run.rows_lost for run in self._runs]) >= _TELL_AFTER:
            self._tell_losses()

    def _tell_losses(self) -> None:
        """With a frame of their own, which may use the reserve."""
        if (self._keep_hello() and self._keep(LOSS, [])) or len(self._runs) < _MAX_RUNS:
            return
        second = self._runs[
            1
        ]  # not even there is room: two runs become one, which says too much rather than too little
        self._runs[0].last = second.last
        self._runs[0].rows_lost += second.rows_lost
        del self._runs[1]

    def _keep_hello(self) -> bool:
        if self._hello is None:
            return True
        if not self._keep(HELLO, [self._hello]):
            return False
        self._hello = None
        return True

    def _keep(self, kind: int, items: "list[Any]") -> bool:
        told = [] if kind == HELLO else self._to_tell()
        if not told + items:
            return True
        try:
            frame = seal_frame(self._keys, self.boot, self.count + 1, told + items)
            self._store.append(kind, self.boot, self.count + 1, frame)
        except StoreFull:
            return False
        self.count += 1
        if kind != HELLO:
            self._anchor = None
            self._runs.clear()
            self._store.lost.clear()
        return True

    def _to_tell(self) -> list[list[object]]:
        """Anchor and losses that no frame has told yet."""
        told = [] if self._anchor is None else [self._anchor]
        for boot, first, last in self._store.lost:
            told.append(rows.loss(self._node, "frames", [boot, first], [boot, last], "damaged in flash"))
        for run in self._runs:
            since, until = time_of(run.first, self.boot), time_of(run.last, self.boot)
            told.append(rows.loss(self._node, "rows", since, until, run.reason))
        return told
