"""The ledger: what left, when, to whom, for what, and how many bytes.

Promises an entry before anything is sent, so that nothing leaves unnoted; its `bytes` are 0 until it is known to have
arrived, and a batch that is tried again keeps its entry. Readers of the station's own data have entries too, with no
log. Leaves sending to `gate.py`.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass

from balise_gateway.journal import tables


@dataclass(frozen=True)
class Entry:
    """One delivery of envelopes first_seq..last_seq of a log, or one answer to a reader (these three are None)."""

    at_utc_ms: int | None
    recipient: str
    purpose: str
    log: int | None
    first_seq: int | None
    last_seq: int | None
    rows: int
    size_bytes: int


def note(db: sqlite3.Connection, entry: Entry, number: int | None = None) -> int:
    """Writes an entry inside a transaction, over that of this number if one is given; returns its number."""
    if number is None:
        (number,) = db.execute("SELECT coalesce(max(ledger), 0) + 1 FROM ledger").fetchone()
    tables.LEDGER.put(db, [(number, *astuple(entry))])
    return int(number)


def entries(db: sqlite3.Connection) -> Iterator[Entry]:
    """All entries, oldest first."""
    for _, *row in tables.LEDGER.read(db, "TRUE ORDER BY ledger"):
        yield Entry(*row)
