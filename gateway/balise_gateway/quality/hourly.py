"""Table `aggregate`: each hour of each channel, for pages and people who ask about a year.

Promises that a row is in its hour once, however late it comes: the table is written in the transaction that puts the
row into the home log, where each row stands once. What counts is said in `aggregates.py`; rows without UTC are in no
hour. `mean` is what the channel's function makes of them (of levels: by energy), in the channel's unit, not rounded,
so that more rows can be joined to it; a level's duration is known within one envelope only. `expected` follows from
the usual gap between the rows. Leaves rounding and completeness to its readers.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balise_gateway.journal import tables
from balise_gateway.journal.tables import Row
from balise_gateway.nodes.manifests import Columns
from balise_gateway.quality import NOT_EVALUATED, PASS
from balise_gateway.quality.aggregates import (
    DURATION,
    ENERGY,
    NONE,
    How,
    Window,
    combined,
    exact,
    function_of,
    shares_of,
    usual_period_ms,
)
from balise_wire.items import Readings

HOUR_S = 3_600
_LEAST_ROWS = 3  # that say how far apart rows are


@dataclass(frozen=True)
class _Part:
    """What an envelope has of one hour of a channel, in scaled integers."""

    n: int
    value: float | None
    least: int
    most: int


def add(db: sqlite3.Connection, node: bytes, columns: Columns, readings: Readings) -> None:
    """Joins rows, in order of time and in UTC, to the hours that they belong to. Inside a transaction."""
    times_ms = [tick * columns.tick_ms for tick in readings.times]
    window = Window(HOUR_S, usual_period_ms(times_ms, HOUR_S))
    weights = readings.columns[columns.names.index(DURATION)] if DURATION in columns.names else None
    hows = [How(function_of(name, HOUR_S), scale) for name, scale in zip(columns.names, columns.scales, strict=True)]
    found: list[Row] = []
    for start_ms, first, last in _hours(times_ms, window):
        expected = window.expected if last - first >= _LEAST_ROWS else 0
        known = _known(db, node, columns.names, start_ms)
        for number, how in enumerate(hows):
            part = _part(readings, number, range(first, last), how, weights)
            if part is not None:
                name = columns.names[number]
                found.append((node, name, HOUR_S, start_ms, *_joined(known.get(name), part, how, expected)))
    tables.AGGREGATE.put(db, found)


def _hours(times_ms: Sequence[int], window: Window) -> Iterator[tuple[int, int, int]]:
    """(start of the hour, first row, row after its last)."""
    first = 0
    while first < len(times_ms):
        start_ms = window.start_of(times_ms[first])
        last = bisect_right(times_ms, start_ms + 1_000 * HOUR_S, lo=first)
        yield start_ms, first, last
        first = last


def _part(readings: Readings, number: int, rows: range, how: How, weights: Sequence[int | None] | None) -> _Part | None:
    """What these rows have of a column; None when no value of it counts."""
    column = readings.columns[number]
    bad = {row for row, flag in readings.flags.get(number, ()) if flag not in (PASS, NOT_EVALUATED)}
    kept = [row for row in rows if row not in bad and column[row] is not None] if bad or None in column else rows
    counted = [value for row in kept if (value := column[row]) is not None]
    if not counted:
        return None
    shares = shares_of(kept, weights) if how.function == ENERGY else None
    return _Part(len(counted), exact(counted, how, shares), min(counted), max(counted))


def _known(db: sqlite3.Connection, node: bytes, names: Sequence[str], start_ms: int) -> dict[str, Row]:
    """The rows of this hour that there are already, by channel."""
    where = f"node = ? AND channel IN ({', '.join('?' * len(names))}) AND window_s = ? AND start_utc_ms = ?"
    return {row[1]: row for row in tables.AGGREGATE.read(db, where, (node, *names, HOUR_S, start_ms))}


def _joined(before: Row | None, part: _Part, how: How, expected: int) -> Row:
    """What this hour has, with what is new: all after its name."""
    factor = 10.0**how.scale
    value, n, least, most = part.value, part.n, part.least / factor, part.most / factor
    if before is not None and before[4]:
        n, expected = n + before[4], max(expected, before[5])
        least, most = min(least, before[7]), max(most, before[8])
        if value is not None and before[6] is not None:
            value = combined((before[6] * factor, before[4]), (value, part.n), how)
    mean = None if value is None or how.function == NONE else value / factor
    return (n, max(expected, n), mean, least, most)
