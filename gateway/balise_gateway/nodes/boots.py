"""What is known of each node and of each of its boots: the replay window, its time, and acknowledgement numbers.

Promises that a frame is new once, whatever comes again and however often the gateway restarts; that no acknowledgement
number is used twice; and that a boot so old that its window was dropped is refused, not taken for new.
Leaves committing to `intake.py`.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from balise_gateway.clock import DRIFT_PPM
from balise_gateway.journal import tables
from balise_gateway.journal.tables import Row
from balise_wire import cbor
from balise_wire.frames import FrameKeys
from balise_wire.items import Anchor, Readings
from balise_wire.window import WINDOW, Window

KEPT_BOOTS = 4096  # two weeks of a node that wakes from deep sleep every five minutes
RESERVED_ACKS = 256  # numbers set apart in one commit, so that a repeat can be answered without another
DATED_MS = 5_000  # rows that stand in UTC are right within this; a less certain anchor stands beside its rows
MAX_REMEMBERED = 20_000  # boots in memory; the journal has all
_BITMAP_BYTES = WINDOW // 8


@dataclass(slots=True)
class Boot:
    """One boot. `window` has all frames that were taken, `held` those that are on disk."""

    kid: bytes
    boot: int
    window: Window = field(default_factory=Window)
    held: Window = field(default_factory=Window)
    first_tag: bytes | None = None
    anchor: Anchor | None = None
    last_tick_ms: int | None = None
    last_utc_ms: int | None = None
    arrived_utc_ms: int | None = None  # all that is held of it had come by then; None: not known, by now
    conflict: bool = False  # another frame has claimed the name of one that is held: nothing of this boot is believed

    @classmethod
    def of_row(cls, row: Row) -> "Boot":
        kid, boot, contiguous, bitmap, first_tag, anchor, *times = row
        window, held = (Window(contiguous, int.from_bytes(bitmap, "big")) for _ in range(2))
        return cls(kid, boot, window, held, first_tag, _anchor_of(anchor), *times)

    def row(self) -> Row:
        window = self.window
        bitmap = window.bitmap.to_bytes(_BITMAP_BYTES, "big")
        anchor = None if self.anchor is None else cbor.encode(self.anchor.pack())
        times = (self.last_tick_ms, self.last_utc_ms, self.arrived_utc_ms)
        return (self.kid, self.boot, window.contiguous, bitmap, self.first_tag, anchor, *times)

    @property
    def is_unheard(self) -> bool:
        """Nothing of this boot was ever taken."""
        return self.window.contiguous == 0 and self.window.bitmap == 0

    def is_new(self, count: int) -> bool:
        return not self.window.holds(count)

    def is_conflict(self, count: int, tag: bytes) -> bool:
        """Has this boot's first frame come with other bytes than the one that is held?

        Then the node counts its boots from 1 again under an old key: its frames would be taken for repeats and dropped.
        """
        self.conflict = self.conflict or (count == 1 and self.first_tag is not None and self.first_tag != tag)
        return self.conflict

    def committed(self) -> None:
        self.held = Window(self.window.contiguous, self.window.bitmap)

    def take(self, count: int, tag: bytes) -> None:
        """Marks a new frame. One beyond the window says what its sender has given up (balise_wire.window)."""
        if not self.window.reaches(count):
            self.window.skip(count - WINDOW)
        self.window.add(count)
        if count == 1:
            self.first_tag = tag

    def note_anchor(self, anchor: Anchor) -> None:
        """Keeps the best anchor; the first of several as good ones, so that rows stay on one grid.

        Of two that cannot both be true the later one counts: the clock that told them was set meanwhile.
        """
        known = self.anchor
        if known is None:
            self.anchor = anchor
        elif anchor.boot_ms != known.boot_ms and _contradicts(known, anchor):
            self.anchor = max(known, anchor, key=lambda told: told.boot_ms)
        elif anchor.uncertainty_ms < known.uncertainty_ms:
            self.anchor = anchor

    def note_times(self, readings: Readings, tick_ms: int) -> None:
        """Remembers the last moment that this boot is known to have lived to."""
        last_ms = max(readings.times) * tick_ms
        if readings.boot is None:
            self.last_utc_ms = max(last_ms, self.last_utc_ms or 0)
        else:
            self.last_tick_ms = max(last_ms, self.last_tick_ms or 0)

    def earliest_end_utc_ms(self) -> int | None:
        """This boot lasted at least until then; None when nothing is known of its time."""
        unsure_ms = DATED_MS if self.anchor is None else max(DATED_MS, self.anchor.uncertainty_ms)
        moments = [] if self.last_utc_ms is None else [self.last_utc_ms - unsure_ms]
        if self.anchor is not None:
            lived_ms = max(0, (self.last_tick_ms or 0) - self.anchor.boot_ms)
            moments.append(self.anchor.utc_ms - self.anchor.uncertainty_ms + lived_ms)
        return max(moments, default=None)

    def latest_start_utc_ms(self) -> int | None:
        """This boot began no later than then; None without an anchor."""
        anchor = self.anchor
        return None if anchor is None else anchor.utc_ms - anchor.boot_ms + anchor.uncertainty_ms


def _contradicts(one: Anchor, other: Anchor) -> bool:
    """Whether no clock that drifts as a board's does could have told both."""
    moved_ms = abs((one.utc_ms - one.boot_ms) - (other.utc_ms - other.boot_ms))
    drift_ms = abs(one.boot_ms - other.boot_ms) * DRIFT_PPM // 1_000_000
    return moved_ms > one.uncertainty_ms + other.uncertainty_ms + drift_ms


