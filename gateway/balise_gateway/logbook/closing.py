"""From committed entries to one signed envelope of one log.

Promises: each entry goes into each log once; rows of one node and manifest become one item in order of time; a
manifest stands in or before the first envelope that uses it; one signature covers all nodes. Rows of a boot whose
anchor is known are written in UTC, others as ticks of a clock domain, whose anchor follows when it comes. The same
entries give the same bytes. This is the one place where a hub's log is written, so it is where grants
are enforced (`grants/`). Leaves when to close to `daemon.py`, and numbers to `logs.py`.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from balise_gateway.clock import DRIFT_PPM, Clock, known_utc_ms, latest_utc_ms
from balise_gateway.grants import source, withdrawal
from balise_gateway.grants.ages import Ages
from balise_gateway.grants.rules import Seen, View
from balise_gateway.grants.waiting import Waiting
from balise_gateway.journal import Journal, bodies, tables
from balise_gateway.journal.tables import HOME_LOG, Row
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import ANCHORED, BETWEEN, NO_ANCHOR, Log
from balise_gateway.logbook.spans import Spans
from balise_gateway.nodes import dating
from balise_gateway.nodes.boots import Boot
from balise_gateway.nodes.manifests import Columns, Manifests
from balise_gateway.quality import hourly
from balise_wire import cbor
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Anchor, Loss, Manifest, Readings, Visit, VisitMapping

Packed = list[object]
_OF_VISITS = (Visit.kind, VisitMapping.kind, Anchor.kind)  # anchors of the gateway's own clock, which only visits need

MAX_ENTRIES, MAX_ROWS, MAX_BODY_BYTES = 4_096, 4_096, 256 * 1024  # in one envelope: a hub must be able to take it


@dataclass
class _Group:
    """Rows of one node, manifest and clock."""

    node: bytes
    columns: Columns
    domain: int | None
    rows: list[tuple[int, Sequence[int | None], Sequence[tuple[int, int]]]] = field(default_factory=list)

    def add(self, item: Readings) -> None:
        marks: list[Sequence[tuple[int, int]]] = [()] * len(item.times)
        for column in sorted(item.flags):
            for row, flag in item.flags[column]:
                marks[row] = (*marks[row], (column, flag))
        self.rows.extend(zip(item.times, zip(*item.columns, strict=True), marks, strict=True))

    def readings(self, number: int) -> Readings:
        """All rows in order of time; rows of one moment in order of arrival."""
        self.rows.sort(key=itemgetter(0))
        flags: dict[int, list[list[int]]] = {}
        for index, (_, _, marks) in enumerate(self.rows):
            for column, flag in marks:
                flags.setdefault(column, []).append([index, flag])
        columns = [list(column) for column in zip(*(values for _, values, _ in self.rows), strict=True)]
        return Readings(number, self.domain, [tick for tick, _, _ in self.rows], columns, flags)


class Closer:
    """Closes logs, each as its view shows it. An entry is deleted when every log has gone past it."""

    def __init__(self, journal: Journal, signer: Signer, clock: Clock, views: Mapping[int, View]) -> None:
        self._journal, self._signer, self._clock = journal, signer, clock
        self._views, self._manifests = views, Manifests()
        self._ages = Ages(clock)

    def close(self, log: int, form: str) -> bool:
        """Signs and stores one envelope of what waits for this log; returns whether more may be waiting.

        Raises JournalError. One at a time, so that a long backlog does not keep the loop from its connections.
        """
        with self._journal.transaction() as db:
            state = Log.read(db, log)
            view = self._views[log]
            self._keep_to_grant(db, state, view)
            if self._must_ask_hub(db, log) or (_needs_clock(view) and known_utc_ms(self._clock) is None):
                return False
            delay_ms = view.grant.delay_ms if view.grant else 0
            entries = _some_entries(db, state.cursor, self._ages.newest_entry(db, delay_ms))
            envelope = _Envelope(db, state, self._clock, view, self._manifests)
            items = envelope.items([entry for entry in entries if entry[5] in (None, log)], form)
            if entries:
                state.cursor = entries[-1][0]
            if items:
                state.readings += envelope.readings
                if log == HOME_LOG:
                    envelope.spans().put(db, state.next_seq)
                cose = sign_envelope(self._signer, log, state.next_seq, items)
                state.append(db, cose, envelope.rows, known_utc_ms(self._clock))
            if items or entries:
                state.save(db)
                logs.prune(db, tuple(self._views))
        return bool(entries) or envelope.more

    def _keep_to_grant(self, db: sqlite3.Connection, state: Log, view: View) -> None:
        """What was signed under a grant that let through more, and was not sent, is erased, and told under the next."""
        if view.erases:
            withdrawal.erase_unsent(db, state, view.erases)
        if view.grant is not None:
            withdrawal.tell_erased(db, state, f"balise/{self._signer.kid.hex()}")

    def _must_ask_hub(self, db: sqlite3.Connection, log: int) -> bool:
        """After a salvage that lost the log's own count, only the hub knows it: is there an envelope to ask with?"""
        if log == HOME_LOG or not tables.count(db, tables.ask_hub(log)):
            return False
        return tables.ENVELOPE.one(db, "log = ?", (log,)) is not None


