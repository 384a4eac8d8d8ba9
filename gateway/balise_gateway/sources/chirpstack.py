"""ChirpStack v4: uplink events, by MQTT or by its HTTP integration.

One event is one row of the device with that DevEUI; repeats are known by the deduplication id. Source: the protobuf
definition chirpstack/integration/integration.proto in its JSON form, and chirpstack.io, "Integrations". Its HTTP
integration tries once and never again: use MQTT.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from balise_gateway.settings import Key
from balise_gateway.sources import Heard, SourceError
from balise_gateway.sources._json import at, parsed_object, utc_ms_of
from balise_gateway.sources._lorawan import LoraSettings, Payload

TOPIC = "application/+/device/+/event/up"


@dataclass(frozen=True, kw_only=True)
class Settings(LoraSettings):
    """[[source]] with kind = "chirpstack"."""

    path: Annotated[str, Key("where its HTTP integration posts, on an ingest of kind http")] = "/chirpstack"


class Source:
    """Uplinks of all devices that this broker or web hook tells of."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self.wants: Sequence[str] = (TOPIC, settings.path)
        self._payload = Payload(settings)

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        if address.startswith("/") and "event=up" not in address.partition("?")[2].split("&"):
            return ()  # joins, acknowledgements and the like come to the same path
        told = parsed_object(data)
        device = at(told, ("deviceInfo", "devEui"))
        if not isinstance(device, str):
            raise SourceError("device", "no deviceInfo.devEui")
        profile = at(told, ("deviceInfo", "deviceProfileName"))
        shape, values = self._payload.row(told.get("object"), told.get("data"), profile)
        name = told.get("deduplicationId")
        known = name.encode() if isinstance(name, str) and name else None
        return (Heard(device.lower(), utc_ms_of(told.get("time")), shape, values, known),)
