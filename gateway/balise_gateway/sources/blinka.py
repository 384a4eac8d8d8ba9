"""Sensors wired to the Pi: what the ingest of kind blinka reads, with the names and units of Adafruit's drivers.

Each sensor is a device; the time is that of the reading, which is that of its arrival. Units: docs.circuitpython.org,
"Design Guide", and each driver's page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from balise_gateway.sources import Heard, SourceSettings
from balise_gateway.sources._json import Names, model_of, parsed_object

BASE = "pi/"
KNOWN = {
    "temperature": "temperature C",
    "humidity": "relative_humidity %|humidity %",
    "pressure": "pressure hPa",
    "co2": "CO2 ppm",
    "gas_resistance": "gas Ohm",
    "illuminance": "lux lx",
    "supply_voltage": "bus_voltage V",
    "supply_current": "current mA",
}


@dataclass(frozen=True, kw_only=True)
class Settings(SourceSettings):
    """[[source]] with kind = "blinka"."""


class Source:
    """All sensors of this Pi."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self.wants: Sequence[str] = (f"{BASE}+",)
        self._names = Names.of({}, KNOWN)

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        told = parsed_object(data)
        shape, values = self._names.row(told.get("values"), model_of(told.get("model")))
        return (Heard(address[len(BASE) :], None, shape, values),)
