"""A recording from a CSV file: values by channel over time; what is wrong with a file is told with its row.

Promises: times are UTC and rise; a gap holds the last value; after its end the recording starts again. A file says
`time_utc`, or `time_local` in a zone that whoever loads it declares. Leaves to others who plays what (replay.py).
"""

import bisect
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

CHANNEL_OF_COLUMN = {
    "pm10_ugm3": "pm10",
    "pm2_5_ugm3": "pm2_5",
    "temperature_c": "temperature",
    "relative_humidity_pct": "humidity",
    "pressure_pa": "pressure",
    "laeq_dba": "laeq",
}
UTC_COLUMN, LOCAL_COLUMN = "time_utc", "time_local"
PM1_SHARE = 0.7  # no recording has PM1; without a value below PM2.5 a home would show what no air can be
FIRST_ROW = 2  # of values, as an editor counts: the head is the file's first

Row = dict[str, str | None]


class RecordingError(ValueError):
    """A file that cannot be played; the text names the file, its row as an editor counts it, and what to try."""


@dataclass(frozen=True)
class Recording:
    """Values by channel, at `times_ms` (UTC, rising)."""

    times_ms: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]] = field(repr=False)

    @cached_property
    def length_ms(self) -> int:
        """To the end of the last row, which holds as long as rows usually do: whole days come back at their hour."""
        steps = [later - earlier for earlier, later in pairwise(self.times_ms)]
        return self.times_ms[-1] - self.times_ms[0] + (round(median(steps)) if steps else 1)

    def at(self, channel: str, utc_ms: int) -> float:
        """The last value known at that time; before its start and after its end the recording repeats."""
        first_ms = self.times_ms[0]
        played_ms = first_ms + (utc_ms - first_ms) % self.length_ms
        return self.values[channel][bisect.bisect_right(self.times_ms, played_ms) - 1]


def load(path: Path, zone: str = "") -> Recording:
    """A recording from a CSV file with time_utc or time_local, and those of CHANNEL_OF_COLUMN that it has.

    `zone` is that of time_local, such as Europe/Paris, or Etc/GMT-1 for a clock that knows no summer time (and is an
    hour ahead of UTC). Raises RecordingError.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[Row] = list(csv.DictReader(file))
    if not rows or not {UTC_COLUMN, LOCAL_COLUMN} & rows[0].keys():
        raise RecordingError(f"{path.name}: a recording needs rows and a column {UTC_COLUMN} or {LOCAL_COLUMN}")
    columns = [column for column in rows[0] if column in CHANNEL_OF_COLUMN]
    if not columns:
        raise RecordingError(f"{path.name}: none of its columns is known; name them {', '.join(CHANNEL_OF_COLUMN)}")
    times = _times_ms(path.name, rows, zone)
    values = {CHANNEL_OF_COLUMN[column]: _held(path.name, rows, column) for column in columns}
    if "pm2_5" in values and "pm1" not in values:
        values["pm1"] = tuple(round(PM1_SHARE * value, 2) for value in values["pm2_5"])
    return Recording(times, values)


def _times_ms(file: str, rows: list[Row], zone: str) -> tuple[int, ...]:
    """The time of each row. Raises RecordingError."""
    column = UTC_COLUMN if UTC_COLUMN in rows[0] else LOCAL_COLUMN
    place = UTC if column == UTC_COLUMN else _zone(file, zone)
    times: list[int] = []
    for number, row in enumerate(rows, start=FIRST_ROW):
        where = f"{file}: row {number}: {column} = {row[column]!r}"
        try:
            said = datetime.fromisoformat(row[column] or "")
        except ValueError:
            raise RecordingError(f"{where}; write a time such as 2025-03-21T00:00:30") from None
        time_ms = _utc_ms(where, said, place, times[-1] if times else None)
        if times and time_ms <= times[-1]:
            raise RecordingError(f"{where} is not after the row before it; sort the rows, each time once")
        times.append(time_ms)
    return tuple(times)


def _zone(file: str, zone: str) -> tzinfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        told = f"there is no time zone {zone!r}" if zone else f"{LOCAL_COLUMN} names no time zone"
    raise RecordingError(f'{file}: {told}; declare it: load(path, zone="Europe/Paris")')


def _utc_ms(where: str, said: datetime, place: tzinfo, last_ms: int | None) -> int:
    """A local time that comes twice, as clocks go back, is the second one when the first is not after `last_ms`.

    Raises RecordingError for a time that clocks jump over.
    """
    if said.tzinfo is not None:
        return round(said.timestamp() * 1000)
    first, second = (said.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(place).replace(tzinfo=None) != said:
        raise RecordingError(
            f"{where} does not exist in {place}: clocks jump over it; declare the zone that the recorder's clock kept, "
            "Etc/GMT-1 for one that is always an hour ahead of UTC"
        )
    first_ms, second_ms = (round(moment.timestamp() * 1000) for moment in (first, second))
    return second_ms if last_ms is not None and first_ms <= last_ms else first_ms


def _held(file: str, rows: list[Row], column: str) -> tuple[float, ...]:
    """The column, empty cells filled with the value before them (at the start: the first one there is)."""
    cells = [_cell(file, number, column, row[column]) for number, row in enumerate(rows, start=FIRST_ROW)]
    last = next((cell for cell in cells if cell is not None), None)
    if last is None:
        raise RecordingError(f"{file}: the column {column} has no value; remove it")
    values = []
    for cell in cells:
        last = last if cell is None else cell
        values.append(last)
    return tuple(values)


def _cell(file: str, number: int, column: str, text: str | None) -> float | None:
    """None for an empty one. Raises RecordingError."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecordingError(f"{file}: row {number}: {column} = {text!r} is no number; leave the cell empty for a gap")
    return value
