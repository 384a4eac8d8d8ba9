"""Files of a month in a folder: CSV, SenML, GeoJSON, an OpenAQ-shaped feed, and Parquet.

    2018-12.csv  2018-12.senml.json  2018-12.geojson  2018-12.openaq.json  2018-12/<seq>-<row>.parquet (one per batch)

A row belongs to the month of its time in UTC. Promises that every row is in each of the files exactly once, after a
kill as well (`row_files.py` says how), and on the disk before the uplink goes on; that a folder which is not there,
such as one on a disk that is not mounted, is waited for and never made; and that nothing is held open between two
batches, so that a disk can be taken out. Leaves what a row looks like to `row_forms.py`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway.delivery.row_files import Pieces, RowFiles
from balise_gateway.delivery.row_forms import COLUMNS, Csv, Form, GeoJson, OpenAq, SenML, cells
from balise_gateway.delivery.row_parts import moment
from balise_gateway.errors import HubRefused, MissingExtra
from balise_gateway.hubs import HubSettings, Traits
from balise_gateway.logbook.rows import YEAR_10000_MS, HubRow
from balise_gateway.settings import Key

FORMS = ("csv", "senml", "geojson", "openaq", "parquet")
PARQUET = "parquet"
BATCH_BYTES, BATCH_ROWS = 1 << 20, 1_000


@dataclass(frozen=True, kw_only=True)
class Settings(HubSettings):
    """[[hub]] with kind = "files"."""

    folder: Annotated[Path, Key("where the files are; it must be there, and be of this hub alone")]
    forms: Annotated[tuple[str, ...], Key("any of csv, senml, geojson, openaq, parquet")] = ("csv",)
    source: Annotated[str, Key("sourceName in the OpenAQ feed")] = "Balise"
    attribution: Annotated[str, Key("whom the OpenAQ feed names as the origin of the data")] = "Balise"
    time_zone: Annotated[str, Key("of date.local in the OpenAQ feed")] = "Europe/Paris"

    def problem(self) -> str | None:
        wrong = [form for form in self.forms if form not in FORMS]
        if wrong or not self.forms:
            return f"forms: {', '.join(wrong) or 'none given'}; choose from {', '.join(FORMS)}"
        if not self.folder.is_absolute():
            return f"folder = {str(self.folder)!r}: must be an absolute path"
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"time_zone = {self.time_zone!r}: no such zone; such as Europe/Paris"
        return None


class Hub:
    """One folder."""

    traits = Traits(
        accepts_past=True,
        idempotent=True,
        ordered=False,
        batch_limit_bytes=BATCH_BYTES,
        batch_limit_rows=BATCH_ROWS,
        flags=True,
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings = settings
        self._files = RowFiles(settings.folder, identity, settings.log)
        made: dict[str, Form] = {"csv": Csv(), "senml": SenML(), "geojson": GeoJson()}
        made["openaq"] = OpenAq(settings.source, settings.attribution, ZoneInfo(settings.time_zone))
        self._forms = [made[form] for form in settings.forms if form in made]

    async def send(self, rows: Sequence[HubRow]) -> int:
        try:
            return self._send(rows)
        finally:
            self._files.close()

    def _send(self, rows: Sequence[HubRow]) -> int:
        reasons = {index: "beyond the year 9999" for index, row in enumerate(rows) if row.utc_ms >= YEAR_10000_MS}
        texts: dict[str, Pieces] = {}
        kept: list[HubRow] = []
        for index in self._files.fresh(rows):
            if index in reasons:
                continue
            if self._write(rows[index], texts):
                kept.append(rows[index])
            else:
                reasons[index] = "not a mean of 10 minutes to 24 hours with a place: an OpenAQ feed has no word for it"
        blobs = self._parquet(kept) if PARQUET in self._settings.forms else {}
        size = self._files.append(kept, texts, blobs) if kept else 0
        if reasons:
            raise HubRefused(f"{len(reasons)} rows cannot be written", reasons)
        return size

    async def close(self) -> None:
        self._files.close()

    def _write(self, row: HubRow, texts: dict[str, Pieces]) -> bool:
        """Whether any form has a word for this row."""
        told = PARQUET in self._settings.forms
        for form in self._forms:
            pieces = list(form.pieces(row))
            if pieces:
                name = f"{moment(row.utc_ms):%Y-%m}.{form.ending}"
                texts.setdefault(name, (form.head, form.between, form.tail, []))[3].extend(pieces)
                told = True
        return told

    def _parquet(self, rows: Sequence[HubRow]) -> dict[str, bytes]:
        """One file per month that the batch touches."""
        months: dict[str, list[HubRow]] = {}
        for row in rows:
            months.setdefault(f"{moment(row.utc_ms):%Y-%m}", []).append(row)
        return {f"{month}/{some[0].seq}-{some[0].index}.parquet": _table(some) for month, some in months.items()}


def _table(rows: Sequence[HubRow]) -> bytes:
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("a Parquet file", "pyarrow", "parquet") from error
    texts = ("node", "channel", "unit", "model", "cal", "corr", "trust", "function")
    types = dict.fromkeys(COLUMNS, pyarrow.int64()) | dict.fromkeys(texts, pyarrow.string())
    types |= {"time": pyarrow.timestamp("ms", "UTC"), "flag": pyarrow.int8()}
    types |= dict.fromkeys(("value", "lon", "lat"), pyarrow.float64())
    lines = [
        {**cells(row, value), "time": moment(row.utc_ms), "value": value.number} for row in rows for value in row.values
    ]
    table = pyarrow.Table.from_pylist(lines, schema=pyarrow.schema([(name, types[name]) for name in COLUMNS]))
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()
