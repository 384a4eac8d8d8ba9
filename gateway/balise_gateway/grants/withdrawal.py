"""After a withdrawal, or a grant that lets through less: what was signed and may not be at the hub yet is erased.

Promises that nothing leaves that was granted once and is not any more; that the next grant's log says which numbers are
missing; that no number is given twice; and that the log's proofs stay possible (table `leaf`).
"""

import sqlite3

from balise_gateway.journal import tables
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import Log
from balise_wire.items import Loss
from balise_wire.log import leaf_hash

REASON = "not granted any more when it was to be sent"


def erase_unsent(db: sqlite3.Connection, log: Log, event: int) -> None:
    """Erases the envelopes of a log that its hub may not have, and remembers from which one on.

    Once for each event: what is signed after it may leave. While the hub has yet to say how far the log had gone, the
    first stays: it is asked with one that it had before.
    """
    if tables.count(db, _event(log)) >= event:
        return
    asks = min(1, tables.count(db, tables.ask_hub(log.log)))
    if not asks:
        tables.COUNTER.put(db, [(_event(log), event)])
    first_seq = max(1, log.hub_next) + asks
    found = list(tables.ENVELOPE.read(db, "log = ? AND seq >= ? ORDER BY seq", (log.log, first_seq)))
    if not found:
        return
    tables.LEAF.put(db, [(log.log, row[1], leaf_hash(row[5])) for row in found])
    db.execute("DELETE FROM envelope WHERE log = ? AND seq >= ?", (log.log, found[0][1]))
    first = tables.count(db, _name(log)) or found[0][1]
    tables.COUNTER.put(db, [(_name(log), first)])


def tell_erased(db: sqlite3.Connection, log: Log, origin: str) -> None:
    """Under the next grant the log's first loss is what was erased."""
    first = tables.count(db, _name(log))
    if first:
        tables.COUNTER.put(db, [(_name(log), 0)])
        logs.tell(db, Loss(origin, "envelope", [log.log, first], [log.log, log.next_seq - 1], REASON), (log.log,))


def _name(log: Log) -> str:
    return f"erased {log.log}"


def _event(log: Log) -> str:
    return f"narrowed {log.log}"
