"""Plain JSON over MQTT, QoS 1: one message per row, or per value where the topic names the channel.

    {"node": "urn:dev:ops:b4115e-air-01", "utc": "2018-12-09T00:00:00.000Z", "utc_ms": 1544313600000,
     "id": "<kid>-3-1-0", "uncertainty_ms": 50, "trust": "node-signed",
     "values": {"pm2_5": {"v": 2.7, "u": "ug/m3", "model": "sds011"}, "humidity": {"v": 84.83, "u": "%RH", "flag": 3}}}

Promises exact decimals; `flag` (QARTOD) wherever it is not 1; `agg`, `cal` and `corr` as the manifest has them; and an
`id` that is the same at every repeat, since QoS 1 repeats. A PUBACK proves that the broker has a message, not that
anybody read it. Leaves the connection to `mqtt_hub.py`.
"""

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from balise_gateway.delivery.mqtt_hub import Broker, LoginSettings, Message
from balise_gateway.delivery.row_parts import as_json, iso, lon_lat, meaning, number, topic_word, trust
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import Key

FIELDS = ("node", "channel", "gateway", "log")
_TOLD = ("model", "cal", "corr", "agg")


@dataclass(frozen=True, kw_only=True)
class Settings(LoginSettings):
    """[[hub]] with kind = "mqtt_json"."""

    topic: Annotated[str, Key("where to publish; may hold {node}, {channel}, {gateway} and {log}")] = "balise/{node}"

    def problem(self) -> str | None:
        try:
            used = [name for _, name, _, _ in string.Formatter().parse(self.topic) if name is not None]
        except ValueError as error:
            return f"topic = {self.topic!r}: {error}; write {{node}} and so on"
        if any(name not in FIELDS for name in used):
            return f"topic = {self.topic!r}: only {', '.join('{' + name + '}' for name in FIELDS)} are filled in"
        if any(letter in self.topic for letter in "+#\0"):
            return f"topic = {self.topic!r}: the wildcards + and # are for those who listen"
        return None if self.topic.strip("/") else "topic: must not be empty"


class Hub:
    """One topic tree at one broker."""

    traits = Traits(
        accepts_past=True,
        idempotent=False,
        ordered=False,
        batch_limit_bytes=256 * 1024,
        batch_limit_rows=200,
        flags=True,
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings, self._identity = settings, identity
        self._broker = Broker(settings, identity, settings.user, settings.password)

    async def send(self, rows: Sequence[HubRow]) -> int:
        return await self._broker.publish(
            [message for index, row in enumerate(rows) for message in self._of(index, row)]
        )

    async def close(self) -> None:
        await self._broker.close()

    def _of(self, index: int, row: HubRow) -> Iterator[Message]:
        each = [[value] for value in row.values] if "{channel}" in self._settings.topic else [list(row.values)]
        for values in each:
            topic = self._settings.topic.format(
                node=topic_word(row.node),
                channel=topic_word(values[0].channel),
                gateway=self._identity.hex(),
                log=self._settings.log,
            )
            yield Message(topic, as_json(self._document(row, values)).encode(), row=index)

    def _document(self, row: HubRow, values: Sequence[Value]) -> dict[str, object]:
        found: dict[str, object] = {"node": row.node, "utc": iso(row.utc_ms), "utc_ms": row.utc_ms}
        found["id"] = f"{self._identity.hex()}-{self._settings.log}-{row.seq}-{row.index}"
        if row.uncertainty_ms is not None:
            found["uncertainty_ms"] = row.uncertainty_ms
        if trust(row):
            found["trust"] = trust(row)
        place = lon_lat(row)
        if place is not None:
            found["lon"], found["lat"] = place
        found["values"] = {value.channel: _told(row, value) for value in values}
        return found


def _told(row: HubRow, value: Value) -> dict[str, object]:
    found: dict[str, object] = {"v": number(value), "u": value.unit}
    if value.flag != 1:
        found["flag"] = value.flag
    entry = meaning(row, value)
    return found | {name: entry[name] for name in _TOLD if name in entry}
