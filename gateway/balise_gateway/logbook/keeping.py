"""What the journal keeps, and what it gives up first when it must: bounds of size and of age.

Promises that refused frames go before envelopes that their hub holds, these before envelopes of the home log that every
hub has its part of, these before all else, the oldest first; that nothing of a hub's log goes unsent, and nothing of
the home log at all, without a loss item in the logs concerned; that the leaf hash of every envelope stays, so that a
log's checkpoints and proofs are as before; and that the last envelope of each log stays.
Leaves when to look to `daemon.py`, and entries that no log has yet to `closing.py`: they are never given up.
"""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from balise_gateway.clock import USABLE_MS, Clock, known_utc_ms
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.log import event
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import Log
from balise_wire.items import Loss
from balise_wire.log import leaf_hash

CHUNK = 512  # envelopes in one transaction
LOW_MARK_PCT = 90  # of the size: so that room is made seldom, and told in few loss items
SETTLED_MS = 6 * 3_600_000  # a clock that was set less long ago drops nothing for its age
AGE_LOOK_MS = 86_400_000
_MS_PER_DAY = 86_400_000
_FOR_SIZE, _FOR_AGE, _TAPS_OVER = (
    "to stay within max_journal_bytes",
    "older than keep_days",
    "visits older than keep_taps_days",
)
_KEPT = "its leaf hash is kept"

_HELD = """(seq < :hub_next OR EXISTS (SELECT 1 FROM held WHERE held.log = envelope.log
  AND envelope.seq BETWEEN held.first_seq AND held.last_seq))
  AND NOT EXISTS (SELECT 1 FROM parked_row AS row WHERE row.log = envelope.log AND row.seq = envelope.seq)"""
_NOT_LAST = "log = ?1 AND seq < (SELECT max(seq) FROM envelope WHERE log = ?1)"

Name = tuple[int, int]  # (log, seq)


@dataclass(frozen=True)
class Bounds:
    """How much is kept, and how long; None: as long as there is room."""

    max_bytes: int
    keep_days: float | None
    keep_sent_days: float | None
    keep_taps_days: float | None = None


