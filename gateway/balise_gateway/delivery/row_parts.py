"""What the forms of other hubs are made of: exact numbers, times, places and names of a row.

Promises that a number's text is the exact decimal (a 32-bit integer by a power of ten has at most ten digits, and the
shortest text of its quotient is that decimal); that a time is UTC with what it has of milliseconds; and that a place is
what the manifest says, already as blurred as the grant wants it. Leaves each form to its hub's kind.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from balise_gateway.logbook.rows import HubRow, Value, channels_of
from balise_wire.channels import Channel, channel, names

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN = frozenset(names())
NOTHING: Mapping[str, object] = {}


def number(value: Value) -> int | float:
    """For a JSON document: an integer where there are no decimals."""
    return int(value.decimal) if value.scale <= 0 else value.number


def as_json(document: object) -> str:
    """One line, as short as JSON can be."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def moment(utc_ms: int) -> datetime:
    """Below the year 10000 only, as every row of rows.py is."""
    return _EPOCH + timedelta(milliseconds=utc_ms)


def iso(utc_ms: int) -> str:
    """ISO 8601 in UTC, with milliseconds: 2018-12-09T00:00:00.000Z."""
    return moment(utc_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def meaning(row: HubRow, value: Value) -> Mapping[str, object]:
    """What the manifest says of this value's channel: model, cal, corr, agg."""
    return next((entry for entry in channels_of(row.about) if entry.get("n") == value.channel), NOTHING)


def agg(row: HubRow, value: Value) -> Mapping[str, object]:
    """function, window_s and completeness_pct where the value is of a window; empty for a sample."""
    found = meaning(row, value).get("agg")
    return found if isinstance(found, dict) else NOTHING


def window_s(row: HubRow, value: Value) -> int:
    """Seconds from the row's time on that the value is of; 0 for a sample."""
    found = agg(row, value).get("window_s", 0)
    return found if isinstance(found, int) else 0


def lon_lat(row: HubRow) -> tuple[float, float] | None:
    """(longitude, latitude) in degrees, WGS 84, as blurred by the grant; None where it tells none."""
    place = row.about.get("place")
    if not isinstance(place, dict):
        return None
    lon, lat = place.get("lon_udeg"), place.get("lat_udeg")
    return (lon / 1_000_000, lat / 1_000_000) if isinstance(lon, int) and isinstance(lat, int) else None


def trust(row: HubRow) -> str:
    """Who vouches for it, node-signed or gateway-witnessed; empty where the manifest does not say."""
    return str(row.about.get("trust", ""))


def table_row(name: str) -> Channel | None:
    """The channel table's row; None for a quantity that is not in it."""
    return channel(name) if name in _KNOWN else None


def topic_word(text: str) -> str:
    """One level of an MQTT topic, never two: what is special there is percent-encoded, so no two texts become one."""
    return quote(text, safe=":,;=@!'()* ").replace(" ", "%20")
