"""What a value is called in Prometheus: one series per node, channel and window, the same pushed or scraped.

`balise_<channel>_<unit>` with the labels `channel`, `node`, `trust` and `window_s`. Source for names and units:
prometheus.io/docs/practices/naming.
"""

import re

from balise_gateway.delivery.row_parts import trust, window_s
from balise_gateway.logbook.rows import HubRow, Value

UNITS = {  # base units, in words
    "ug/m3": "ugm3",  # in grams, the base unit, these numbers would be hard to read
    "Cel": "celsius",
    "%RH": "percent",
    "Pa": "pascals",
    "dB": "decibels",
    "dBm": "dbm",
    "ppm": "ppm",
    "Ohm": "ohms",
    "V": "volts",
    "A": "amperes",
    "W": "watts",
    "m": "meters",
    "l": "liters",
    "lx": "lux",
    "s": "seconds",
    "lat": "degrees",
    "lon": "degrees",
    "count": "",
    "/": "",
}
LABELS = ("channel", "node", "trust", "window_s")


def unit_of(value: Value) -> str:
    """The last word of the metric's name; empty for a pure number."""
    return _word(UNITS.get(value.unit, value.unit))


def metric_of(value: Value) -> str:
    """The metric's name. `_count` at its end would make it part of a histogram."""
    name = _word("_".join(filter(None, ("balise", value.channel, unit_of(value)))))
    return f"{name}ed" if name.endswith("_count") else name


def labels_of(row: HubRow, value: Value) -> dict[str, str]:
    """The values of `LABELS`; empty where there is nothing to say."""
    window = window_s(row, value)
    told = (value.channel, row.node, trust(row), str(window) if window else "")
    return dict(zip(LABELS, told, strict=True))


def _word(text: str) -> str:
    return re.sub("[^a-zA-Z0-9_]", "_", text)
