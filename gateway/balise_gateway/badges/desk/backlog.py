"""How many visits are still to be sent, for the screen: those in envelopes that a hub lacks, and those in none yet.

Promises a number from the journal alone, at most `MOST` looked at. Leaves sending to `delivery/`.
"""

import sqlite3
from collections.abc import Iterable

from balise_gateway.journal import tables
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import OWN, Log
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit

MOST = 64  # envelopes of a log; beyond that nobody at the door cares how many more there are
_BYTES = 1 << 22


def waiting(db: sqlite3.Connection, visit_logs: Iterable[int]) -> int:
    """The visits that the slowest of these logs' hubs lacks."""
    return max((_waiting(db, log) for log in visit_logs), default=0)


def _waiting(db: sqlite3.Connection, log: int) -> int:
    lacking = logs.to_send(db, log, logs.holding(db, log), _BYTES, MOST, visits_only=True)
    found = sum(isinstance(item, Visit) for stored in lacking for item in read_envelope(stored.cose).items)
    where = "entry > ? AND node = ? AND kind = ? AND (only_log IS NULL OR only_log = ?)"
    values = (Log.read(db, log).cursor, OWN, Visit.kind, log)
    return found + sum(1 for _ in tables.ENTRY.read(db, where, values))
