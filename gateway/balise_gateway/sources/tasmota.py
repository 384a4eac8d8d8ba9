"""Tasmota's telemetry: tele/<topic>/SENSOR, one JSON object with an object per sensor.

Each sensor is a row of its own, its name the model. The units of temperature and pressure stand in the message
(TempUnit, PressureUnit). Its Time is local and without an offset unless the device is told otherwise: then the time of
arrival counts, which is within seconds. Source: tasmota.github.io/docs, "MQTT" and the sensors' pages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from balise_gateway.settings import Key
from balise_gateway.sources import Heard, SourceError, SourceSettings
from balise_gateway.sources._json import Names, model_of, parsed_object, utc_ms_of

MAX_SENSORS = 32
KNOWN = {
    "humidity": "Humidity %",
    "co2": "CarbonDioxide ppm",
    "pm1": "PM1 ug/m3",
    "pm2_5": "PM2.5 ug/m3",
    "pm10": "PM10 ug/m3",
    "pm1_cf1": "CF1 ug/m3",
    "pm2_5_cf1": "CF2.5 ug/m3",
    "pm10_cf1": "CF10 ug/m3",
    "illuminance": "Illuminance lx",
    "gas_resistance": "Gas Ohm",
}
MODELS = {"sds0x1": "sds011"}
_TEMPERATURE, _PRESSURE = ("C", "F"), ("hPa", "mmHg", "inHg")


@dataclass(frozen=True, kw_only=True)
class Settings(SourceSettings):
    """[[source]] with kind = "tasmota"."""

    topic: Annotated[str, Key("where telemetry comes; {device} stands for the level that names the device")] = (
        "tele/{device}/SENSOR"
    )

    def problem(self) -> str | None:
        if self.topic.split("/").count("{device}") != 1:
            return f'topic = "{self.topic}": {{device}} must be one of its levels'
        return super().problem()


class Source:
    """All Tasmota devices under one topic pattern."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self.wants: Sequence[str] = (settings.topic.replace("{device}", "+"),)
        self._level = settings.topic.split("/").index("{device}")
        self._names = {(t, p): _names(t, p) for t in _TEMPERATURE for p in _PRESSURE}

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        told = parsed_object(data)
        units = str(told.get("TempUnit", "C")), str(told.get("PressureUnit", "hPa"))
        names = self._names.get(units)
        if names is None:
            raise SourceError(
                "unit", f"temperature in {units[0]:.10} and pressure in {units[1]:.10} are not known here"
            )
        device, utc_ms = address.split("/")[self._level], utc_ms_of(told.get("Time"))
        heard: list[Heard] = []
        for sensor, values in told.items():
            if isinstance(values, dict) and len(heard) < MAX_SENSORS:
                heard += _rows(names, device, utc_ms, sensor, values)
        if not heard:
            raise SourceError("no value", "no sensor of this message has a value that is a channel")
        return heard


def _names(temperature: str, pressure: str) -> Names:
    return Names.of({}, {"temperature": f"Temperature {temperature}", "pressure": f"Pressure {pressure}", **KNOWN})


def _rows(names: Names, device: str, utc_ms: int | None, sensor: str, values: dict[str, Any]) -> list[Heard]:
    model = model_of(sensor.partition("-")[0].lower())  # "DS18B20-1" is the first of several
    try:
        shape, found = names.row(values, MODELS.get(model, model))
    except SourceError as error:
        if error.reason != "no value":
            raise
        return []
    return [Heard(device, utc_ms, shape, found)]
