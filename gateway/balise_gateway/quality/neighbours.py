"""Who stands beside whom.

Promises that nodes of one `site` are neighbours, and outdoor nodes that are no further from each other than the radius;
never a node indoors and one outdoors by their distance alone. Leaves what neighbours say to `neighbour.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Annotated

from balise_gateway.settings import Key

_METRES_PER_DEGREE = 111_195.0  # of a sphere of 6,371 km: good to 0.5 %, for distances of some hundred metres


@dataclass(frozen=True, kw_only=True)
class QualitySettings:
    """[quality]"""

    neighbour_radius_m: Annotated[
        float, Key("outdoor nodes that are this near are checked against each other; 0: none", least=0, most=10_000)
    ] = 50.0


@dataclass(frozen=True)
class Standing:
    """Where one node stands. `indoor` None: not known, so nothing follows from its distance."""

    site: str | None
    indoor: bool | None = None
    lat: float | None = None
    lon: float | None = None


def distance_m(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Between two places that are near each other."""
    east = (other_lon - lon + 180) % 360 - 180  # across the 180th meridian, too
    return _METRES_PER_DEGREE * hypot(other_lat - lat, east * cos(radians((lat + other_lat) / 2)))


def neighbours(nodes: Mapping[bytes, Standing], radius_m: float) -> dict[bytes, tuple[bytes, ...]]:
    """The neighbours of each node that has any."""
    found = {
        kid: tuple(other for other in nodes if other != kid and _are_near(nodes[kid], nodes[other], radius_m))
        for kid in nodes
    }
    return {kid: others for kid, others in found.items() if others}


def _are_near(one: Standing, other: Standing, radius_m: float) -> bool:
    if one.site is not None and one.site == other.site:
        return True
    places: Sequence[float | None] = (one.lat, one.lon, other.lat, other.lon)
    lat, lon, other_lat, other_lon = places
    if one.indoor is not False or other.indoor is not False or not radius_m:
        return False
    if lat is None or lon is None or other_lat is None or other_lon is None:
        return False
    return distance_m(lat, lon, other_lat, other_lon) <= radius_m
