"""One log of the journal: the numbers it gives, and its envelopes, stored before anything is sent.

Promises that no number (envelope, manifest, clock domain) is given twice in a log, and that an envelope and the cursor
that says what is in it are written in one transaction. Leaves what goes into an envelope to `closing.py`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from balise_gateway.errors import JournalDamaged
from balise_gateway.hubs import Holding, Stored
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG, Row
from balise_gateway.nodes.boots import Boot
from balise_wire import cbor
from balise_wire.envelope import read_envelope
from balise_wire.items import Item, Loss, Visit, VisitMapping
from balise_wire.log import leaf_hash

OWN = b""  # the "node" of what the gateway itself says
NO_ANCHOR, BETWEEN, ANCHORED = 0, 1, 2  # what a log has been told about the time of a domain
RESTORED = "restored"  # the counter of how often this journal was put back from a backup
NEW_AFTER_RESTORE = 1 << 20  # the first number of a log that is new in a restored journal: it may have been used before
_MAX_RANGES = 1_000  # of what a hub holds beyond what it lacks; more are asked for again
_SPARE_NUMBERS = 1 << 16  # given by envelopes that only the hub remembers


@dataclass(slots=True)
class Log:
    """The state of one log, to be read and saved inside a transaction. Fields are the columns of table `log`."""

    log: int
    next_seq: int = 1
    cursor: int = 0
    next_manifest: int = 1
    next_domain: int = 1
    hub_next: int = 1
    rows: int = 0
    readings: int = 0
    size_bytes: int = 0

    @classmethod
    def read(cls, db: sqlite3.Connection, log: int) -> "Log":
        row = tables.LOG.one(db, "log = ?", (log,))
        return cls(log) if row is None else cls(*row)

    def save(self, db: sqlite3.Connection) -> None:
        tables.LOG.put(db, [self._row()])

    def _row(self) -> Row:
        numbers = (self.next_seq, self.cursor, self.next_manifest, self.next_domain, self.hub_next)
        return (self.log, *numbers, self.rows, self.readings, self.size_bytes)

    def manifest_number(self, db: sqlite3.Connection, digest: bytes) -> tuple[int, bool]:
        """(the number of this manifest in this log, is it new and so must be told first?)."""
        row = tables.LOG_MANIFEST.one(db, "log = ? AND digest = ?", (self.log, digest))
        if row is not None:
            return row[2], False
        number, self.next_manifest = self.next_manifest, self.next_manifest + 1
        tables.LOG_MANIFEST.put(db, [(self.log, digest, number)])
        return number, True

    def domain(self, db: sqlite3.Connection, kid: bytes, boot: int) -> int:
        """The number of the clock domain that this boot of this node is in this log."""
        row = tables.LOG_DOMAIN.one(db, "log = ? AND node = ? AND boot = ?", (self.log, kid, boot))
        if row is not None:
            return int(row[3])
        number, self.next_domain = self.next_domain, self.next_domain + 1
        tables.LOG_DOMAIN.put(db, [(self.log, kid, boot, number, NO_ANCHOR)])
        return number

    def undated(self, db: sqlite3.Connection) -> Iterator[tuple[Boot, int, int]]:
        """(boot, domain, state) of the domains that could still be told more about."""
        for _, kid, boot, domain, state in list(
            tables.LOG_DOMAIN.read(db, "log = ? AND state < ? ORDER BY domain", (self.log, ANCHORED))
        ):
            row = tables.BOOT.one(db, "node = ? AND boot = ?", (kid, boot))
            if row is not None:
                yield Boot.of_row(row), domain, state

    def date(self, db: sqlite3.Connection, boot: Boot, domain: int, state: int) -> None:
        """Remembers what this log has been told about the time of a domain."""
        tables.LOG_DOMAIN.put(db, [(self.log, boot.kid, boot.boot, domain, state)])

    def skip(self, db: sqlite3.Connection, next_seq: int) -> None:
        """Goes on with this number: those below were given by envelopes that this journal does not know.

        Manifest and domain numbers go on above any that those envelopes may have used.
        """
        self.next_seq = next_seq
        self.next_manifest += _SPARE_NUMBERS
        self.next_domain += _SPARE_NUMBERS
        for table in ("log_manifest", "log_domain"):
            db.execute(f"DELETE FROM {table} WHERE log = ?", (self.log,))

    def append(self, db: sqlite3.Connection, cose: bytes, rows: int, made_utc_ms: int | None) -> None:
        """Stores the envelope named `next_seq`, which holds all entries up to `cursor`."""
        tables.ENVELOPE.put(db, [(self.log, self.next_seq, self.cursor, made_utc_ms, rows, cose)])
        self.next_seq += 1
        self.rows += rows
        self.size_bytes += len(cose)


def ensure(db: sqlite3.Connection, logs: Iterable[int]) -> None:
    """Makes the logs that are new in the configuration."""
    restored = tables.count(db, RESTORED)
    for log in logs:
        state = Log.read(db, log)
        if restored and tables.LOG.one(db, "log = ?", (log,)) is None:
            state.next_seq = 1 + restored * NEW_AFTER_RESTORE
        state.save(db)


def prune(db: sqlite3.Connection, logs: Sequence[int]) -> None:
    """Deletes the entries that every one of these logs has; a log that is not there yet has none."""
    db.execute("PRAGMA secure_delete = FAST")  # their rows are in envelopes: zeros over each page would wear the card
    db.execute("DELETE FROM entry WHERE entry <= ?", (min(Log.read(db, log).cursor for log in logs),))
    db.execute("PRAGMA secure_delete = ON")


def to_send(
    db: sqlite3.Connection,
    log: int,
    held: Holding,
    limit_bytes: int,
    limit_count: int,
    *,
    newest_first: bool = False,
    visits_only: bool = False,
) -> list[Stored]:
    """The oldest envelopes that the hub lacks and did not refuse, or the newest: at least one, at most the limits."""
    parked = {row[1] for row in tables.PARKED.read(db, "log = ?", (log,))}
    batch: list[Stored] = []
    size = 0
    for seq, cose in _lacking(db, log, held, newest_first):
        if seq in parked or (visits_only and not holds_visit(cose)):
            continue
        size += len(cose)
        if batch and (size > limit_bytes or len(batch) >= limit_count):
            return batch
        batch.append(Stored(seq, cose))
    return batch


def _lacking(db: sqlite3.Connection, log: int, held: Holding, newest_first: bool) -> Iterator[tuple[int, bytes]]:
    """(seq, bytes) of what the hub lacks, in that order."""
    gaps = list(_gaps(held, Log.read(db, log).next_seq))
    where = f"log = ? AND seq BETWEEN ? AND ? ORDER BY seq {'DESC' if newest_first else 'ASC'}"
    for first, last in reversed(gaps) if newest_first else gaps:
        for row in tables.ENVELOPE.read(db, where, (log, first, last)):
            yield row[1], row[5]


def lacking(db: sqlite3.Connection, log: int, held: Holding) -> Iterator[int]:
    """The numbers of what the hub lacks, the oldest first: none of the envelopes is read for them."""
    for first, last in _gaps(held, Log.read(db, log).next_seq):
        query = "SELECT seq FROM envelope WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        for (seq,) in db.execute(query, (log, first, last)):
            yield seq


def holds_visit(cose: bytes) -> bool:
    """Somebody stood at a door, or it is said who it was."""
    return any(isinstance(item, (Visit, VisitMapping)) for item in read_envelope(cose).items)


def _gaps(held: Holding, end: int) -> Iterator[tuple[int, int]]:
    """The ranges below `end` that the hub lacks."""
    start = held.next_seq
    for first, last in held.ranges:
        if first > start:
            yield start, min(first, end) - 1
        start = max(start, last + 1)
    if start < end:
        yield start, end - 1


def note_holding(db: sqlite3.Connection, log: int, held: Holding, origin: str) -> bool:
    """Remembers what the hub holds. Returns True when it holds more than this journal ever knew of.

    Then the journal is an older copy, or was damaged: the hub's numbers are never given again, and a loss item tells
    which envelopes only the hub has. Manifest and domain numbers go on above any that those envelopes may have used.
    """
    state = Log.read(db, log)
    more = held.highest >= state.next_seq
    if more:
        reason = "known to the hub only: this journal is an older copy, or was damaged"
        loss = Loss(origin, "envelope", [log, state.next_seq], [log, held.highest], reason)
        tell(db, loss, (HOME_LOG, log))
        state.skip(db, held.highest + 1)
    _remember_ranges(db, log, held.ranges)
    state.hub_next = _first_lacking(db, state, held)
    state.save(db)
    db.execute("DELETE FROM counter WHERE name = ?", (tables.ask_hub(log),))
    return more


def leaf_hashes(db: sqlite3.Connection, log: int) -> list[bytes]:
    """The leaf of every envelope of this log, also of those that were given up. Raises JournalDamaged for a hole."""
    leaves = {seq: digest for _, seq, digest in tables.LEAF.read(db, "log = ?", (log,))}
    leaves |= {row[1]: leaf_hash(row[5]) for row in tables.ENVELOPE.read(db, "log = ?", (log,))}
    size = Log.read(db, log).next_seq - 1
    missing = next((seq for seq in range(1, size + 1) if seq not in leaves), None)
    if missing is not None:
        raise JournalDamaged(
            f"log {log}: no proofs: envelope {missing} was lost with a damaged page, or left out by a restore"
        )
    return [leaves[seq] for seq in range(1, size + 1)]


def holding(db: sqlite3.Connection, log: int) -> Holding:
    """What the hub held when it was last heard."""
    ranges = tables.HELD.read(db, "log = ? ORDER BY first_seq", (log,))
    return Holding(Log.read(db, log).hub_next, tuple((first, last) for _, first, last in ranges))


def _remember_ranges(db: sqlite3.Connection, log: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Written when they have changed: most hubs hold nothing beyond what they lack."""
    kept = sorted(ranges)[:_MAX_RANGES]
    if kept != [tuple(row[1:]) for row in tables.HELD.read(db, "log = ? ORDER BY first_seq", (log,))]:
        db.execute("DELETE FROM held WHERE log = ?", (log,))
        tables.HELD.put(db, [(log, first, last) for first, last in kept])


