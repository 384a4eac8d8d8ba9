"""Rows for a reader: out of the home log and of what waits for it, narrowed as the reader's grant says.

Promises rows in order of time and node, none twice, none that the grant does not let through; windows only when they
are over (and `delay_s` has passed); and memory for a day of rows, however much is asked for. A row without a known
time is not among them. Leaves HTTP to `app.py`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from balise_gateway.grants.rules import View
from balise_gateway.journal import bodies, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import spans
from balise_gateway.logbook.logs import Log
from balise_gateway.logbook.rows import HubRow, Value, channels_of, of_readings, rows_of
from balise_gateway.nodes import dating
from balise_gateway.nodes.boots import Boot
from balise_gateway.nodes.manifests import Manifests, columns_of
from balise_gateway.quality import aggregates
from balise_gateway.quality.aggregates import Window
from balise_gateway.quality.series import Series
from balise_wire import cbor
from balise_wire.items import Anchor, Readings

DAY_MS = 86_400_000
PENDING = 1 << 62  # the seq of a row that is in no envelope yet


@dataclass(frozen=True)
class Question:
    """Which rows: of nodes for which `wants` says so, and channels likewise; from_ms <= UTC < to_ms."""

    from_ms: int
    to_ms: int
    wants: Callable[[str, str], bool] = lambda node, channel: True
    window_s: int = 0


class History:
    """What one reader may see of one journal. `kid_of`: key ids of the configured nodes by name."""

    def __init__(self, db: sqlite3.Connection, view: View, kid_of: Mapping[str, bytes], now_utc_ms: int | None) -> None:
        self._db, self._view, self._kid_of, self._now_utc_ms = db, view, kid_of, now_utc_ms
        self._manifests = Manifests()
        self._mark, self._waiting = (-1, -1), list[HubRow]()
        self._narrowed: dict[int, tuple[Mapping[object, object], Mapping[object, object] | None]] = {}

    def rows(self, question: Question) -> Iterator[HubRow]:
        """All of them, in order of time and node; days without any cost nothing."""
        length_ms = 1_000 * question.window_s or 1
        step_ms = -(-DAY_MS // length_ms) * length_ms
        start_ms = -(-max(question.from_ms, self._earliest_ms()) // length_ms) * length_ms
        end_ms = min(question.to_ms, self.horizon_ms(question)) // length_ms * length_ms
        while start_ms < end_ms:
            until_ms = min(start_ms // step_ms * step_ms + step_ms, end_ms)
            piece = replace(question, from_ms=start_ms, to_ms=until_ms)
            yield from sorted(self._windows(piece) if question.window_s else self._raw(piece), key=_order)
            start_ms = until_ms

    def latest(self, question: Question) -> list[HubRow]:
        """The newest row of each node that has what is wanted."""
        newest: dict[tuple[str, tuple[str, ...]], HubRow] = {}
        for row in self.rows(question):
            newest[row.node, tuple(value.channel for value in row.values)] = row
        return sorted(newest.values(), key=_order)

    def _earliest_ms(self) -> int:
        """No row is older: nodes of this kind did not run before, or the first span says when."""
        (first_ms,) = self._db.execute("SELECT min(first_utc_ms) FROM span").fetchone()
        waiting_ms = min((row.utc_ms for row in self._pending()), default=None)
        found = [ms for ms in (first_ms, waiting_ms) if ms is not None]
        return max(0, min(found) - DAY_MS) if found else dating.EARLIEST_UTC_MS

    def horizon_ms(self, question: Question) -> int:
        """Rows from here on may not be seen yet; 0 when the clock is not known and the grant has a delay."""
        delay_ms = 0 if self._view.grant is None else self._view.grant.delay_ms
        if self._now_utc_ms is None:
            return 0 if delay_ms or question.window_s else question.to_ms
        return self._now_utc_ms - delay_ms + (0 if delay_ms or question.window_s else DAY_MS)

    def _raw(self, question: Question) -> Iterator[HubRow]:
        for row in self._all(question.from_ms, question.to_ms):
            if question.from_ms <= row.utc_ms < question.to_ms and self._view.allows(row.utc_ms):
                told = self._told(row, question)
                if told is not None:
                    yield told

    def _all(self, from_ms: int, to_ms: int) -> Iterator[HubRow]:
        """Rows that may lie in that time, as the home log tells them."""
        for seq, cose in spans.envelopes(self._db, from_ms, to_ms):
            for row in rows_of(self._db, HOME_LOG, seq, cose):
                if isinstance(row, HubRow):
                    yield row
        yield from self._pending()

    def _pending(self) -> list[HubRow]:
        """Rows that are committed and not in the home log yet; read again when there are others."""
        cursor = Log.read(self._db, HOME_LOG).cursor
        mark = (cursor, tables.count(self._db, "next_entry"))
        if mark != self._mark:
            self._mark, self._waiting = mark, list(self._read_pending(cursor))
        return self._waiting

    def _read_pending(self, cursor: int) -> Iterator[HubRow]:
        """Dated as the home log will date them."""
        where = "entry > ? AND kind = ? ORDER BY entry"
        for entry in tables.ENTRY.read(self._db, where, (cursor, Readings.kind)):
            columns, item = self._manifests.of_digest(self._db, entry[4]), bodies.unpacked(entry[3], entry[7])
            about = None if columns is None else cbor.decode(columns.packed)
            if columns is None or not isinstance(about, dict) or not isinstance(item, Readings):
                continue
            anchor = None if item.boot is None else self._anchor(entry[1], entry[2])
            ticks = dating.in_utc(item, anchor, columns.tick_ms)
            shown = item if ticks is None else Readings(item.manifest, None, ticks, item.columns, item.flags)
            rows = of_readings(shown, about, [] if anchor is None else [anchor], PENDING + entry[0], 0)
            yield from (row for row in rows if isinstance(row, HubRow) and row.values)

    def _anchor(self, kid: bytes, number: int) -> Anchor | None:
        row = tables.BOOT.one(self._db, "node = ? AND boot = ?", (kid, number))
        return None if row is None else Boot.of_row(row).anchor

    def _told(self, row: HubRow, question: Question) -> HubRow | None:
        """The row as this reader may see it; None: not at all, or nothing of it is wanted."""
        about = self._about(row)
        if about is None:
            return None
        names = {str(entry["n"]) for entry in channels_of(about) if question.wants(row.node, str(entry["n"]))}
        values = tuple(value for value in row.values if value.channel in names)
        return replace(row, values=values, about=about) if values else None

    def _about(self, row: HubRow) -> Mapping[object, object] | None:
        """The manifest of a row as the view shows it."""
        known = self._narrowed.get(id(row.about))
        if known is None or known[0] is not row.about:
            kid = self._kid_of.get(row.node, row.node.encode())
            seen = self._view.manifest(kid, columns_of(cbor.encode(dict(row.about))))
            told = None if seen is None else cbor.decode(seen.columns.packed)
            known = (row.about, told if isinstance(told, dict) else None)
            self._narrowed[id(row.about)] = known
        return known[1]

    def _windows(self, question: Question) -> Iterator[HubRow]:
        """The windows that begin in that time: a stamp on a border belongs to the window that ends there."""
        inner = replace(question, from_ms=question.from_ms + 1, to_ms=question.to_ms + 1)
        return self._joined(self._raw(inner), Window(question.window_s, 1))

    def _joined(self, rows: Iterator[HubRow], window: Window) -> Iterator[HubRow]:
        """The windows of these rows, node by node."""
        groups: dict[tuple[str, tuple[tuple[str, int, str], ...]], list[HubRow]] = {}
        for row in rows:
            shape = tuple((str(e["n"]), int(str(e["s"])), str(e["u"])) for e in channels_of(row.about))
            groups.setdefault((row.node, shape), []).append(row)
        for (_, shape), found in sorted(groups.items()):
            found.sort(key=_order)
            yield from _coarse(found, shape, window)


def _coarse(rows: Sequence[HubRow], shape: Sequence[tuple[str, int, str]], window: Window) -> Iterator[HubRow]:
    times = [row.utc_ms for row in rows]
    by_name = [{value.channel: value for value in row.values} for row in rows]
    names = [name for name, _, _ in shape]
    columns = [[row[name].integer if name in row else None for row in by_name] for name in names]
    flags = {
        number: {at: row[name].flag for at, row in enumerate(by_name) if name in row and row[name].flag != 1}
        for number, name in enumerate(names)
    }
    series = Series(tuple(names), tuple(scale for _, scale, _ in shape), times, columns, flags)
    window = Window(window.window_s, aggregates.usual_period_ms(times, window.window_s))
    columns_of_windows = [{one.start_ms: one for one in found} for found in aggregates.windows_of(series, window)]
    channels = aggregates.coarse_channels(channels_of(rows[0].about), window.window_s)
    about = {**rows[0].about, "channels": channels}
    for index, start_ms in enumerate(sorted({at for column in columns_of_windows for at in column})):
        values = tuple(
            Value(name, unit, one.value, scale, one.flag)
            for (name, scale, unit), column in zip(shape, columns_of_windows, strict=True)
            if (one := column.get(start_ms)) is not None and one.value is not None
        )
        if values:
            yield HubRow(rows[0].seq, index, rows[0].node, start_ms, None, values, about)


def _order(row: HubRow) -> tuple[int, str, int, int]:
    return row.utc_ms, row.node, row.seq, row.index
