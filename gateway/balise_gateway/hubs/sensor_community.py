"""Sensor.Community: one `POST /v1/push-sensor-data/` per row and sensor, values as text.

The hub takes no time (what its reference server says of `timestamp` is not known of the real one): only what is now is
sent. It knows sensors by X-PIN, so a row is split by it: dust on 1, climate on the pin of the sensor's model. There is
no secret: anybody who knows a node's id can send in its name. Places are published with three decimals, unless the
owner chose the exact one there.

A repeat is a second measurement. What the hub said yes to is not repeated after an outage; a kill between its answer
and the journal's commit repeats the one batch in flight.

Sources: opendata-stuttgart/feinstaub-api dd6c2bf, tests test_full_push, test_authenticator; sensors-software, airrohr
firmware (X-PIN, value types, SPS30's units; any 2xx is a yes).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any

from balise_gateway.delivery.http_hub import Http, HttpHubSettings, Part, Parts, header_problem, told_of, without_place
from balise_gateway.delivery.row_parts import meaning
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow
from balise_gateway.settings import Key

# channel: value type, X-PIN (None: the model's), and the power of ten from our unit to theirs
WORDS: dict[str, tuple[str, int | None, int]] = {
    "pm1": ("P0", 1, 0),
    "pm10": ("P1", 1, 0),
    "pm2_5": ("P2", 1, 0),
    "pm4": ("P4", 1, 0),
    "n0_5_per_cm3": ("N05", 1, 0),
    "n1_per_cm3": ("N1", 1, 0),
    "n2_5_per_cm3": ("N25", 1, 0),
    "n4_per_cm3": ("N4", 1, 0),
    "n10_per_cm3": ("N10", 1, 0),
    "typical_particle_size": ("TS", 1, 6),  # m to um
    "temperature": ("temperature", None, 0),
    "humidity": ("humidity", None, 0),
    "pressure": ("pressure", None, 0),  # both in Pa
    "laeq": ("noise_LAeq", 15, 0),
    "lamin": ("noise_LA_min", 15, 0),
    "lamax": ("noise_LA_max", 15, 0),
    "co2": ("co2_ppm", 17, 0),
}
PINS = {"bmp280": 3, "sht31": 7, "bme280": 11, "ds18b20": 13, "scd30": 17}


@dataclass(frozen=True, kw_only=True)
class NodeAt:
    """[hub.nodes."<name of the node>"]: who it is there."""

    id: Annotated[str, Key('the id under which it is registered, such as "esp8266-1234567"')]
    pins: Annotated[
        dict[str, str], Key('the X-PIN of a channel, such as temperature = "7", where ours is not right')
    ] = field(default_factory=dict)

    def problem(self) -> str | None:
        for channel, pin in self.pins.items():
            if channel not in WORDS or not (pin.isascii() and pin.isdigit()):
                return f"pins: {channel} = {pin!r}: must be a channel that this hub knows and a number in quotes"
        return header_problem(id=self.id)


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "sensor_community"."""

    url: Annotated[str, Key("where measurements go")] = "https://api.sensor.community"
    nodes: Annotated[dict[str, NodeAt], Key("the registered id of each node")] = field(default_factory=dict)


class Hub:
    """The registered nodes of one gateway."""

    traits = Traits(
        accepts_past=False,
        idempotent=False,
        ordered=False,
        batch_limit_bytes=64 * 1024,
        batch_limit_rows=100,
        channels=frozenset(WORDS),
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings, self._parts = settings, Parts()
        self._http = Http(transport, settings.timeout_s, f'a hub of kind "{settings.kind}"')

    async def send(self, rows: Sequence[HubRow]) -> int:
        refused = without_place(rows, self._settings.nodes, 'id = "esp8266-…"')
        parts = list(parts_of(rows, self._settings.nodes, refused))
        return await self._parts.send(parts, self._post, refused)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, parts: Sequence[Part]) -> int:
        node, pin, *_ = parts[0].group
        body = json.dumps({"software_version": "balise", "sensordatavalues": parts[0].payload}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Sensor": self._settings.nodes[node].id,
            "X-PIN": str(pin),
        }
        url = f"{self._settings.base}/v1/push-sensor-data/"
        with told_of(node):
            (await self._http.ask("POST", url, headers, body, ok=range(200, 209))).json()
        return len(body)


def parts_of(rows: Sequence[HubRow], nodes: Mapping[str, NodeAt], refused: dict[int, str]) -> Iterator[Part]:
    """A part per row and X-PIN. A value without a pin puts its row into `refused`; the others go all the same."""
    for index, row in enumerate(rows):
        if row.node not in nodes:
            continue
        values = dict[int, list[dict[str, str]]]()
        for value in row.values:
            word, pin, power = WORDS[value.channel]
            model = str(meaning(row, value).get("model", ""))
            given = nodes[row.node].pins.get(value.channel)
            pin = int(given) if given else pin or PINS.get(model)
            if pin is None:
                told = f'{value.channel} = "11"'
                why = f'no X-PIN for the sensor {model!r}: add {told} to pins of [hub.nodes."{row.node}"]'
                refused.setdefault(index, why)
                continue
            text = f"{value.decimal.scaleb(power):f}"
            values.setdefault(pin, []).append({"value_type": word, "value": text})
        for pin, found in values.items():
            name = (row.node, pin, row.seq, row.index)
            yield Part(index, name, name, found)
