"""The rows of a log on their way to a hub with a form of its own.

Promises that each row is sent in order and its arrival remembered; that a row without a time, or one that the hub
refused, is parked with its reason and tried again later; that a hub that takes no past gets the newest values only, and
never an old one as if it were new; and that what a hub cannot be told (channels it does not know, values that failed)
is left out and counted. Leaves patience to `uplink.py`, and the hub's form to its adapter.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.hubs import RowHub
from balise_gateway.journal import Journal, tables
from balise_gateway.log import event
from balise_gateway.logbook.logs import Log
from balise_gateway.logbook.rows import HubRow, Undated, rows_of
from balise_gateway.quality import FAIL

LIVE_MS = 900_000  # older than that is past, for a hub that only shows what is now
OUT_OF_ORDER = "older than what this hub has of the node: it takes each series in order only"
MAX_PARKED = 10_000  # rows of one log; the oldest beyond are given up and counted
Name = tuple[int, int]  # (seq, index) of a row


class Rows:
    """The rows of log `log`, for `hub`."""

    def __init__(self, hub: RowHub, log: int, journal: Journal, clock: Clock) -> None:
        self._hub, self._log, self._journal, self._clock = hub, log, journal, clock
        self._again: list[Name] = []  # parked rows that get another try
        self._undated: list[Name] = []  # parked rows whose time was not known when last looked at
        self._trying: set[Name] = set()
        self._newest: dict[str, int] = {}  # UTC ms of the last row sent, by node
        self._opened: tuple[int, list[HubRow | Undated]] = (0, [])
        self._unsaved: tuple[Sequence[HubRow], Mapping[int, str]] | None = None  # arrived or refused, not on disk yet

    def next(self, limit: int, *, visits_only: bool = False) -> Sequence[HubRow]:
        if visits_only:  # a visit is no row
            return []
        self._save()
        limit = min(limit, self._hub.traits.batch_limit_rows)
        self._trying = set()
        with self._journal.transaction() as db:
            if not self._hub.traits.accepts_past:
                return self._live(db, limit)
            return self._fresh(db, limit) or self._parked(db, limit)

    async def send(self, batch: Sequence[HubRow]) -> int | None:
        size = await self._hub.send(batch)
        self._unsaved = (batch, {})
        self._save()
        return size

    def park(self, batch: Sequence[HubRow], reasons: Mapping[int, str]) -> None:
        self._unsaved = (batch, reasons)
        self._save()

    def _save(self) -> None:
        """Remembers what became of the last batch. While the disk refuses nothing else is sent, and nothing twice."""
        if self._unsaved is None:
            return
        batch, reasons = self._unsaved
        with self._journal.transaction() as db:
            self._arrived(db, [row for index, row in enumerate(batch) if index not in reasons])
            self._refuse(db, {(batch[index].seq, batch[index].index): why for index, why in reasons.items()})
            self._pass(db, batch)
        self._unsaved = None

    def unpark(self) -> None:
        with self._journal.reading() as db:
            rows = list(tables.PARKED_ROW.read(db, "log = ? ORDER BY seq, row", (self._log,)))
        self._again = [(row[1], row[2]) for row in rows]

    def _fresh(self, db: sqlite3.Connection, limit: int) -> list[HubRow]:
        """The next rows that were never tried; what cannot go is passed over, with its reason."""
        found: list[HubRow] = []
        refused: dict[Name, str] = {}
        behind = None
        for row in self._after(db, position(db, self._log)):
            why = self._why_not(row)
            if why is not None:
                refused[row.seq, row.index] = why
                self._undated += [(row.seq, row.index)] if isinstance(row, Undated) else []
            elif isinstance(row, HubRow):
                told = self._told(db, row)
                found += [told] if told.values else []
            if not found:
                behind = (row.seq, row.index + 1)
            if len(found) >= limit:
                break
        if not found:
            behind = (Log.read(db, self._log).next_seq, 0)
        if behind is not None and behind != position(db, self._log):
            put_position(db, self._log, behind)
        self._refuse(db, refused)
        return found

    def _why_not(self, row: HubRow | Undated) -> str | None:
        if isinstance(row, Undated):
            return row.reason
        if self._hub.traits.ordered and row.utc_ms <= self._newest.get(row.node, -1):
            return OUT_OF_ORDER
        return None

    def _live(self, db: sqlite3.Connection, limit: int) -> list[HubRow]:
        """The newest row of each node and meaning, if it is of now; all others are passed over."""
        newest: dict[tuple[str, tuple[str, ...]], HubRow] = {}
        rows = list(self._after(db, position(db, self._log)))
        for row in rows:
            if isinstance(row, HubRow):
                key = (row.node, tuple(value.channel for value in row.values))
                newest[key] = max(newest.get(key, row), row, key=lambda row: row.utc_ms)
        now_utc_ms = known_utc_ms(self._clock)
        live = [row for row in newest.values() if now_utc_ms is None or now_utc_ms - row.utc_ms <= LIVE_MS]
        live = [row for row in live if row.utc_ms >= self._newest.get(row.node, 0)]
        if rows:
            _count(db, f"passed over {self._log}", len(rows) - len(live))
        if position(db, self._log) != (end := (Log.read(db, self._log).next_seq, 0)):
            put_position(db, self._log, end)
        told = [self._told(db, row) for row in live]
        return sorted((row for row in told if row.values), key=lambda row: row.utc_ms)[-limit:]

    def _parked(self, db: sqlite3.Connection, limit: int) -> list[HubRow]:
        """Rows that could not go before. Those without a time are looked at each time: an anchor may have come."""
        if self._undated:
            self._again, self._undated = self._undated + self._again, []
            self._opened = (0, [])
        found: list[HubRow] = []
        while self._again and len(found) < limit:
            name = self._again.pop(0)
            row = next((row for row in self._open(db, name[0]) if row.index == name[1]), None)
            if isinstance(row, HubRow):
                self._trying.add(name)
                found.append(self._told(db, row))
            elif row is not None:
                self._undated.append(name)
        return found

    def _told(self, db: sqlite3.Connection, row: HubRow) -> HubRow:
        """The row with the values that this hub can be told."""
        traits = self._hub.traits
        values = tuple(
            value
            for value in row.values
            if (traits.channels is None or value.channel in traits.channels) and (traits.flags or value.flag != FAIL)
        )
        _count(db, f"left out {self._log}", len(row.values) - len(values))
        return replace(row, values=values)

    def _after(self, db: sqlite3.Connection, start: Name) -> Iterator[HubRow | Undated]:
        """The rows from `start` on, envelope after envelope."""
        where = "log = ? AND seq >= ? ORDER BY seq"
        seqs = [seq for (seq,) in db.execute(f"SELECT seq FROM envelope WHERE {where}", (self._log, start[0]))]
        for seq in seqs:
            for row in self._open(db, seq):
                if (seq, row.index) >= start:
                    yield row

    def _open(self, db: sqlite3.Connection, seq: int) -> list[HubRow | Undated]:
        """The rows of one envelope; the last one opened is kept, since a small batch comes back to it."""
        if self._opened[0] != seq:
            stored = tables.ENVELOPE.one(db, "log = ? AND seq = ?", (self._log, seq))
            self._opened = (seq, [] if stored is None else rows_of(db, self._log, seq, stored[5]))
        return self._opened[1]

    def _arrived(self, db: sqlite3.Connection, rows: Sequence[HubRow]) -> None:
        for row in rows:
            self._newest[row.node] = max(row.utc_ms, self._newest.get(row.node, 0))
            if (row.seq, row.index) in self._trying:
                db.execute(
                    "DELETE FROM parked_row WHERE log = ? AND seq = ? AND row = ?", (self._log, row.seq, row.index)
                )

    def _pass(self, db: sqlite3.Connection, rows: Sequence[HubRow]) -> None:
        """The position goes on behind these rows, unless they are second tries."""
        names = [(row.seq, row.index) for row in rows if (row.seq, row.index) not in self._trying]
        if not names:
            return
        seq, index = max(names)
        whole = index == self._open(db, seq)[-1].index if self._open(db, seq) else False
        behind = (seq + 1, 0) if whole else (seq, index + 1)
        put_position(db, self._log, max(position(db, self._log), behind))

    def _refuse(self, db: sqlite3.Connection, reasons: Mapping[Name, str]) -> None:
        if not reasons:
            return
        tables.PARKED_ROW.put(db, [(self._log, *name, why) for name, why in sorted(reasons.items())])
        (first, why), *_ = sorted(reasons.items())
        event("rows parked", log=self._log, count=len(reasons), first=first, why=why)
        (count,) = db.execute("SELECT count(*) FROM parked_row WHERE log = ?", (self._log,)).fetchone()
        if count > MAX_PARKED:
            oldest = "SELECT rowid FROM parked_row WHERE log = ? ORDER BY seq, row LIMIT ?"
            db.execute(f"DELETE FROM parked_row WHERE rowid IN ({oldest})", (self._log, count - MAX_PARKED))
            _count(db, f"given up {self._log}", count - MAX_PARKED)


def position(db: sqlite3.Connection, log: int) -> Name:
    """The first row of this log that was not sent or parked yet."""
    return max(1, Log.read(db, log).hub_next), tables.count(db, _row_counter(log))


def put_position(db: sqlite3.Connection, log: int, name: Name) -> None:
    """Remembers it."""
    state = Log.read(db, log)
    state.hub_next = name[0]
    state.save(db)
    tables.COUNTER.put(db, [(_row_counter(log), name[1])])


def _row_counter(log: int) -> str:
    return f"row {log}"


def _count(db: sqlite3.Connection, name: str, more: int) -> None:
    if more:
        tables.COUNTER.put(db, [(name, tables.count(db, name) + more)])
