"""The rows of a signed envelope, as a hub with a form of its own takes them.

Promises exact decimals, the time of each row with its uncertainty, and the flags beside the values; a row whose time is
not known says why instead. The order of an envelope's rows is always the same, so (seq, index) names one for ever.
Leaves what may leave to the grants: an envelope of a hub's log holds nothing else.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from balise_gateway.journal import tables
from balise_gateway.nodes.boots import Boot
from balise_gateway.nodes.dating import BETWEEN_SOURCE
from balise_wire import cbor
from balise_wire.envelope import read_envelope
from balise_wire.items import Anchor, Manifest, Readings
from balise_wire.senml import utc_ms_of

YEAR_10000_MS = 253_402_300_800_000


@dataclass(frozen=True, slots=True)
class Value:
    """One value: `integer` / 10 ** `scale` in `unit` (SenML), with its QARTOD `flag` (1 pass)."""

    channel: str
    unit: str
    integer: int
    scale: int
    flag: int = 1

    @property
    def number(self) -> float:
        return float(self.decimal)

    @property
    def decimal(self) -> Decimal:
        return Decimal(self.integer).scaleb(-self.scale)

    @property
    def text(self) -> str:
        """The exact decimal, never with an exponent."""
        return f"{self.decimal:f}"


@dataclass(frozen=True, slots=True)
class HubRow:
    """What one node said at one time. `about` is the manifest's map: trust, place, agg, channels with model and corr.

    `utc_ms` is the moment, or the start of the window where `about` has an `agg`; `uncertainty_ms` is None where the
    envelope gives UTC without saying how sure. Missing values are left out.
    """

    seq: int
    index: int
    node: str
    utc_ms: int
    uncertainty_ms: int | None
    values: tuple[Value, ...]
    about: Mapping[object, object]


@dataclass(frozen=True, slots=True)
class Undated:
    """A row without a time that could be told to such a hub, and why."""

    seq: int
    index: int
    reason: str


def rows_of(db: sqlite3.Connection, log: int, seq: int, cose: bytes) -> list[HubRow | Undated]:
    """All rows of one envelope of this log that have at least one value, by index. Raises WireError for damaged bytes.

    The index counts rows without a value too.
    """
    items = read_envelope(cose).items
    told = {item.number: item.map for item in items if isinstance(item, Manifest)}
    anchors = [item for item in items if isinstance(item, Anchor)]
    rows: list[HubRow | Undated] = []
    for item in items:
        if isinstance(item, Readings):
            about = told.get(item.manifest) or _manifest(db, log, item.manifest)
            rows += of_readings(item, about, _anchors(db, log, item, anchors), seq, len(rows))
    return [row for row in rows if isinstance(row, Undated) or row.values]


def of_readings(
    item: Readings, about: Mapping[object, object] | None, anchors: list[Anchor], seq: int, first: int
) -> list[HubRow | Undated]:
    """The rows of one item, also those without a value; `first` is the index of its first, `about` its manifest."""
    if about is None:
        return [Undated(seq, first + row, "its manifest is not in the journal") for row in range(len(item.times))]
    heads = [(str(entry["n"]), str(entry["u"]), int(str(entry["s"]))) for entry in channels_of(about)]
    flags = {(column, row): flag for column, pairs in item.flags.items() for row, flag in pairs}
    rows: list[HubRow | Undated] = []
    for row, ticks in enumerate(item.times):
        dated = _dated(item, ticks, int(str(about.get("tick_ms", 1000))), anchors)
        if not isinstance(dated, str) and not 0 <= dated[0] < YEAR_10000_MS:
            dated = "its time is no date: no other hub has a form for it"
        if isinstance(dated, str):
            rows.append(Undated(seq, first + row, dated))
            continue
        values = tuple(
            Value(name, unit, integer, scale, flags.get((number, row), 1))
            for number, ((name, unit, scale), column) in enumerate(zip(heads, item.columns, strict=True))
            if (integer := column[row]) is not None
        )
        rows.append(HubRow(seq, first + row, str(about["node"]), dated[0], dated[1], values, about))
    return rows


def _dated(item: Readings, ticks: int, tick_ms: int, anchors: list[Anchor]) -> tuple[int, int | None] | str:
    """(UTC, uncertainty) of a row in milliseconds, or why it has none."""
    if item.boot is None:
        return ticks * tick_ms, None
    sure = [anchor for anchor in anchors if anchor.source != BETWEEN_SOURCE]  # no other hub can be told a bracket
    utc_ms = utc_ms_of(ticks, tick_ms, sure)
    if utc_ms is not None:
        return utc_ms, min(anchor.uncertainty_ms for anchor in sure)
    return "its time is only known within two others" if anchors else "its time is not known yet"


def _manifest(db: sqlite3.Connection, log: int, number: int) -> Mapping[object, object] | None:
    """What an earlier envelope of this log has told under that number."""
    row = tables.LOG_MANIFEST.one(db, "log = ? AND number = ?", (log, number))
    stored = None if row is None else tables.MANIFEST.one(db, "digest = ?", (row[1],))
    told = None if stored is None else cbor.decode(stored[1])
    return told if isinstance(told, dict) else None


def _anchors(db: sqlite3.Connection, log: int, item: Readings, told: list[Anchor]) -> list[Anchor]:
    """The anchors of these rows' clock domain: what this envelope says, and what the journal has learnt since."""
    if item.boot is None:
        return []
    mine = [anchor for anchor in told if anchor.boot == item.boot]
    row = tables.LOG_DOMAIN.one(db, "log = ? AND domain = ?", (log, item.boot))
    boot = None if row is None else tables.BOOT.one(db, "node = ? AND boot = ?", (row[1], row[2]))
    anchor = None if boot is None else Boot.of_row(boot).anchor
    return mine if anchor is None else [*mine, anchor]


def channels_of(about: Mapping[object, object]) -> list[dict[Any, Any]]:
    """The channels of a manifest's map."""
    found = about.get("channels", [])
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
