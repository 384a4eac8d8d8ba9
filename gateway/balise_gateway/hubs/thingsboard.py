"""ThingsBoard, by its gateway's MQTT topics (thingsboard.io, "MQTT Gateway API Reference").

    v1/gateway/connect     {"device": "urn:dev:...", "type": "balise"}                   once per node and connection
    v1/gateway/attributes  {"urn:dev:...": {"trust": "...", "pm2_5_unit": "ug/m3", ...}}  when a node's meaning changes
    v1/gateway/telemetry   {"urn:dev:...": [{"ts": 1767225600000, "values": {"pm2_5": 8.1}}]}

The device behind the access token must be marked "is gateway". Promises that values that failed stay away (telemetry
has no word for a flag) and that a suspect one has its QARTOD number beside it, as `pm2_5_flag`; that times are given
(`ts`), so that a late reading lands where it belongs; and that no message is larger than `max_message_bytes`. A PUBACK
counts as stored. Leaves the connection to `mqtt_hub.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any

from balise_gateway.delivery.mqtt_hub import Broker, BrokerSettings, Message
from balise_gateway.delivery.row_parts import agg, as_json, lon_lat, meaning, number, trust, window_s
from balise_gateway.errors import HubTooLarge
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow
from balise_gateway.settings import Key

CONNECT, ATTRIBUTES, TELEMETRY = "v1/gateway/connect", "v1/gateway/attributes", "v1/gateway/telemetry"
DEVICE_TYPE = "balise"


@dataclass(frozen=True, kw_only=True)
class Settings(BrokerSettings):
    """[[hub]] with kind = "thingsboard"."""

    access_token: Annotated[str, Key("of the device in ThingsBoard that is marked as a gateway")] = field(repr=False)
    max_message_bytes: Annotated[int, Key("the largest message that the server takes", least=512)] = 8_192


class Hub:
    """One gateway device of one ThingsBoard."""

    traits = Traits(
        accepts_past=True, idempotent=True, ordered=False, batch_limit_bytes=64 * 1024, batch_limit_rows=500
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings = settings
        self._broker = Broker(settings, identity, settings.access_token, None)
        self._connected: set[str] = set()  # nodes that this connection has named
        self._attributes: dict[tuple[str, ...], str] = {}  # what was last told of each node and its channels

    async def send(self, rows: Sequence[HubRow]) -> int:
        if await self._broker.connect():
            self._connected.clear()
        new = [node for node in dict.fromkeys(row.node for row in rows) if node not in self._connected]
        told = {(row.node, *(value.channel for value in row.values)): _attributes(row) for row in rows}
        changed = {key: text for key, text in told.items() if self._attributes.get(key) != text}
        connects = [Message(CONNECT, as_json({"device": node, "type": DEVICE_TYPE}).encode()) for node in new]
        about = [Message(ATTRIBUTES, f"{{{as_json(node)}:{text}}}".encode()) for (node, *_), text in changed.items()]
        size = await self._broker.publish([*connects, *about, *self._telemetry(rows)])
        self._connected |= set(new)
        self._attributes |= changed
        return size

    async def close(self) -> None:
        await self._broker.close()

    def _telemetry(self, rows: Sequence[HubRow]) -> Iterator[Message]:
        """As few messages as fit; one row is never torn."""
        most = self._settings.max_message_bytes
        for node in dict.fromkeys(row.node for row in rows):
            head = f"{{{as_json(node)}:["
            parts: list[str] = []
            for row in rows:
                if row.node != node:
                    continue
                part = _entry(row)
                if parts and len((head + ",".join([*parts, part]) + "]}").encode()) > most:
                    yield Message(TELEMETRY, (head + ",".join(parts) + "]}").encode())
                    parts = []
                parts.append(part)
                if len((head + part + "]}").encode()) > most:
                    raise HubTooLarge(f"one row of {node} is larger than max_message_bytes = {most}")
            yield Message(TELEMETRY, (head + ",".join(parts) + "]}").encode())


def _entry(row: HubRow) -> str:
    values: dict[str, object] = {value.channel: number(value) for value in row.values}
    values |= {f"{value.channel}_flag": value.flag for value in row.values if value.flag != 1}
    return as_json({"ts": row.utc_ms, "values": values})


def _attributes(row: HubRow) -> str:
    """What holds for all values of this meaning: who vouches for them, units, models, windows, corrections, place."""
    found: dict[str, object] = {"trust": trust(row)}
    place = lon_lat(row)
    if place is not None:
        found["longitude"], found["latitude"] = place
    for value in row.values:
        found[f"{value.channel}_unit"] = value.unit
        entry = meaning(row, value)
        for name in ("model", "corr", "cal"):
            if name in entry:
                found[f"{value.channel}_{name}"] = entry[name]
        if window_s(row, value):
            found[f"{value.channel}_window_s"] = window_s(row, value)
            found[f"{value.channel}_function"] = agg(row, value).get("function", "")
    return as_json(found)