class Keeper:
    """Keeps one journal within its bounds. `hub_logs`: the logs that are delivered; `origin` names this gateway."""

    def __init__(self, journal: Journal, clock: Clock, bounds: Bounds, hub_logs: Sequence[int], origin: str) -> None:
        self._journal, self._clock, self._bounds = journal, clock, bounds
        self._hub_logs, self._origin = tuple(hub_logs), origin
        self._making_room = self._has_forgotten = False
        self._offset_ms: int | None = None  # UTC at boot, as the clock tells it
        self._settled_at_ms = self._look_at_ms = 0

    def step(self) -> bool:
        """Gives up one chunk of what is too much; returns whether there may be more. Raises JournalError."""
        with self._journal.reading() as db:
            too_large = self._is_too_large(db)
        now_utc_ms = self._settled_utc_ms()
        old = now_utc_ms is not None and self._clock.boot_ms() >= self._look_at_ms
        if not too_large and not old:
            return False
        with self._journal.transaction() as db:
            if too_large:
                return self._make_room(db)
            more = now_utc_ms is not None and self._drop_old(db, now_utc_ms)
        if self._has_forgotten and not more:  # once a day at most: each costs the card its pages
            self._has_forgotten = False
            self._journal.leave_no_trace()
        return more

    def _is_too_large(self, db: sqlite3.Connection) -> bool:
        """Above the bound; while room is being made, above the low mark."""
        percent = LOW_MARK_PCT if self._making_room else 100
        self._making_room = used_bytes(db) > self._bounds.max_bytes * percent // 100
        return self._making_room

    def _make_room(self, db: sqlite3.Connection) -> bool:
        if db.execute("DELETE FROM refused").rowcount:
            return True
        enough_bytes = used_bytes(db) - self._bounds.max_bytes * LOW_MARK_PCT // 100
        for log in self._hub_logs:
            if self._drop(db, _held(db, log, None), None, enough_bytes):
                return True
        names = _home(db, self._sent_cursor(db)) or _oldest(db)
        if self._drop(db, names, _FOR_SIZE, enough_bytes):
            return True
        self._making_room = False  # nothing is left that may go
        return False

    def _drop_old(self, db: sqlite3.Connection, now_utc_ms: int) -> bool:
        """One chunk of what is too old; looks again tomorrow when there is none."""
        if self._bounds.keep_sent_days is not None:
            before_ms = now_utc_ms - round(self._bounds.keep_sent_days * _MS_PER_DAY)
            for log in self._hub_logs:
                if self._drop(db, _held(db, log, before_ms), None):
                    return True
        if self._bounds.keep_days is not None:
            before_ms = now_utc_ms - round(self._bounds.keep_days * _MS_PER_DAY)
            db.execute("DELETE FROM refused WHERE arrived_utc_ms < ?", (before_ms,))
            for (log,) in db.execute("SELECT log FROM log ORDER BY log").fetchall():
                if self._drop(db, [(log, seq) for seq in _begun_before(db, log, before_ms)], _FOR_AGE):
                    return True
        if self._bounds.keep_taps_days is not None:
            before_ms = now_utc_ms - round(self._bounds.keep_taps_days * _MS_PER_DAY)
            for (log,) in db.execute("SELECT log FROM log ORDER BY log").fetchall():
                if self._drop(db, _visits_before(db, log, before_ms), _TAPS_OVER):
                    self._has_forgotten = True
                    return True
        self._look_at_ms = self._clock.boot_ms() + AGE_LOOK_MS
        return False

    def _settled_utc_ms(self) -> int | None:
        """UTC, when the clock is known and has not been set for a while: one wrong step must not cost the archive."""
        now_utc_ms, boot_ms = known_utc_ms(self._clock), self._clock.boot_ms()
        if now_utc_ms is None:
            self._offset_ms = None
            return None
        offset_ms = now_utc_ms - boot_ms
        if self._offset_ms is None or abs(offset_ms - self._offset_ms) > USABLE_MS:
            self._offset_ms, self._settled_at_ms = offset_ms, boot_ms + SETTLED_MS
        return now_utc_ms if boot_ms >= self._settled_at_ms else None

    def _sent_cursor(self, db: sqlite3.Connection) -> int:
        """Up to this entry every hub holds what its log has of it."""
        return min((_sent_cursor(db, log) for log in self._hub_logs), default=Log.read(db, HOME_LOG).cursor)

    def _drop(
        self, db: sqlite3.Connection, names: Sequence[Name], why: str | None, enough_bytes: float = math.inf
    ) -> bool:
        """Drops the first of these envelopes, until it is enough; returns whether there were any.

        Their leaf hashes stay. With `why`, each that its hub lacks is told as lost.
        """
        lost: dict[int, list[int]] = {}
        dropped_bytes = 0
        for log, seq in names:
            row = tables.ENVELOPE.one(db, "log = ? AND seq = ?", (log, seq))
            if row is None or dropped_bytes >= enough_bytes:
                break
            dropped_bytes += len(row[5])
            if why is not None and not _is_held(db, log, seq):
                lost.setdefault(log, []).append(seq)
            tables.LEAF.put(db, [(log, seq, leaf_hash(row[5]))])
            for table in ("envelope", "parked", "parked_row"):
                db.execute(f"DELETE FROM {table} WHERE log = ? AND seq = ?", (log, seq))
            if log == HOME_LOG:
                db.execute("DELETE FROM span WHERE seq = ?", (seq,))
        for log, seqs in lost.items():
            for first, last in _ranges(seqs):
                loss = Loss(self._origin, "envelope", [log, first], [log, last], f"{why}; {_KEPT}")
                logs.tell(db, loss, sorted({HOME_LOG, log}))
                event("envelopes given up", log=log, first=first, last=last, why=why)
        return bool(names)


