"""Which nodes and times an envelope of the home log holds, so that a question about a day opens few envelopes.

Promises that no envelope that may hold what is asked for is left out: one with rows whose time was not known is always
among those to look into. Envelopes that an older version closed get their spans from `fill`.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.rows import HubRow, rows_of


class Spans:
    """The spans of one envelope, while it is made."""

    def __init__(self) -> None:
        self._of: dict[bytes, tuple[int | None, int | None, int]] = {}

    def add(self, node: bytes, utc_ms: Iterable[int] | None) -> None:
        """Rows of a node at these times; None when they are not known."""
        first, last, rows = self._of.get(node, (0, 0, 0))
        times = list(utc_ms) if utc_ms is not None else []
        if utc_ms is None or (rows and first is None):
            self._of[node] = (None, None, rows + max(1, len(times)))
        elif times:
            low, high = min(times), max(times)
            if rows and first is not None and last is not None:
                low, high = min(low, first), max(high, last)
            self._of[node] = (low, high, rows + len(times))

    def put(self, db: sqlite3.Connection, seq: int) -> None:
        """Writes them for the envelope `seq`."""
        tables.SPAN.put(db, [(seq, node, *span) for node, span in sorted(self._of.items())])


def envelopes(db: sqlite3.Connection, from_ms: int, to_ms: int) -> Iterator[tuple[int, bytes]]:
    """(seq, bytes) of the home log's envelopes that may hold rows of from_ms <= UTC < to_ms, in order."""
    hit = "first_utc_ms IS NULL OR (first_utc_ms < ?3 AND last_utc_ms >= ?2)"
    where = f"log = ?1 AND seq IN (SELECT seq FROM span WHERE {hit}) ORDER BY seq"
    seqs = [seq for (seq,) in db.execute(f"SELECT seq FROM envelope WHERE {where}", (HOME_LOG, from_ms, to_ms))]
    for seq in seqs:
        row = tables.ENVELOPE.one(db, "log = ? AND seq = ?", (HOME_LOG, seq))
        if row is not None:
            yield seq, row[5]


def fill(db: sqlite3.Connection) -> int:
    """Makes the spans of home envelopes with rows that have none; returns how many envelopes those were."""
    where = "log = ? AND rows > 0 AND seq NOT IN (SELECT seq FROM span) ORDER BY seq"
    seqs = [seq for (seq,) in db.execute(f"SELECT seq FROM envelope WHERE {where}", (HOME_LOG,))]
    for seq in seqs:
        row = tables.ENVELOPE.one(db, "log = ? AND seq = ?", (HOME_LOG, seq))
        found = Spans()
        for told in rows_of(db, HOME_LOG, seq, row[5]) if row is not None else ():
            found.add(told.node.encode(), [told.utc_ms]) if isinstance(told, HubRow) else found.add(b"", None)
        found.put(db, seq)
    return len(seqs)