def _first_lacking(db: sqlite3.Connection, state: Log, held: Holding) -> int:
    """The first envelope that the hub lacks and the journal has; what was given up is in no hub's way."""
    seq = held.next_seq
    while True:
        query = "SELECT min(seq) FROM envelope WHERE log = ? AND seq >= ?"
        (found,) = db.execute(query, (state.log, seq)).fetchone()
        if found is None:
            return state.next_seq
        within = [last for first, last in held.ranges if first <= found <= last]
        if not within:
            return int(found)
        seq = max(within) + 1


def tell(db: sqlite3.Connection, loss: Loss, logs: Iterable[int]) -> None:
    """A loss item of the gateway's own, for each of these logs."""
    _put(db, [(loss, log) for log in logs])


def say(db: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Items of the gateway's own, for every log; each log shows what its grant lets through."""
    _put(db, [(item, None) for item in items])


def _put(db: sqlite3.Connection, items: Sequence[tuple[Item, int | None]]) -> None:
    first = max(1, tables.count(db, "next_entry"))
    rows = [
        (first + number, OWN, 0, item.kind, None, log, 0, cbor.encode(item.pack()))
        for number, (item, log) in enumerate(items)
    ]
    tables.ENTRY.put(db, rows)
    tables.COUNTER.put(db, [("next_entry", first + len(rows))])
