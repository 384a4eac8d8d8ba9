"""A node's place, as precise as a grant says: the same cell for the same place, always.

Promises that a place is snapped to a fixed grid (never moved by chance: noise that is drawn anew can be averaged out),
and that the point itself is in nothing but "exact". One recipient gets one kind of place only, because a commune and a
cell together would be finer than either. Leaves to `rules.py` which precision is granted.

The grid of cells of m metres: 360 degrees of longitude, and of latitude 111 320 m each (WGS 84, rounded).
    row = floor(lat * 111320 / m)                   middle = (row + 1/2) * m / 111320
    n = max(1, floor(360 * 111320 * cos(middle) / m))   cells around the Earth in this row, none narrower than m
    column = floor((lon + 180) * n / 360) mod n     middle = (column + 1/2) * 360 / n - 180
"""

import math
import re
from dataclasses import dataclass

DEGREE_M = 111_320
CELL_M = {"1km": 1_000, "300m": 300}
_UDEG = 1_000_000
_COMMUNE = re.compile(r"[0-9][0-9AB][0-9]{3}")  # INSEE: 2A and 2B are Corsica


@dataclass(frozen=True)
class Place:
    """Where a node is, as far as it is known. Degrees of WGS 84; metres above ground; an INSEE commune code."""

    lat: float | None = None
    lon: float | None = None
    height_m: int | None = None
    commune: str | None = None

    def problem(self) -> str | None:
        if (self.lat is None) != (self.lon is None):
            return "lat and lon: give both or none"
        if self.commune is not None and not _COMMUNE.fullmatch(self.commune):
            return f"commune = {self.commune!r}: must be an INSEE code of five characters, such as 35238"
        return None


def told(place: Place, precision: str, indoor: bool | None) -> dict[object, object]:
    """The `place` of a manifest: integers in millionths of a degree; empty where nothing may be said, or is known.

    `precision` is "none", "commune", "1km", "300m" or "exact".
    """
    found: dict[object, object] = {} if indoor is None else {"indoor": indoor}
    if precision == "commune" and place.commune is not None:
        found["commune"] = place.commune
    if place.lat is None or place.lon is None:
        return found
    if precision in CELL_M:
        lat, lon = middle_of_cell(place.lat, place.lon, CELL_M[precision])
        found |= {"cell_m": CELL_M[precision], "lat_udeg": round(lat * _UDEG), "lon_udeg": round(lon * _UDEG)}
    elif precision == "exact":
        found |= {"lat_udeg": round(place.lat * _UDEG), "lon_udeg": round(place.lon * _UDEG)}
        found |= {} if place.height_m is None else {"height_m": place.height_m}
    return found


def all_told(place: Place, indoor: bool | None) -> dict[object, object]:
    """The `place` of a manifest in the home log: all that is known."""
    return told(place, "exact", indoor) | ({} if place.commune is None else {"commune": place.commune})


def middle_of_cell(lat: float, lon: float, cell_m: int) -> tuple[float, float]:
    """(latitude, longitude) of the middle of the cell that this point is in, in degrees."""
    row = math.floor(lat * DEGREE_M / cell_m)
    middle = min(90.0, max(-90.0, (row + 0.5) * cell_m / DEGREE_M))
    around = max(1, math.floor(360 * DEGREE_M * math.cos(math.radians(middle)) / cell_m))
    column = math.floor((lon + 180) * around / 360) % around
    return middle, (column + 0.5) * 360 / around - 180
