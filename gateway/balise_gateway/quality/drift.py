"""Slow drift: how a node's quietest hours move beside those of other nodes.

Promises an indicator and never a correction. For dust and sound: the 10th percentile of the night's hourly values (at
night the air of a place is most alike), week by week, minus the median of the others' in the same week; the drift is
that difference in the last two weeks minus the first two. For CO2: the least of the last 30 days beside open air's
(422.8 ppm in 2024, rising by 2.5 a year: NOAA, global annual mean). Pure. Leaves hours to `hourly.py`, and what to do
to people: clean the sensor, or put it beside a reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balise_gateway.quality.neighbour import median

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
WEEK_MS = 7 * DAY_MS
NIGHT_UTC_H = range(22, 29)  # 22 to 5 in UTC: dark and quiet in Western Europe in all seasons
LEAST_NIGHT_HOURS = 21  # of a week's 49
LEAST_WEEKS, LEAST_OTHERS = 6, 2
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05
CO2_PPM, CO2_YEAR, CO2_PPM_PER_YEAR = 422.8, 2024, 2.5
CO2_ALLOWED_PPM = 50.0  # what the makers of SCD4x and Senseair S8 state, and no more

Hours = Mapping[int, float]  # the mean of each hour, by its start in UTC


@dataclass(frozen=True)
class Drift:
    """How far a node has moved beside others over so many weeks, in the channel's unit."""

    weeks: int
    others: int
    moved: float


def weekly_floors(hours: Hours) -> dict[int, float]:
    """The 10th percentile of each week's nights, by the week's Monday; weeks with too few hours are left out."""
    nights: dict[int, list[float]] = {}
    for start_ms, value in hours.items():
        hour = start_ms // HOUR_MS % 24
        if hour in NIGHT_UTC_H or hour + 24 in NIGHT_UTC_H:
            nights.setdefault((start_ms - _MONDAY_MS) // WEEK_MS * WEEK_MS + _MONDAY_MS, []).append(value)
    return {
        week: sorted(values)[len(values) // 10] for week, values in nights.items() if len(values) >= LEAST_NIGHT_HOURS
    }


def beside_others(node: Hours, others: Sequence[Hours]) -> Drift | None:
    """The drift of a node beside the others; None where weeks or others are too few to tell."""
    floors, around = weekly_floors(node), [weekly_floors(hours) for hours in others]
    differences = []
    for week in sorted(floors):
        known = [floor[week] for floor in around if week in floor]
        if len(known) >= LEAST_OTHERS:
            differences.append(floors[week] - median(known))
    if len(differences) < LEAST_WEEKS:
        return None
    moved = sum(differences[-2:]) / 2 - sum(differences[:2]) / 2
    return Drift(len(differences), sum(bool(floor) for floor in around), moved)


def co2_floor_is_off(hours: Hours, year: int) -> float | None:
    """By how many ppm the least hour of the last 30 days is below what open air has; None while that may be true.

    One above is no proof: a room that is never aired has no floor.
    """
    if not hours:
        return None
    last_ms = max(hours)
    least = min(value for start_ms, value in hours.items() if start_ms > last_ms - 30 * DAY_MS)
    off = least - (CO2_PPM + CO2_PPM_PER_YEAR * (year - CO2_YEAR))
    return off if off < -CO2_ALLOWED_PPM else None
