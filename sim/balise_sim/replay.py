"""What there is to measure: recorded air, played again at each home with its own shift in time and place.

Promises: the same home and moment give the same values; a gap in the recording holds the last value; after its end the
recording starts again. Leaves to others: what a sensor makes of it (devices/).
"""

import bisect
import csv
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

BUNDLED = "air_aberdeen_sds011_bme280.csv"
CHANNEL_OF_COLUMN = {
    "pm10_ugm3": "pm10",
    "pm2_5_ugm3": "pm2_5",
    "temperature_c": "temperature",
    "relative_humidity_pct": "humidity",
    "pressure_pa": "pressure",
}
PM1_SHARE = 0.7  # the recording has no PM1; without a value below PM2.5 a home would show what no air can be
SHIFT_S = 1_260  # from one home to the next, so that neighbours do not say the same thing at the same time
# How homes of one street differ: half the width of an even spread around the recording
SPREAD = {"temperature": 0.6, "humidity": 2.0, "pressure": 25.0, "pm2_5": 0.3, "pm10": 0.4}


@dataclass(frozen=True)
class Recording:
    """Values by channel, at `times_ms` (UTC, rising)."""

    times_ms: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]] = field(repr=False)

    @property
    def length_ms(self) -> int:
        return self.times_ms[-1] - self.times_ms[0]

    def at(self, channel: str, utc_ms: int) -> float:
        """The last value known at that time; before its start and after its end the recording repeats."""
        first_ms = self.times_ms[0]
        played_ms = first_ms + (utc_ms - first_ms) % max(self.length_ms, 1)
        return self.values[channel][bisect.bisect_right(self.times_ms, played_ms) - 1]


def load(path: Path) -> Recording:
    """A recording from a CSV file with the columns time_utc and those of CHANNEL_OF_COLUMN that it has."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "time_utc" not in rows[0]:
        raise ValueError(f"{path.name}: a recording needs rows and a column time_utc")
    columns = [column for column in rows[0] if column in CHANNEL_OF_COLUMN]
    times = tuple(round(datetime.fromisoformat(row["time_utc"]).timestamp() * 1000) for row in rows)
    values = {CHANNEL_OF_COLUMN[column]: _held(rows, column) for column in columns}
    if "pm2_5" in values and "pm1" not in values:
        values["pm1"] = tuple(round(PM1_SHARE * value, 2) for value in values["pm2_5"])
    return Recording(times, values)


def _held(rows: list[dict[str, str]], column: str) -> tuple[float, ...]:
    """The column, empty cells filled with the value before them (at the start: the first one there is)."""
    last = next(row[column] for row in rows if row[column])
    values = []
    for row in rows:
        last = row[column] or last
        values.append(float(last))
    return tuple(values)


@cache
def bundled() -> Recording:
    """The recording that comes with the package; data/README.md says where it is from."""
    return load(Path(str(files("balise_sim") / "data" / BUNDLED)))


class Home:
    """One place of the street: the recording `number` shifts later, a little warmer or drier by where it is."""

    def __init__(self, start_utc_ms: int, number: int = 0, recording: Recording | None = None) -> None:
        self._start_utc_ms, self._number = start_utc_ms, number
        self._recording = recording or bundled()
        self._dice_seed = f"home {number}"

    def channel(self, name: str) -> Callable[[int], float] | None:
        """The quantity as a function of the world's microseconds; None when the recording does not have it."""
        if name not in self._recording.values:
            return None
        recording, from_ms = self._recording, self._start_utc_ms - self._number * SHIFT_S * 1000
        offset = self.offset(name)

        def value(now_us: int) -> float:
            return recording.at(name, from_ms + now_us // 1000) + offset

        return value

    def offset(self, name: str) -> float:
        """How this home differs from the recording; the first home does not."""
        if not self._number:
            return 0.0
        dice = random.Random(f"{self._dice_seed} {name}")
        return round(dice.uniform(-1, 1) * SPREAD.get(name, 0.0), 2)
