"""Rows that a hub's log has gone past and that wait: for the rest of their window of time, or for their boot's time.

Used for logs whose grant narrows time (days, pauses, or rows of `resolution_s`). Promises that a window is told once
and whole: when its node has sent something of after it, or a day later; that nothing of it is told a second time (what
comes too late is told as a loss); and that what waits outlives a restart (table `withheld`). A row whose time is not
known waits as long as its boot may still get one; one dated in the future never leaves: its clock was wrong.
Leaves what may leave to `rules.py`, joining rows to `quality.aggregates`, numbers to `closing.py`.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from balise_gateway.grants.rules import Seen, View
from balise_gateway.journal import bodies, tables
from balise_gateway.journal.tables import Row
from balise_gateway.nodes.manifests import Columns
from balise_gateway.quality import aggregates, series
from balise_gateway.quality.aggregates import Window
from balise_wire import cbor
from balise_wire.items import Loss, Readings

LONGEST_WAIT_MS = 86_400_000  # for the rest of a window, when its node has fallen silent
FUTURE_MS = 600_000  # a row dated more than that after the gateway's own time cannot be right
TOO_LATE = "came after their window was told"
InUtc = Callable[[bytes, int, Readings, int], list[int] | None]
OfDigest = Callable[[bytes], Columns | None]


@dataclass
class _Part:
    """The rows of one entry: new ones, or such as have waited. `times_ms` is UTC, None while nobody knows it."""

    entry: int
    kid: bytes
    boot: int
    item: Readings
    columns: Columns
    held: bool = False
    times_ms: list[int] | None = None
    leaves: list[int] = field(default_factory=list)
    stays: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Due:
    """Rows that leave now, in UTC ticks of the manifest as this log shows it; all columns of the home log's."""

    kid: bytes
    seen: Seen
    readings: Readings


