"""When a boot was, for nodes that started without a clock: anchors, and brackets where no anchor ever came.

Promises that a time is never guessed: it follows from the node's own anchor, or is a bracket that says how wide it is,
with the uncertainty of all that it rests on.
Leaves to `closing.py` which rows and logs it is for.
"""

import sqlite3

from balise_gateway.journal import tables
from balise_gateway.nodes.boots import DATED_MS, Boot
from balise_wire.items import Anchor, Readings

BETWEEN_SOURCE = "between"
EARLIEST_UTC_MS = 1_514_764_800_000  # 2018-01-01: no node of this kind ran before
_NEIGHBOURS = 64  # boots looked at on either side


def utc_ticks(ticks: int, anchor: Anchor, tick_ms: int) -> int:
    """The UTC tick nearest to a tick of the anchor's boot."""
    return (ticks * tick_ms - anchor.boot_ms + anchor.utc_ms + tick_ms // 2) // tick_ms


def in_utc(item: Readings, anchor: Anchor | None, tick_ms: int) -> list[int] | None:
    """The UTC ticks of these rows; None while their boot has no anchor that is good enough to stand for itself."""
    if item.boot is None:
        return item.times
    if anchor is None or anchor.uncertainty_ms > DATED_MS:
        return None
    ticks = [utc_ticks(tick, anchor, tick_ms) for tick in item.times]
    return ticks if min(ticks) >= 0 else None


def bracket(db: sqlite3.Connection, boot: Boot, latest_utc_ms: int | None) -> Anchor | None:
    """An anchor for a boot that has ended without one; None while it may still get one, or nothing is known.

    It is not later than `latest_utc_ms` now.

    The boot began after the last moment known of an earlier boot, and was over when its frames had arrived and when the
    next dated boot began. The anchor is the middle, its uncertainty half the width.
    """
    node = tables.NODE.one(db, "node = ?", (boot.kid,))
    if node is None or node[2] <= boot.boot:
        return None  # it may still be running
    ends = [end for end in (boot.arrived_utc_ms or latest_utc_ms, _start_of_next(db, boot)) if end is not None]
    if not ends:
        return None
    start_ms = _end_of_previous(db, boot)
    latest_start_ms = min(ends) - (boot.last_tick_ms or 0)
    low, high = max(0, min(start_ms, latest_start_ms)), max(start_ms, latest_start_ms)
    return Anchor(boot.boot, 0, (low + high) // 2, BETWEEN_SOURCE, (high - low + 1) // 2)


def _end_of_previous(db: sqlite3.Connection, boot: Boot) -> int:
    """The nearest earlier boot of which anything is known lasted until then."""
    where = f"node = ? AND boot < ? ORDER BY boot DESC LIMIT {_NEIGHBOURS}"
    for row in tables.BOOT.read(db, where, (boot.kid, boot.boot)):
        known_ms = Boot.of_row(row).earliest_end_utc_ms()
        if known_ms is not None:
            return known_ms
    return EARLIEST_UTC_MS


def _start_of_next(db: sqlite3.Connection, boot: Boot) -> int | None:
    """The nearest later boot with an anchor had begun by then."""
    where = f"node = ? AND boot > ? ORDER BY boot LIMIT {_NEIGHBOURS}"
    for row in tables.BOOT.read(db, where, (boot.kid, boot.boot)):
        known_ms = Boot.of_row(row).latest_start_utc_ms()
        if known_ms is not None:
            return known_ms
    return None
