"""One channel's past, for comparing: from the home log of a journal, or from a CSV file.

Promises values in the channel's unit with UTC and flags; rows whose date nobody knows are left out. Envelopes are
verified. Leaves pairing to `colocation.py`.
"""

import csv
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from balise_gateway.errors import GatewayError
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.quality.colocation import Points
from balise_gateway.quality.models import HUMIDITY
from balise_wire.envelope import verify_envelope
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Item, Manifest, Readings
from balise_wire.senml import utc_ms_of


class PastError(GatewayError):
    """A past that cannot be read; the text names file, row or node, and what to try."""


@dataclass
class Past:
    """What is known of one channel of one device. `unit` and `sensor` are "" for a CSV file."""

    name: str
    times_ms: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    humidity_pct: list[float | None] = field(default_factory=list)
    flags: dict[int, int] = field(default_factory=dict)
    humidity_flags: dict[int, int] = field(default_factory=dict)
    unit: str = ""
    sensor: str = ""

    @property
    def points(self) -> Points:
        return Points(self.times_ms, self.values, self.flags)

    @property
    def humidity(self) -> Points | None:
        """The relative humidity at the same device; None when it was never measured."""
        known = any(value is not None for value in self.humidity_pct)
        return Points(self.times_ms, self.humidity_pct, self.humidity_flags) if known else None


def of_log(db: sqlite3.Connection, public_key: bytes, kid: bytes, node: str, channel: str) -> Past:
    """From the home log, all of it. Raises PastError, JournalDamaged."""
    past, manifests = Past(node), dict[int, Mapping[object, object]]()
    waiting: dict[int, list[Readings]] = {}
    for items in _envelopes(db, public_key, kid):
        for item in items:
            if isinstance(item, Manifest):
                manifests[item.number] = item.map
            elif isinstance(item, Readings) and manifests.get(item.manifest, {}).get("node") == node:
                _take(past, item, manifests[item.manifest], channel, waiting)
            elif isinstance(item, Anchor):
                _date(past, item, manifests, channel, waiting)
    if not past.times_ms:
        raise PastError(f"the home log has no dated {channel} of {node}; nodes are named as in the configuration")
    return past


def _envelopes(db: sqlite3.Connection, public_key: bytes, kid: bytes) -> Iterator[list[Item | Readings]]:
    """The items of each envelope of the home log."""
    try:
        for row in tables.ENVELOPE.read(db, "log = ? ORDER BY seq", (HOME_LOG,)):
            yield verify_envelope(row[5], {kid: public_key}).items
    except WireError as error:
        raise PastError(f"the home log: {error}; was the signing key replaced?") from error
    except sqlite3.Error as error:
        raise PastError(f"the journal cannot be read: {error}") from error


def _take(
    past: Past,
    item: Readings,
    manifest: Mapping[object, object],
    channel: str,
    waiting: dict[int, list[Readings]],
) -> None:
    if item.boot is not None:
        waiting.setdefault(item.boot, []).append(item)
        return
    tick_ms = int(str(manifest.get("tick_ms", 1_000)))
    _add(past, item, manifest, channel, [tick * tick_ms for tick in item.times])


def _date(
    past: Past,
    anchor: Anchor,
    manifests: Mapping[int, Mapping[object, object]],
    channel: str,
    waiting: dict[int, list[Readings]],
) -> None:
    """Rows of a clock domain, now that an anchor has come. One that is no more than a bracket dates nothing."""
    if anchor.source == "between":
        return
    for item in waiting.pop(anchor.boot, []):
        manifest = manifests[item.manifest]
        tick_ms = int(str(manifest.get("tick_ms", 1_000)))
        times = [utc_ms_of(tick, tick_ms, [anchor]) or 0 for tick in item.times]
        _add(past, item, manifest, channel, times)


def _add(past: Past, item: Readings, manifest: Mapping[object, object], channel: str, times_ms: list[int]) -> None:
    told = manifest.get("channels", [])
    entries = {entry["n"]: (number, entry) for number, entry in enumerate(told if isinstance(told, list) else [])}
    if channel not in entries:
        return
    number, entry = entries[channel]
    past.unit, past.sensor = str(entry.get("u", "")), str(entry.get("model", ""))
    first = len(past.times_ms)
    past.times_ms += times_ms
    past.values += _in_units(item, number, entry)
    past.flags.update((first + row, flag) for row, flag in item.flags.get(number, []))
    if HUMIDITY in entries:
        wet, entry = entries[HUMIDITY]
        past.humidity_pct += _in_units(item, wet, entry)
        past.humidity_flags.update((first + row, flag) for row, flag in item.flags.get(wet, []))
    else:
        past.humidity_pct += [None] * len(times_ms)


def _in_units(item: Readings, number: int, entry: Mapping[object, object]) -> Iterator[float | None]:
    factor = 10.0 ** int(str(entry["s"]))
    return (None if value is None else value / factor for value in item.columns[number])


def of_csv(path: Path, channel: str) -> Past:
    """From a CSV file with a head: a column `time...` (ISO 8601 with its zone, or seconds since 1970), one that is
    called as the channel (or begins so, "pm2_5_ugm3"), and maybe one for humidity. Raises PastError."""
    past = Past(path.name)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            heads = list(rows.fieldnames or [])
            at, value = _head(heads, "time", path), _head(heads, channel, path)
            wet = next((head for head in heads if HUMIDITY in head.lower()), None)
            for number, row in enumerate(rows, start=2):
                _take_row(past, (row.get(at), row.get(value), row.get(wet) if wet else None), f"{path}: line {number}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PastError(f"{path}: cannot be read as CSV: {error}") from error
    if not past.times_ms:
        raise PastError(f"{path}: has no rows")
    return past


def _head(heads: list[str], name: str, path: Path) -> str:
    for head in heads:
        if head == name or head.lower().startswith(f"{name}_") or (name == "time" and head.lower().startswith(name)):
            return head
    raise PastError(f"{path}: no column {name!r} in its first line: {', '.join(heads) or 'empty'}")


def _take_row(past: Past, cells: tuple[str | None, str | None, str | None], where: str) -> None:
    at, value, wet = cells
    try:
        past.times_ms.append(_utc_ms(at or ""))
        past.values.append(float(value) if value else None)
        past.humidity_pct.append(float(wet) if wet else None)
    except ValueError as error:
        raise PastError(f"{where}: {error}; times need their zone, such as 2026-03-01T12:00:00Z") from error


def _utc_ms(text: str) -> int:
    if text.replace(".", "", 1).isdigit():
        return round(float(text) * 1_000)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return round(moment.timestamp() * 1_000)
