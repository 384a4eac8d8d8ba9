"""The Things Stack v3 (The Things Network): uplink messages, by MQTT or by a web hook.

One uplink is one row. Fields that are 0 or empty are left out of its JSON: no f_cnt is 0, no frm_payload is empty.
Repeats are known by session and frame count. Its MQTT server offers QoS 0 only, so a web hook loses less. Source:
thethingsindustries.com/docs, "Data Formats".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from balise_gateway.settings import Key
from balise_gateway.sources import Heard, SourceError
from balise_gateway.sources._json import at, parsed_object, utc_ms_of
from balise_gateway.sources._lorawan import LoraSettings, Payload

TOPIC = "v3/+/devices/+/up"


@dataclass(frozen=True, kw_only=True)
class Settings(LoraSettings):
    """[[source]] with kind = "the_things_stack"."""

    path: Annotated[str, Key("where its web hook posts, on an ingest of kind http")] = "/the-things-stack"


class Source:
    """Uplinks of all devices of one application."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self.wants: Sequence[str] = (TOPIC, settings.path)
        self._payload = Payload(settings)

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        told = parsed_object(data)
        uplink = told.get("uplink_message")
        if uplink is None:
            return ()  # a join, or news of a downlink
        device = at(told, ("end_device_ids", "device_id"))
        if not isinstance(device, str) or not isinstance(uplink, dict):
            raise SourceError("device", "no end_device_ids.device_id, or no uplink")
        model = at(uplink, ("version_ids", "model_id"))
        shape, values = self._payload.row(uplink.get("decoded_payload"), uplink.get("frm_payload"), model)
        utc_ms = utc_ms_of(uplink.get("received_at")) or utc_ms_of(told.get("received_at"))
        session, count = uplink.get("session_key_id"), uplink.get("f_cnt", 0)
        known = f"{session}/{count}".encode() if isinstance(session, str) else None
        return (Heard(device, utc_ms, shape, values, known),)