def _anchor_of(packed: bytes | None) -> Anchor | None:
    if packed is None:
        return None
    members = cbor.decode(packed)
    return Anchor(*members[1:]) if isinstance(members, list) else None


@dataclass(slots=True)
class Node:
    """One node of the configuration."""

    name: str
    keys: FrameKeys
    ack_next: int = 1  # the number of the next acknowledgement
    ack_limit: int = 1  # numbers below are reserved on disk
    top_boot: int = 0
    floor_boot: int = 0  # boots below are refused: what was held of them is forgotten
    rows: int = 0
    latest: dict[str, object] = field(default_factory=dict)

    def take_row(self, row: Row) -> None:
        """What the journal remembers."""
        _, self.ack_next, self.top_boot, self.floor_boot, self.rows, latest = row
        self.ack_limit = self.ack_next
        decoded = cbor.decode(latest)
        self.latest = {str(name): value for name, value in decoded.items()} if isinstance(decoded, dict) else {}

    def row(self) -> Row:
        """What to remember, with more numbers reserved; call `committed` when it is on disk."""
        sums = (self.ack_next + RESERVED_ACKS, self.top_boot, self.floor_boot, self.rows)
        return (self.keys.kid, *sums, cbor.encode(self.latest))

    def committed(self) -> None:
        self.ack_limit = self.ack_next + RESERVED_ACKS

    def is_retired(self, boot: int) -> bool:
        """By rank, not by distance: a node whose flash was erased draws its next number at random, maybe far below."""
        return boot < self.floor_boot


class Boots:
    """The boots in use, read from the journal when first asked for."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[bytes, int], Boot] = {}

    def get(self, db: sqlite3.Connection, kid: bytes, boot: int) -> Boot:
        """The state of one boot; a new one when nothing is known of it."""
        found = self._remembered.get((kid, boot))
        if found is None:
            row = tables.BOOT.one(db, "node = ? AND boot = ?", (kid, boot))
            found = Boot(kid, boot) if row is None else Boot.of_row(row)
            self._remembered[kid, boot] = found
        return found

    def remembered(self, kid: bytes, boot: int) -> Boot:
        """The state of a boot that was asked for since the last `shrink`, or was kept by it."""
        return self._remembered[kid, boot]

    def shrink(self, keep: Iterable[tuple[bytes, int]]) -> None:
        """Forgets, after a commit, what the journal remembers; not those to `keep`."""
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered = {key: self._remembered[key] for key in keep}


def retire(db: sqlite3.Connection, node: Node) -> None:
    """Keeps the KEPT_BOOTS highest boots of a node; the others are refused from now on, and forgotten."""
    kid = node.keys.kid
    lowest = "SELECT boot FROM boot WHERE node = ? ORDER BY boot DESC LIMIT 1 OFFSET ?"
    row = db.execute(lowest, (kid, KEPT_BOOTS - 1)).fetchone()
    if row is None or row[0] <= node.floor_boot:
        return
    node.floor_boot = row[0]
    for table in ("boot", "boot_manifest", "log_domain"):
        db.execute(f"DELETE FROM {table} WHERE node = ? AND boot < ?", (kid, node.floor_boot))
