"""What the journal knows of columns, so that a restart does not begin from nothing.

Promises the last value of each channel of a device, and since when it has been the same: a stuck sensor stays stuck
over a power cut. It is told late rather than early: from the end of the first hour (`hourly.py`) that was flat.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from balise_gateway.journal import tables
from balise_gateway.journal.tables import Row
from balise_gateway.quality import FAIL, MISSING
from balise_gateway.quality.hourly import HOUR_S
from balise_wire import cbor

MAX_HOURS = 200  # longer than any limit of the table


class Recalled(NamedTuple):
    """One channel of a device, as it was last heard, in UTC."""

    name: str
    at_ms: int
    value: int
    since_ms: int


def last_values(db: sqlite3.Connection, node: Row) -> Iterator[Recalled]:
    """Of a row of table `node`: the channels whose last value did not fail; none when its time is not known."""
    latest = cbor.decode(node[5])
    utc_ms, values = (latest.get("utc_ms"), latest.get("values")) if isinstance(latest, dict) else (None, None)
    if not isinstance(utc_ms, int) or not isinstance(values, list):
        return
    for name, value, scale, _, flag in values:
        if isinstance(value, int) and flag not in (FAIL, MISSING):
            yield Recalled(str(name), utc_ms, value, _flat_since(db, node[0], str(name), value / 10.0**scale, utc_ms))


def _flat_since(db: sqlite3.Connection, node: bytes, name: str, value: float, at_ms: int) -> int:
    """The end of the first of the hours, back from the last, in which there was no other value; else `at_ms`."""
    since_ms, hour_ms = at_ms, 1_000 * HOUR_S
    next_ms = None
    where = f"node = ? AND channel = ? AND window_s = ? ORDER BY start_utc_ms DESC LIMIT {MAX_HOURS}"
    for row in tables.AGGREGATE.read(db, where, (node, name, HOUR_S)):
        start_ms, least, most = row[3], row[7], row[8]
        if not least == most == value or (next_ms is not None and start_ms != next_ms - hour_ms):
            break
        next_ms = start_ms
        since_ms = min(since_ms, start_ms + hour_ms)
    return since_ms
