"""Flags that come after their row: a spike is known by the value after it.

Promises that the flag stands in every log which has not closed the row yet: the entry that waits in the journal is
written again with it. A log that has closed the row keeps what was known then; an envelope never changes. Rare: only
where a spike was found. Leaves finding them to `judge.py`.
"""

import sqlite3
from collections.abc import Iterable

from balise_gateway.journal import bodies, tables
from balise_gateway.nodes.manifests import Columns, Manifests
from balise_gateway.quality import gross_range
from balise_gateway.quality.judge import Doubt
from balise_wire.items import Readings

MAX_ENTRIES = 4_096  # the newest of all nodes: the row came just before


def flag(db: sqlite3.Connection, manifests: Manifests, doubts: Iterable[Doubt]) -> None:
    """Writes these flags into the entries of their rows, where those still wait; inside a transaction."""
    oldest = tables.count(db, "next_entry") - MAX_ENTRIES
    for doubt in doubts:
        where = f"entry >= ? AND node = ? AND kind = {Readings.kind} ORDER BY entry DESC"
        for entry in tables.ENTRY.read(db, where, (oldest, doubt.kid)):
            body = _flagged(db, manifests, entry, doubt)
            if body is not None:
                tables.ENTRY.put(db, [(*entry[:-1], body)])
                break


def _flagged(db: sqlite3.Connection, manifests: Manifests, entry: tables.Row, doubt: Doubt) -> bytes | None:
    """The entry's body with the flag; None when the row is not in it."""
    item, columns = bodies.unpacked(entry[3], entry[-1]), manifests.of_digest(db, entry[4])
    if columns is None or not isinstance(item, Readings) or item.boot != doubt.boot:
        return None
    if doubt.channel not in columns.names:
        return None
    number, tick = columns.names.index(doubt.channel), doubt.at_ms // columns.tick_ms
    for row, at in enumerate(item.times):
        if at == tick and item.columns[number][row] == doubt.value:
            for column in (number, *_made_of(doubt.channel, columns)):
                item.flags[column] = gross_range.merged(item.flags.get(column, []), [(row, doubt.flag)])
            return bodies.packed(item)
    return None


def _made_of(channel: str, columns: Columns) -> list[int]:
    """The columns that were computed from this one."""
    head = channel.removesuffix("_cf1") + "."
    return [number for number, name in enumerate(columns.names) if name.startswith(head)]