def used_bytes(db: sqlite3.Connection) -> int:
    """What the journal's rows take; freed pages are used again before the file grows."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, page_bytes = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return (pages - free) * page_bytes


def _held(db: sqlite3.Connection, log: int, made_before_ms: int | None) -> list[Name]:
    """The oldest envelopes that the hub of this log holds; not the newest of them: it says how far the hub has come."""
    values = {"log": log, "hub_next": Log.read(db, log).hub_next}
    (newest,) = db.execute(f"SELECT max(seq) FROM envelope WHERE log = :log AND {_HELD}", values).fetchone()
    query = f"SELECT seq, made_utc_ms FROM envelope WHERE log = :log AND seq < :newest AND {_HELD} ORDER BY seq"
    rows = db.execute(f"{query} LIMIT {CHUNK}", {**values, "newest": newest or 0}).fetchall()
    return [(log, seq) for seq in _old(rows, made_before_ms)]


def _is_held(db: sqlite3.Connection, log: int, seq: int) -> bool:
    """Does the hub of this log hold that envelope? Nobody holds those of the home log."""
    if log == HOME_LOG:
        return False
    values = {"log": log, "seq": seq, "hub_next": Log.read(db, log).hub_next}
    found = db.execute(f"SELECT 1 FROM envelope WHERE log = :log AND seq = :seq AND {_HELD}", values)
    return found.fetchone() is not None


def _sent_cursor(db: sqlite3.Connection, log: int) -> int:
    """Up to this entry the hub of this log holds all that the log has."""
    state = Log.read(db, log)
    values = {"log": log, "hub_next": state.hub_next}
    (lacks,) = db.execute(f"SELECT min(seq) FROM envelope WHERE log = :log AND NOT ({_HELD})", values).fetchone()
    if lacks is None:
        return state.cursor
    (cursor,) = db.execute("SELECT max(cursor) FROM envelope WHERE log = ? AND seq < ?", (log, lacks)).fetchone()
    return int(cursor or 0)


def _home(db: sqlite3.Connection, cursor: int) -> list[Name]:
    """The oldest envelopes of the home log that hold no entry beyond `cursor`; never the last one."""
    where = f"{_NOT_LAST} AND cursor <= ?2 ORDER BY seq LIMIT {CHUNK}"
    found = db.execute(f"SELECT seq FROM envelope WHERE {where}", (HOME_LOG, cursor))
    return [(HOME_LOG, seq) for (seq,) in found]


def _oldest(db: sqlite3.Connection) -> list[Name]:
    """The oldest envelopes of all logs together, by what they hold; never the last one of a log."""
    found: list[tuple[int, int, int]] = []
    for (log,) in db.execute("SELECT log FROM log ORDER BY log").fetchall():
        query = f"SELECT cursor, log, seq FROM envelope WHERE {_NOT_LAST}"
        found += db.execute(f"{query} ORDER BY seq LIMIT {CHUNK}", (log,)).fetchall()
    return [(log, seq) for _, log, seq in sorted(found)[:CHUNK]]


def _begun_before(db: sqlite3.Connection, log: int, made_before_ms: int) -> list[int]:
    """The envelopes at this log's beginning that are older than that; never the last one."""
    query = f"SELECT seq, made_utc_ms FROM envelope WHERE {_NOT_LAST}"
    return _old(db.execute(f"{query} ORDER BY seq LIMIT {CHUNK}", (log,)).fetchall(), made_before_ms)


def _visits_before(db: sqlite3.Connection, log: int, made_before_ms: int) -> list[Name]:
    """Envelopes of visits that are older than that; each envelope is looked into once.

    Also the last one of a hub's log: a partner who sends nobody any more has nothing to remember.
    """
    mark = f"visits kept from {log}"
    query = "SELECT seq, made_utc_ms FROM envelope WHERE log = ?1 AND seq >= ?2"
    query += f" AND {_NOT_LAST} ORDER BY seq" if log == HOME_LOG else " ORDER BY seq"
    old = _old(db.execute(f"{query} LIMIT {CHUNK}", (log, tables.count(db, mark))).fetchall(), made_before_ms)
    if not old:
        return []
    tables.COUNTER.put(db, [(mark, old[-1] + 1)])
    envelopes = tables.ENVELOPE.read(db, "log = ? AND seq BETWEEN ? AND ?", (log, old[0], old[-1]))
    found = [(log, row[1]) for row in envelopes if logs.holds_visit(row[5])]
    return found or _visits_before(db, log, made_before_ms)


def _old(rows: Sequence[tuple[int, int | None]], made_before_ms: int | None) -> list[int]:
    """The first of these (seq, made), up to the last before one that is younger; all of them without a limit.

    So a single wrong date drops nothing before its time, and one without a date goes when a later one is old.
    """
    if made_before_ms is None:
        return [seq for seq, _ in rows]
    end = 0
    for index, (_, made_utc_ms) in enumerate(rows):
        if made_utc_ms is not None and made_utc_ms >= made_before_ms:
            break
        end = end if made_utc_ms is None else index + 1
    return [seq for seq, _ in rows[:end]]


def _ranges(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as ranges (first, last)."""
    first = last = None
    for seq in seqs:
        if last is not None and seq == last + 1:
            last = seq
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = seq
    if first is not None and last is not None:
        yield first, last
