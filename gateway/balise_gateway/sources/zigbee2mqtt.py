"""Zigbee sensors by way of Zigbee2MQTT: one JSON object per device and state, at zigbee2mqtt/<name>.

Names and units are those of its "exposes" (zigbee2mqtt.io, guide/usage/exposes.html). The time is `last_seen` where it
is switched on, as ISO 8601 with an offset or as epoch. Leaves plugs and lamps alone: what has no channel is not read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from balise_gateway.settings import Key
from balise_gateway.sources import Heard, SourceSettings
from balise_gateway.sources._json import Names, mapping_problem, model_of, parsed_object, utc_ms_of

KNOWN = {
    "temperature": "temperature C",
    "humidity": "humidity %",
    "pressure": "pressure hPa",
    "co2": "co2 ppm",
    "pm1": "pm1 ug/m3",
    "pm2_5": "pm25 ug/m3",
    "pm10": "pm10 ug/m3",
    "formaldehyde": "formaldehyd mg/m3|hcho mg/m3",
    "voc_index": "voc_index",
    "illuminance": "illuminance lx|illuminance_lux lx",
    "laeq": "noise dBA",
}
_EARLIEST_MS = 10**11  # an epoch below is in seconds


@dataclass(frozen=True, kw_only=True)
class Settings(SourceSettings):
    """[[source]] with kind = "zigbee2mqtt"."""

    base_topic: Annotated[str, Key("what stands before the devices' names")] = "zigbee2mqtt"
    channels: Annotated[dict[str, str], Key("[source.channels] with one line per further channel, as of mqtt_json")] = (
        field(default_factory=dict)
    )

    def problem(self) -> str | None:
        return mapping_problem(self.channels) or super().problem()


class Source:
    """All devices of one Zigbee2MQTT."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self._base = settings.base_topic
        self.wants: Sequence[str] = (f"{settings.base_topic}/+",)
        self._names = Names.of(settings.channels, KNOWN)

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        told = parsed_object(data)
        device = told.get("device")
        model = device.get("model") if isinstance(device, dict) else None  # with include_device_information
        shape, values = self._names.row(told, model_of(model, "zigbee"))
        return (Heard(address[len(self._base) + 1 :], _last_seen_ms(told.get("last_seen")), shape, values),)


def _last_seen_ms(told: object) -> int | None:
    if isinstance(told, int) and told is not True and told is not False:
        return told if told >= _EARLIEST_MS else told * 1000
    return utc_ms_of(told)
