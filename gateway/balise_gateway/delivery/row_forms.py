"""Rows as text in files: CSV, SenML, GeoJSON, and the records of an OpenAQ feed; and as columns for Parquet.

Promises that a file is `head`, then pieces with `between` between them, then `tail`, and whole after every append; that
values are exact decimals with their flag; and that nothing is finer than the row says: coordinates are as blurred as
the grant wants them. Leaves files to `row_files.py`.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from balise_gateway.delivery.row_parts import (
    agg,
    as_json,
    iso,
    lon_lat,
    meaning,
    moment,
    number,
    table_row,
    trust,
    window_s,
)
from balise_gateway.logbook.rows import HubRow, Value
from balise_wire import senml

COLUMNS = (
    *("time", "uncertainty_ms", "node", "channel", "value", "unit", "flag", "model", "cal", "corr"),
    *("trust", "function", "window_s", "lon", "lat", "cell_m", "seq", "row"),
)
MIN_WINDOW_S, MAX_WINDOW_S = 600, 86_400  # OpenAQ: averages over 10 minutes to 24 hours
_GOOD = (1, 2)  # QARTOD: pass, not evaluated


class Form(Protocol):
    """One way to write rows down."""

    ending: str
    head: str
    between: str
    tail: str

    def pieces(self, row: HubRow) -> Iterator[str]:
        """What a file of this form gets for this row; nothing where the form has no word for it."""
        ...


def cells(row: HubRow, value: Value) -> dict[str, object]:
    """One value as a line of a table; None for what is not known."""
    about, place = meaning(row, value), lon_lat(row)
    lon, lat = place or (None, None)
    told = (
        *(iso(row.utc_ms), row.uncertainty_ms, row.node, value.channel, value.text, value.unit, value.flag),
        *(_word(about.get(name)) for name in ("model", "cal", "corr")),
        *(trust(row), agg(row, value).get("function"), window_s(row, value) or None),
        *(lon, lat, _cell_m(row), row.seq, row.index),
    )
    return dict(zip(COLUMNS, told, strict=True))


class Csv:
    """RFC 4180 with line feeds: one line per value, `COLUMNS` as its first line."""

    ending, between, tail = "csv", "", ""
    head = ",".join(COLUMNS) + "\n"

    def pieces(self, row: HubRow) -> Iterator[str]:
        for value in row.values:
            line = io.StringIO()
            csv.writer(line, lineterminator="\r\n").writerow(cells(row, value).values())  # a lone \r is quoted too
            yield line.getvalue().removesuffix("\r\n") + "\n"


class SenML:
    """RFC 8428: one record per value, with full names and times; `flag` is ours, where it is not 1."""

    ending, head, between, tail = "senml.json", "[\n", ",\n", "\n]\n"

    def pieces(self, row: HubRow) -> Iterator[str]:
        seconds = row.utc_ms / 1000 if row.utc_ms % 1000 else row.utc_ms // 1000
        for value in row.values:
            record: senml.Record = {"n": f"{row.node}:{value.channel}", "u": value.unit, "t": seconds}
            record["v"] = number(value)
            if value.flag != 1:
                record["flag"] = value.flag
            yield senml.to_json([record])[1:-1]


class GeoJson:
    """RFC 7946: one feature per row, longitude first, WGS 84; a row without a place has no geometry (section 3.2)."""

    ending, tail = "geojson", "\n]}\n"
    head, between = '{"type":"FeatureCollection","features":[\n', ",\n"

    def pieces(self, row: HubRow) -> Iterator[str]:
        place = lon_lat(row)
        geometry = None if place is None else {"type": "Point", "coordinates": list(place)}
        told: dict[str, object] = {"node": row.node, "time": iso(row.utc_ms), "uncertainty_ms": row.uncertainty_ms}
        told |= {"trust": trust(row), "cell_m": _cell_m(row)}
        for value in row.values:
            told[value.channel], told[f"{value.channel}_unit"] = number(value), value.unit
            told |= {f"{value.channel}_flag": value.flag} if value.flag != 1 else {}
            told |= {f"{value.channel}_window_s": window} if (window := window_s(row, value)) else {}
        name = f"{row.node}/{row.seq}/{row.index}"
        yield as_json({"type": "Feature", "id": name, "geometry": geometry, "properties": told})


@dataclass
class OpenAq:
    """A feed as OpenAQ's fetchers read it (openaq-data-format): means only, stamped with the END of their window.

    Doubted values stay away, since a record has no flag. `date.local` is the wall clock of `zone`.
    """

    source: str
    attribution: str
    zone: ZoneInfo
    ending: str = "openaq.json"
    head: str = "[\n"
    between: str = ",\n"
    tail: str = "\n]\n"

    def pieces(self, row: HubRow) -> Iterator[str]:
        place = lon_lat(row)
        if place is None:
            return
        for value in row.values:
            if value.flag in _GOOD and agg(row, value).get("function") == "mean" and value.unit == "ug/m3":
                yield from self._record(row, value, place)

    def _record(self, row: HubRow, value: Value, place: tuple[float, float]) -> Iterator[str]:
        entry, window = table_row(value.channel), window_s(row, value)
        parameter = None if entry is None else entry.name_at("openaq")
        if parameter is None or not MIN_WINDOW_S <= window <= MAX_WINDOW_S:
            return
        end = moment(row.utc_ms + 1000 * window)
        local = end.astimezone(self.zone).isoformat(timespec="seconds")
        hours: float = window / 3600 if window % 3600 else window // 3600
        yield as_json(
            {
                "location": row.node,
                "parameter": parameter,
                "value": number(value),
                "unit": "µg/m³",
                "date": {"utc": iso(row.utc_ms + 1000 * window), "local": local},
                "averagingPeriod": {"value": hours, "unit": "hours"},
                "coordinates": {"longitude": place[0], "latitude": place[1]},
                "sourceName": self.source,
                "sourceType": "other",
                "mobile": False,
                "attribution": [{"name": self.attribution}],
            }
        )


def _cell_m(row: HubRow) -> object:
    place = row.about.get("place")
    return place.get("cell_m") if isinstance(place, dict) else None


def _word(told: object) -> object:
    """A text as it is; what has parts, as JSON."""
    return told if told is None or isinstance(told, str) else as_json(told)
