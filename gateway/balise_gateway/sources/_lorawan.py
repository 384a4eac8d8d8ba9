"""What LoRaWAN network servers have in common: the decoded object, or the raw payload through a codec.

Promises rows from either; a payload that does not fit its codec is refused. Leaves envelopes to the kinds.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from balise_gateway.settings import Key
from balise_gateway.sources import Shape, SourceError, SourceSettings
from balise_gateway.sources._json import Names, mapping_problem, model_of

KNOWN = {  # what payload formatters of air sensors usually call things
    "temperature": "temperature C|temp C|temperature_1 C|TempC_SHT C",
    "humidity": "humidity %|relative_humidity_1 %|relative_humidity %|Hum_SHT %",
    "pressure": "pressure hPa|barometric_pressure_1 hPa|barometric_pressure hPa",
    "co2": "co2 ppm|CO2 ppm",
    "pm1": "pm1 ug/m3|pm1_0 ug/m3|PM1 ug/m3",
    "pm2_5": "pm2_5 ug/m3|pm25 ug/m3|PM2_5 ug/m3",
    "pm10": "pm10 ug/m3|PM10 ug/m3",
    "laeq": "laeq dB|LAeq dB|noise dB",
    "illuminance": "illuminance lx|luminosity lx|luminosity_1 lx",
    "battery": "battery_voltage V|BatV V",
}


@dataclass(frozen=True, kw_only=True)
class LoraSettings(SourceSettings):
    """What both network servers' sections have."""

    codec: Annotated[Literal["object", "cayenne_lpp"], Key("object: as the server has decoded it")] = "object"
    channels: Annotated[dict[str, str], Key("[source.channels] with one line per further channel, as of mqtt_json")] = (
        field(default_factory=dict)
    )

    def problem(self) -> str | None:
        return mapping_problem(self.channels) or super().problem()


class Payload:
    """From an uplink's decoded object or raw payload to a row."""

    def __init__(self, settings: LoraSettings) -> None:
        self._raw = settings.codec != "object"
        self._names = Names.of(settings.channels, KNOWN)

    def row(self, decoded: object, raw: object, model: object) -> tuple[Shape, list[int | None]]:
        told = _cayenne(_bytes_of(raw)) if self._raw else decoded
        return self._names.row(told, model_of(model, "lorawan"))


def _bytes_of(text: object) -> bytes:
    """The payload, base64; a server omits one that is empty."""
    try:
        return base64.b64decode(text if isinstance(text, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SourceError("payload", f"not base64: {error}") from error


# Cayenne Low Power Payload: type -> (name as the servers' own decoders give it, bytes, divisor, signed)
_CAYENNE: Mapping[int, tuple[str, int, float, bool]] = {
    0: ("digital_in", 1, 1, False),
    1: ("digital_out", 1, 1, False),
    2: ("analog_in", 2, 100, True),
    3: ("analog_out", 2, 100, True),
    101: ("luminosity", 2, 1, False),
    102: ("presence", 1, 1, False),
    103: ("temperature", 2, 10, True),
    104: ("relative_humidity", 1, 2, False),
    113: ("accelerometer", 6, 1, False),
    115: ("barometric_pressure", 2, 10, False),
    134: ("gyrometer", 6, 1, False),
    136: ("gps_location", 9, 1, False),
}


def _cayenne(payload: bytes) -> dict[str, Any]:
    """Values by name and channel, such as temperature_1; the first of each name also without its channel."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(payload):
        known = _CAYENNE.get(payload[at + 1]) if at + 1 < len(payload) else None
        if known is None or at + 2 + known[1] > len(payload):
            raise SourceError("payload", f"not Cayenne LPP at byte {at}")
        name, size, divisor, signed = known
        value = int.from_bytes(payload[at + 2 : at + 2 + size], "big", signed=signed) / divisor
        found[f"{name}_{payload[at]}"] = value
        found.setdefault(name, value)
        at += 2 + size
    return found
