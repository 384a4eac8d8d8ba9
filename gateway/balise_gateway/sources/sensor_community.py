"""Sensor.Community stations that are set to "send to own API", or whose server is the gateway: HTTP POST.

Both forms are read: one body with everything (esp8266id, values named as SDS_P1 or BME280_temperature), and one request
per sensor with X-Sensor and X-PIN headers (values named as P1). P1 is PM10 and P2 is PM2.5. Anybody who knows a chip id
can send in its name: only stations that are listed are read, and each only so often. Source: the firmware's
airrohr-cfg.h and airrohr-firmware.ino, and api.sensor.community's own form.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qs

from balise_gateway.settings import Key
from balise_gateway.sources import Column, Heard, Measure, Shape, SourceError, SourceSettings, measure
from balise_gateway.sources._json import MAX_SHAPES, parsed_object
from balise_wire.channels import channel, names

MAX_VALUES = 64  # in one body; the firmware with all sensors sends about 40

# How value types begin in the body of everything, and what X-PIN says in the other form: the sensor's model.
PREFIXES = {
    "SDS_": "sds011",
    "PMS_": "pms5003",
    "HPM_": "hpm",
    "NPM_": "nextpm",
    "IPS_": "ips7100",
    "SPS30_": "sps30",
    "PPD_": "ppd42ns",
    "BME280_": "bme280",
    "BMP280_": "bmp280",
    "BMP_": "bmp180",
    "HTU21D_": "htu21d",
    "SHT3X_": "sht31",
    "DS18B20_": "ds18b20",
    "SCD30_": "scd30",
    "DNMS_": "dnms",
    "GPS_": "gnss",
}
PINS = {
    "1": "particles",
    "3": "bmp280",
    "5": "ppd42ns",
    "7": "dht22",
    "9": "gnss",
    "11": "bme280",
    "13": "ds18b20",
    "15": "dnms",
    "17": "scd30",
}
_RATE_BURST = 8  # a station with several sensors sends as many requests at once


@dataclass(frozen=True, kw_only=True)
class Settings(SourceSettings):
    """[[source]] with kind = "sensor_community"."""

    path: Annotated[str, Key("where stations post, on an ingest of kind http")] = "/sensor-community"
    stations: Annotated[
        dict[str, str], Key('[source.stations] esp8266-1234567 = "balcony": who is read, and what to call it')
    ] = field(default_factory=dict)
    gap_s: Annotated[float, Key("who sends more often, eight at once excepted, is refused", least=0.0)] = 10.0

    def problem(self) -> str | None:
        if not self.stations:
            return 'no [source.stations]: nobody would be read; try esp8266-1234567 = "balcony"'
        return super().problem()


class Source:
    """The stations that are listed."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self.wants: Sequence[str] = (settings.path,)
        self._stations, self._gap_ms, self._boot_ms = settings.stations, settings.gap_s * 1000, boot_ms
        self._measures = {
            spelling: name for name in names() if (spelling := channel(name).name_at("sensor.community")) is not None
        }
        self._shapes: dict[tuple[tuple[str, str], ...], tuple[Shape, list[Measure]]] = {}
        self._ready_ms: dict[str, float] = {}

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        query = parse_qs(address.partition("?")[2])
        told = parsed_object(data)
        station = _station(query, told)
        name = self._stations.get(station)
        if name is None:
            raise SourceError("not allowed", f"{station!r} is not in [source.stations]")
        self._pace(station)
        found = self._values(told.get("sensordatavalues"), _header(query, "x-pin"))
        shape, measures = self._shape(tuple(found))
        values = [each.value(number) for each, number in zip(measures, found.values(), strict=True)]
        if values.count(None) == len(values):
            raise SourceError("no value", "none of these value types is a channel, or none has a number")
        return (Heard(name, None, shape, values),)

    def _pace(self, station: str) -> None:
        """A bucket for each station: full, it has _RATE_BURST messages."""
        now_ms = self._boot_ms()
        ready_ms = max(self._ready_ms.get(station, -math.inf), now_ms - (_RATE_BURST - 1) * self._gap_ms)
        if ready_ms > now_ms:
            raise SourceError("too often", f"{station} sends more than once in {self._gap_ms / 1000:g} s")
        self._ready_ms[station] = ready_ms + self._gap_ms

    def _values(self, told: object, pin: str | None) -> dict[tuple[str, str], Any]:
        """(channel, model) and value, of those that are channels."""
        if not isinstance(told, list) or len(told) > MAX_VALUES:
            raise SourceError("no value", f"sensordatavalues must be a list of at most {MAX_VALUES}")
        found: dict[tuple[str, str], Any] = {}
        for entry in told:
            value_type = entry.get("value_type") if isinstance(entry, dict) else None
            if not isinstance(value_type, str):
                continue
            bare, model = _split(value_type, pin)
            name = "rssi" if value_type == "signal" else self._measures.get(bare)
            if name is not None and not any(known == name for known, _ in found):
                found[name, model] = entry.get("value")
        return found

    def _shape(self, wanted: tuple[tuple[str, str], ...]) -> tuple[Shape, list[Measure]]:
        known = self._shapes.get(wanted)
        if known is None:
            if len(self._shapes) >= MAX_SHAPES:
                raise SourceError("too many shapes", f"messages of more than {MAX_SHAPES} kinds")
            columns = [Column.of_channel(name, model) for name, model in wanted]
            measures = [each for column in columns if (each := measure(column, None)) is not None]
            known = self._shapes[wanted] = Shape(columns), measures
        return known


def _split(value_type: str, pin: str | None) -> tuple[str, str]:
    """(the quantity, the model) of a value type."""
    for prefix, model in PREFIXES.items():
        if value_type.startswith(prefix):
            return value_type[len(prefix) :], model
    return value_type, PINS.get(pin or "", "esp8266" if value_type == "signal" else "dht22")


def _header(query: Mapping[str, list[str]], name: str) -> str | None:
    return query.get(name, [None])[0]


def _station(query: Mapping[str, list[str]], told: Mapping[str, object]) -> str:
    """esp8266-<chip id> or esp32-<chip id>, from the header X-Sensor or from the body."""
    named = _header(query, "x-sensor")
    if named:
        return named
    for key, kind in (("esp8266id", "esp8266"), ("esp32id", "esp32"), ("raspiid", "raspi")):
        chip = told.get(key)
        if isinstance(chip, (str, int)):
            return f"{kind}-{chip}"
    raise SourceError("device", "neither an X-Sensor header nor esp8266id in the body")