def _needs_clock(view: View) -> bool:
    """Without the time nobody can tell which windows are over."""
    return view.grant is not None and view.grant.resolution_s > 0


def _some_entries(db: sqlite3.Connection, cursor: int, newest: int) -> list[Row]:
    """The next entries up to `newest`, as many as one envelope should hold.

    Visits have envelopes of their own, because they are forgotten sooner than all else (`keeping.py`).
    """
    found: list[Row] = []
    rows = size = 0
    where = f"entry > ? AND entry <= ? ORDER BY entry LIMIT {MAX_ENTRIES}"
    for entry in tables.ENTRY.read(db, where, (cursor, newest)):
        rows, size = rows + entry[6], size + len(entry[7])
        if found and (rows > MAX_ROWS or size > MAX_BODY_BYTES or _of_visits(entry) != _of_visits(found[0])):
            break
        found.append(entry)
    return found


def _of_visits(entry: Row) -> bool:
    return entry[1] == logs.OWN and entry[3] in _OF_VISITS


class _Envelope:
    """The items of one envelope, gathered inside its transaction."""

    def __init__(self, db: sqlite3.Connection, log: Log, clock: Clock, view: View, manifests: Manifests) -> None:
        self._db, self._log, self._clock, self._view = db, log, clock, view
        self._manifests = manifests
        self._boots: dict[tuple[bytes, int], Boot] = {}
        self._waiting = Waiting(db, log.log, view, known_utc_ms(clock))
        self._groups: dict[tuple[bytes, bytes, int | None], _Group] = {}
        self.rows = self.readings = 0
        self.more = False  # rows that could leave and did not fit

    def items(self, entries: Sequence[Row], form: str) -> list[Packed]:
        """Manifests first, then anchors, readings and everything else: a reader never meets what it does not know.

        Where anything of a new grant leaves, a source item stands before it.
        """
        others: list[Packed] = []
        self._waiting.load(self._of_digest)
        for entry in entries:
            item = bodies.unpacked(entry[3], entry[7])
            if isinstance(item, Readings):
                columns = self._of_digest(entry[4])
                if columns is not None:
                    self._add(entry, item, columns)
                    continue
                item = _without_manifest(entry)
            shown = self._view.other(entry[1], item)
            if shown is not None:
                others.append(shown.pack())
        if entries and _of_visits(entries[0]):
            return [*self._source(), *others] if others else []
        for due in self._waiting.due(self._in_utc, MAX_ROWS):
            self._gather(due.kid, None, due.readings, due.seen)
        others += [loss.pack() for loss in self._waiting.losses]
        self.more = self._waiting.more
        manifests, readings = self._numbered(self._groups.values(), form)
        items = [*manifests, *self._anchors(), *readings, *others]
        return [*self._source(), *items] if items else []

    def spans(self) -> Spans:
        """Which nodes and times are in it."""
        found = Spans()
        for (kid, _, domain), group in self._groups.items():
            tick_ms = group.columns.tick_ms
            found.add(kid, [row[0] * tick_ms for row in group.rows] if domain is None else None)
        return found

    def _of_digest(self, digest: bytes) -> Columns | None:
        return self._manifests.of_digest(self._db, digest)

    def _add(self, entry: Row, item: Readings, columns: Columns) -> None:
        if self._view.timed:
            self._waiting.add(entry, item, columns)
            return
        kid, boot = entry[1], entry[2]
        seen = self._view.manifest(kid, columns)
        if seen is not None:
            domain, ticks = self._dated(kid, boot, item, columns.tick_ms)
            self._gather(kid, domain, Readings(0, domain, ticks, item.columns, item.flags), seen)

    def _gather(self, kid: bytes, domain: int | None, item: Readings, seen: Seen) -> None:
        """Rows that leave, with the times they leave with."""
        item = _narrowed(item, seen)
        group = self._groups.setdefault((kid, seen.columns.digest, domain), _Group(kid, seen.columns, domain))
        group.add(item)
        self.rows += len(item.times)
        self.readings += sum(len(column) - column.count(None) for column in item.columns)

    def _dated(self, kid: bytes, number: int, item: Readings, tick_ms: int) -> tuple[int | None, list[int]]:
        """(clock domain or None for UTC, ticks) of these rows."""
        ticks = self._in_utc(kid, number, item, tick_ms)
        if ticks is not None:
            return None, ticks
        return self._log.domain(self._db, kid, number), item.times

    def _in_utc(self, kid: bytes, number: int, item: Readings, tick_ms: int) -> list[int] | None:
        """As `dating.in_utc`, by what is known of their boot."""
        if item.boot is None:
            return item.times
        boot = self._boots.get((kid, number))
        if boot is None:
            row = tables.BOOT.one(self._db, "node = ? AND boot = ?", (kid, number))
            boot = self._boots[kid, number] = Boot(kid, number) if row is None else Boot.of_row(row)
        return dating.in_utc(item, boot.anchor, tick_ms)

    def _numbered(self, groups: Iterable[_Group], form: str) -> tuple[list[Packed], list[Packed]]:
        manifests, readings = [], []
        for group in groups:
            number, new = self._log.manifest_number(self._db, group.columns.digest)
            if new:
                told = cbor.decode(group.columns.packed)
                manifests.append(Manifest(number, told if isinstance(told, dict) else {}).pack())
            told_rows = group.readings(number)
            readings.append(told_rows.pack(form))
            if self._log.log == HOME_LOG and group.domain is None:
                hourly.add(self._db, group.node, group.columns, told_rows)
        return manifests, readings

    def _source(self) -> list[Packed]:
        """What this log is derived from, when its grant is not the one that was told last."""
        if self._view.grant is None or not source.is_news(self._db, self._log, self._view.grant):
            return []
        return [source.told(self._db, self._log, self._view.grant).pack()]

    def _anchors(self) -> list[Packed]:
        """Anchors that have come for rows without one, and brackets for boots that ended without."""
        told: list[Packed] = []
        if self._log.log != HOME_LOG and (self._view.grant is None or self._view.grant.narrows_time):
            return told
        now_utc_ms = latest_utc_ms(self._clock)
        for boot, domain, state in self._log.undated(self._db):
            anchor, becomes = boot.anchor, ANCHORED
            if anchor is None and state == NO_ANCHOR:
                anchor, becomes = dating.bracket(self._db, boot, now_utc_ms), BETWEEN
            if anchor is not None:
                told.append(self._renamed(anchor, domain).pack())
                self._log.date(self._db, boot, domain, becomes)
        return told

    def _renamed(self, anchor: Anchor, domain: int) -> Anchor:
        """For this log; where it is delayed or was paused, told of the boot's start, older than any of its rows."""
        if self._view.grant is None or not (self._view.grant.delay_ms or self._view.timed):
            return Anchor(domain, anchor.boot_ms, anchor.utc_ms, anchor.source, anchor.uncertainty_ms)
        back_ms = min(anchor.boot_ms, anchor.utc_ms)
        unsure_ms = anchor.uncertainty_ms + back_ms * DRIFT_PPM // 1_000_000
        return Anchor(domain, anchor.boot_ms - back_ms, anchor.utc_ms - back_ms, anchor.source, unsure_ms)


def _narrowed(item: Readings, seen: Seen) -> Readings:
    """The columns that are granted, with their flags."""
    if seen.kept is None:
        return item
    flags = {place: item.flags[column] for place, column in enumerate(seen.kept) if column in item.flags}
    return Readings(item.manifest, item.boot, item.times, [item.columns[column] for column in seen.kept], flags)


def _without_manifest(entry: Row) -> Loss:
    """Rows whose meaning was lost with a damaged page."""
    number, kid = entry[0], entry[1]
    return Loss(kid.hex(), "entry", number, number, "its manifest stood on a damaged page of the journal")
