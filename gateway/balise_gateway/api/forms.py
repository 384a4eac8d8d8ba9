"""The forms in which the API tells rows: JSON, CSV, SenML, server-sent events.

Promises exact decimals, RFC 3339 times in UTC, a flag wherever one is not 1 (pass), and in every form what stands
behind a number: unit, trust, model, correction. Text cells of CSV are quoted, so that no spreadsheet computes them.
"""

import csv
import datetime
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balise_gateway.delivery.row_parts import as_json, number
from balise_gateway.logbook.rows import HubRow, Value, channels_of

CSV_HEAD = ("time_utc", "node", "channel", "value", "unit", "flag", "window_s", "trust", "model", "corr", "cal")


@dataclass(frozen=True)
class Piece:
    """A part of a file, and how many rows are in it."""

    data: bytes
    rows: int


@dataclass(frozen=True)
class Form:
    """How a file is written, piece by piece."""

    suffix: str
    media_type: str
    head: bytes
    body: Callable[[Sequence[HubRow], bool], bytes]
    tail: bytes

    def pieces(self, rows: Iterable[HubRow], count: int) -> Iterator[Piece]:
        """The file, in pieces of so many rows."""
        yield Piece(self.head, 0)
        found = iter(rows)
        first = True
        while batch := list(itertools.islice(found, count)):
            yield Piece(self.body(batch, first), len(batch))
            first = False
        yield Piece(self.tail, 0)


def document(rows: Sequence[HubRow], window_s: int, next_ms: int | None) -> dict[str, Any]:
    """One page; `next` is the `from` of the page after it, null at the end."""
    found: dict[str, Any] = {}
    for row in rows:
        found |= streams(row)
    told = [_row(row) for row in rows]
    return {"window_s": window_s, "streams": found, "rows": told, "next": None if next_ms is None else time(next_ms)}


def streams(row: HubRow) -> dict[str, dict[str, Any]]:
    """What the streams of a row mean, by `node/channel`."""
    return {f"{row.node}/{entry['n']}": _stream(row.about, entry) for entry in channels_of(row.about)}


def event(row: HubRow) -> bytes:
    """One server-sent event; its id is the row's time."""
    return f"id: {row.utc_ms}\nevent: row\ndata: {as_json(_row(row))}\n\n".encode()


def time(utc_ms: int) -> str:
    """RFC 3339, in UTC, with milliseconds where there are any."""
    moment = datetime.datetime.fromtimestamp(utc_ms // 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{utc_ms % 1000:03d}Z" if utc_ms % 1000 else f"{moment}Z"


def _row(row: HubRow) -> dict[str, Any]:
    told: dict[str, Any] = {"node": row.node, "time": time(row.utc_ms)}
    if row.uncertainty_ms is not None:
        told["uncertainty_ms"] = row.uncertainty_ms
    told["values"] = {value.channel: number(value) for value in row.values}
    flags = {value.channel: value.flag for value in row.values if value.flag != 1}
    return told | ({"flags": flags} if flags else {})


def _stream(about: Mapping[object, object], entry: Mapping[str, object]) -> dict[str, Any]:
    told = {"unit": entry["u"], "trust": about.get("trust", "gateway-witnessed")}
    told |= {str(name): entry[name] for name in ("model", "corr", "cal", "agg") if name in entry}
    return told | {str(name): about[name] for name in ("place", "time") if name in about}


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


class _Exact(float):
    """A number for the CSV writer that shows its decimal as it is."""

    def __new__(cls, value: Value) -> "_Exact":
        made = super().__new__(cls, value.number)
        made.text = value.text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


def _csv(rows: Sequence[HubRow], _first: bool) -> bytes:
    return _lines(line for row in rows for line in _csv_lines(row))


def _csv_lines(row: HubRow) -> Iterator[list[object]]:
    meanings = streams(row)
    for value in row.values:
        meaning = meanings[f"{row.node}/{value.channel}"]
        agg = meaning.get("agg")
        window_s = agg.get("window_s", "") if isinstance(agg, dict) else ""
        told = [time(row.utc_ms), row.node, value.channel, _Exact(value), value.unit, value.flag, window_s]
        yield [*told, meaning["trust"], *(_text(meaning.get(name, "")) for name in ("model", "corr", "cal"))]


def _text(value: object) -> str:
    return value if isinstance(value, str) else as_json(value)


def _senml(rows: Sequence[HubRow], first: bool) -> bytes:
    """RFC 8428: resolved records; the flag is a field of ours."""
    records = []
    for row in rows:
        seconds = row.utc_ms / 1000 if row.utc_ms % 1000 else row.utc_ms // 1000
        for value in row.values:
            record = {"n": f"{row.node}:{value.channel}", "u": value.unit, "t": seconds, "v": number(value)}
            records.append(as_json(record | ({"flag": value.flag} if value.flag != 1 else {})))
    return (("" if first else ",\n") + ",\n".join(records)).encode()


FORMATS = {
    "csv": Form("csv", "text/csv; charset=utf-8", _lines([CSV_HEAD]), _csv, b""),
    "senml": Form("senml.json", "application/senml+json", b"[", _senml, b"]\n"),
}
