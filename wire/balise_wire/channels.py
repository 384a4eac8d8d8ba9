"""The channel table: what each quantity is called, its unit, scale, resolution, plausible range and names at hubs.

Promises one row per quantity; a number, once given, keeps its meaning for ever. A plausible range is what a working
sensor in open or room air can show, not what is healthy or usual. Leaves what one sensor of one node really does
(its own resolution, calibration) to that node's manifest.

Units are SenML units (RFC 8428 section 12.1, RFC 8798 for ug/m3, ppm and dBm); a value is integer / 10 ** scale.
"""

from balise_wire.errors import WireError

TABLE = (
    # id, name, unit, scale, resolution, low, high, names at hubs
    (1, "pm1", "ug/m3", 1, 1, 0, 10000, "sensor.community=P0 home-assistant=pm1 openaq=pm1 eea=6002"),
    (2, "pm2_5", "ug/m3", 1, 1, 0, 10000, "sensor.community=P2 home-assistant=pm25 openaq=pm25 eea=6001"),
    (3, "pm4", "ug/m3", 1, 1, 0, 10000, "sensor.community=P4"),
    (4, "pm10", "ug/m3", 1, 1, 0, 20000, "sensor.community=P1 home-assistant=pm10 openaq=pm10 eea=5"),
    (5, "temperature", "Cel", 2, 1, -4000, 8500, "sensor.community=temperature home-assistant=temperature"),
    (6, "humidity", "%RH", 2, 1, 0, 10000, "sensor.community=humidity home-assistant=humidity"),
    (7, "pressure", "Pa", 0, 1, 30000, 110000, "sensor.community=pressure home-assistant=atmospheric_pressure"),
    (8, "co2", "ppm", 0, 1, 300, 40000, "sensor.community=co2_ppm home-assistant=carbon_dioxide"),
    (9, "voc_index", "/", 0, 1, 0, 500, ""),  # 100 is this sensor's own last day, not a concentration
    (10, "nox_index", "/", 0, 1, 0, 500, ""),
    (11, "voc_raw", "count", 0, 1, 0, 65535, ""),
    (12, "nox_raw", "count", 0, 1, 0, 65535, ""),
    (13, "gas_resistance", "Ohm", 0, 1, 1, 100000000, ""),
    (20, "laeq", "dB", 1, 1, 200, 1400, "sensor.community=noise_LAeq home-assistant=sound_pressure"),
    (21, "lamin", "dB", 1, 1, 200, 1400, "sensor.community=noise_LA_min"),
    (22, "lamax", "dB", 1, 1, 200, 1400, "sensor.community=noise_LA_max"),
    (23, "la10", "dB", 1, 1, 200, 1400, ""),
    (24, "la50", "dB", 1, 1, 200, 1400, ""),
    (25, "la90", "dB", 1, 1, 200, 1400, ""),
    (26, "lceq", "dB", 1, 1, 200, 1400, ""),
    (27, "lcpeak", "dB", 1, 1, 200, 1600, ""),
    (40, "battery", "V", 3, 1, 0, 30000, "home-assistant=voltage"),
    (41, "rssi", "dBm", 0, 1, -150, 20, "home-assistant=signal_strength"),
)


class Channel:
    """One row of the table. `low` and `high` are scaled integers, as values on the wire are."""

    def __init__(self, row: tuple[int, str, str, int, int, int, int, str]) -> None:
        self.id, self.name, self.unit, self.scale, self.resolution, self.low, self.high, self._names = row

    def name_at(self, hub: str) -> str | None:
        """What that hub calls this quantity; None where it has no name for it."""
        for pair in self._names.split():
            key, name = pair.split("=")
            if key == hub:
                return name
        return None

    def manifest_entry(self, model: str) -> dict[object, object]:
        """This channel as a manifest says it, measured by that sensor model."""
        return {"n": self.name, "u": self.unit, "s": self.scale, "r": self.resolution, "model": model}

    def __repr__(self) -> str:
        return f"channel({self.name!r})"


def channel(name: str) -> Channel:
    """The row of this name, or WireError "channel"."""
    for row in TABLE:
        if row[1] == name:
            return Channel(row)
    raise WireError("channel", f"no channel {name!r}; known: " + ", ".join([row[1] for row in TABLE]))