class Waiting:
    """One log's rows, gathered inside one transaction."""

    def __init__(self, db: sqlite3.Connection, log: int, view: View, now_utc_ms: int | None) -> None:
        self._db, self._log, self._view, self._now_ms = db, log, view, now_utc_ms
        self._window_s = 0 if view.grant is None else view.grant.resolution_s
        self._parts: list[_Part] = []
        self.losses: list[Loss] = []
        self.more = self._chosen = False  # rows that could leave did not fit; something leaves

    def load(self, of_digest: OfDigest) -> None:
        """What has waited."""
        rows = list(tables.WITHHELD.read(self._db, "log = ? ORDER BY entry", (self._log,)))
        for _, entry, kid, boot, digest, _, body in rows:
            item, columns = bodies.unpacked(Readings.kind, body), of_digest(digest)
            if not isinstance(item, Readings) or columns is None:
                self._forget(entry)
            else:
                self._parts.append(_Part(entry, kid, boot, item, columns, held=True))

    def add(self, entry: Row, item: Readings, columns: Columns) -> None:
        """What the log meets for the first time."""
        if self._view.manifest(entry[1], columns) is not None:
            self._parts.append(_Part(entry[0], entry[1], entry[2], item, columns))

    def due(self, in_utc: InUtc, most_rows: int) -> list[Due]:
        """What leaves now; what waits on is remembered, what never leaves is forgotten.

        `in_utc(kid, boot, item, tick_ms)` dates rows where it can. Beyond `most_rows` rows wait for the next envelope.
        """
        by_kid: dict[bytes, list[_Part]] = {}
        for part in self._parts:
            self._date(part, in_utc)
            by_kid.setdefault(part.kid, []).append(part)
        found: list[Due] = []
        for kid, parts in by_kid.items():
            if self._window_s:
                self._choose_windows(kid, parts)
            else:
                most_rows = self._choose_all(parts, most_rows)
            found += self._due_of(kid, parts)
        for part in self._parts:
            self._remember(part)
        return found

    def _date(self, part: _Part, in_utc: InUtc) -> None:
        ticks = in_utc(part.kid, part.boot, part.item, part.columns.tick_ms)
        if ticks is not None:
            part.times_ms = [tick * part.columns.tick_ms for tick in ticks]
            return
        node = tables.NODE.one(self._db, "node = ?", (part.kid,))
        if node is None or node[2] <= part.boot:  # its newest boot: it may still hear what time it is
            part.stays = list(range(len(part.item.times)))

    def _granted(self, part: _Part) -> Iterator[tuple[int, int]]:
        """(row, UTC ms) of the rows that the grant lets through, now or later."""
        for row, at_ms in enumerate(part.times_ms or []):
            if self._view.allows(at_ms) and self._is_possible(at_ms):
                yield row, at_ms

    def _is_possible(self, at_ms: int) -> bool:
        return self._now_ms is None or at_ms <= self._now_ms + FUTURE_MS

    def _choose_all(self, parts: Sequence[_Part], most_rows: int) -> int:
        """The rows leave as they are, as long as they fit (one entry always does); returns how many more would."""
        for part in parts:
            rows = [row for row, _ in self._granted(part)]
            self.more = self.more or (most_rows < len(rows) and self._chosen)
            if self.more:
                part.stays += rows
            else:
                part.leaves, most_rows, self._chosen = rows, most_rows - len(rows), True
        return most_rows

    def _choose_windows(self, kid: bytes, parts: Sequence[_Part]) -> None:
        """The rows of windows that are over leave, once; later ones stay."""
        window = Window(self._window_s, 1)
        told_ms = last_ms = tables.count(self._db, self._mark(kid))
        times_ms = [at_ms for part in parts for at_ms in part.times_ms or [] if self._is_possible(at_ms)]
        newest_ms = max(times_ms, default=0)
        late_ms: list[int] = []
        for part in parts:
            for row, at_ms in self._granted(part):
                start_ms = window.start_of(at_ms)
                if start_ms <= told_ms:
                    late_ms.append(start_ms)
                elif self._is_over(start_ms + 1_000 * self._window_s, newest_ms):
                    part.leaves.append(row)
                    last_ms = max(last_ms, start_ms)
                else:
                    part.stays.append(row)
        if last_ms > told_ms:
            tables.COUNTER.put(self._db, [(self._mark(kid), last_ms)])
        if late_ms:
            first_s, last_s = min(late_ms) // 1_000, max(late_ms) // 1_000 + self._window_s
            self.losses.append(Loss(self._name(parts[0]), "rows", first_s, last_s, TOO_LATE))

    def _is_over(self, end_ms: int, newest_ms: int) -> bool:
        """A stamp on the border belongs to the window before it, so only a later one says that it is over."""
        return newest_ms > end_ms or (self._now_ms is not None and self._now_ms > end_ms + LONGEST_WAIT_MS)

    def _due_of(self, kid: bytes, parts: Sequence[_Part]) -> Iterator[Due]:
        by_digest: dict[bytes, list[_Part]] = {}
        for part in parts:
            if part.leaves:
                by_digest.setdefault(part.columns.digest, []).append(part)
        taken: set[tuple[int, str]] = set()
        for same in by_digest.values():
            seen = self._view.manifest(kid, same[0].columns)
            rows = self._joined(same, taken)
            if seen is not None and rows is not None:
                yield Due(kid, seen, rows)

    def _joined(self, parts: Sequence[_Part], taken: set[tuple[int, str]]) -> Readings | None:
        """The leaving rows of one manifest, as measured or as windows."""
        columns, rows = parts[0].columns, _rows_in_ms(parts)
        if not self._window_s:
            return Readings(0, None, [at_ms // columns.tick_ms for at_ms in rows.times], rows.columns, rows.flags)
        window = Window(self._window_s, aggregates.usual_period_ms(rows.times, self._window_s))
        measured = series.of_readings(rows, columns.names, columns.scales, 1)
        coarse = aggregates.coarse_readings(measured, 0, 1_000, window)
        return None if coarse is None else _not_twice(coarse, columns.names, taken)

    def _remember(self, part: _Part) -> None:
        if part.stays and not (part.held and len(part.stays) == len(part.item.times)):
            rows = _some_rows(part.item, sorted(part.stays))
            body = bodies.packed(rows)
            key = (self._log, part.entry, part.kid, part.boot, part.columns.digest)
            tables.WITHHELD.put(self._db, [(*key, len(rows.times), body)])
        elif part.held and not part.stays:
            self._forget(part.entry)

    def _forget(self, entry: int) -> None:
        self._db.execute("DELETE FROM withheld WHERE log = ? AND entry = ?", (self._log, entry))

    def _mark(self, kid: bytes) -> str:
        """The counter that says up to which window this log has told of a node (start, UTC ms)."""
        return f"window {self._log} {kid.hex()}"

    def _name(self, part: _Part) -> str:
        seen = self._view.manifest(part.kid, part.columns)
        told = {} if seen is None else cbor.decode(seen.columns.packed)
        return str(told.get("node", "")) if isinstance(told, dict) else ""


def _some_rows(item: Readings, rows: Sequence[int]) -> Readings:
    """These rows of an item, rising, with their flags."""
    place = {row: number for number, row in enumerate(rows)}
    flags = {
        column: kept
        for column, pairs in item.flags.items()
        if (kept := [[place[row], flag] for row, flag in pairs if row in place])
    }
    columns = [[column[row] for row in rows] for column in item.columns]
    return Readings(item.manifest, item.boot, [item.times[row] for row in rows], columns, flags)


def _rows_in_ms(parts: Iterable[_Part]) -> Readings:
    """The leaving rows of several entries of one manifest in one item whose ticks are milliseconds."""
    times: list[int] = []
    columns: list[list[int | None]] = []
    flags: dict[int, list[list[int]]] = {}
    for part in parts:
        rows = _some_rows(part.item, part.leaves)
        for column, pairs in rows.flags.items():
            flags.setdefault(column, []).extend([len(times) + row, flag] for row, flag in pairs)
        columns = columns or [[] for _ in rows.columns]
        for whole, more in zip(columns, rows.columns, strict=True):
            whole.extend(more)
        times += [part.times_ms[row] for row in part.leaves] if part.times_ms else []
    return Readings(0, None, times, columns, flags)


def _not_twice(coarse: Readings, names: Sequence[str], taken: set[tuple[int, str]]) -> Readings | None:
    """Without values of windows that another manifest of the node has told: two parts would be finer than one."""
    for column, name in enumerate(names):
        for row, tick in enumerate(coarse.times):
            if (tick, name) in taken:
                coarse.columns[column][row] = None
        taken.update((tick, name) for tick in coarse.times)
    filled = [row for row in range(len(coarse.times)) if any(column[row] is not None for column in coarse.columns)]
    return _some_rows(coarse, filled) if filled else None
