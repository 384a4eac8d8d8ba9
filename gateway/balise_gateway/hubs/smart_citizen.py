"""Smart Citizen: `POST /v0/devices/<device>/readings`, then read back.

HTTP is chosen over MQTT because it can prove arrival: a PUBACK comes from the broker, before anybody has looked at the
message, and the interface for readings answers 200 to anything it has put into its queue, wrong ids too. So the answer
is read, and a device's newest reading is asked for again; what does not show up is sent again later (it replaces
itself), and after `MAX_UNSEEN` times refused.

`recorded_at` has whole seconds, so of several rows of a device in one second the last one stays; of a window it is the
start. Times more than a day ahead or three years back are not taken. Sensor ids differ between kits: they stand in the
configuration. Values go in our units; give `pressure` a sensor that is kept in Pa.

Sources: fablabbcn/smartcitizen-api (controllers/v0/readings_controller.rb, jobs/send_to_datastore_job.rb,
models/storer.rb; read as specification), developer.smartcitizen.me, "Readings".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any
from urllib.parse import urlencode

from balise_gateway.delivery.http_hub import (
    Http,
    HttpHubSettings,
    Part,
    Parts,
    bearer,
    header_problem,
    told_of,
    without_place,
)
from balise_gateway.delivery.row_parts import iso, number
from balise_gateway.errors import HubAway, HubRefused
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow
from balise_gateway.settings import Key

MAX_UNSEEN = 5
AGAIN_S = 60.0  # its queue takes seconds; the throttle is 150 requests a minute


@dataclass(frozen=True, kw_only=True)
class NodeAt:
    """[hub.nodes."<name of the node>"]: where its values go."""

    device: Annotated[int, Key("the device's number", least=1)]
    sensors: Annotated[dict[str, str], Key('the sensor\'s number of each channel, such as pm2_5 = "87"')]

    def problem(self) -> str | None:
        for channel, text in self.sensors.items():
            if not (text.isascii() and text.isdigit()):
                return f"sensors: {channel} = {text!r}: must be the sensor's number, in quotes"
        return None


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "smart_citizen"."""

    url: Annotated[str, Key("where the interface is")] = "https://api.smartcitizen.me"
    token: Annotated[str, Key("the OAuth token of the devices' owner")] = field(repr=False)
    nodes: Annotated[dict[str, NodeAt], Key("the device of each node")] = field(default_factory=dict)

    def problem(self) -> str | None:
        return header_problem(token=self.token) or super().problem()


class Hub:
    """The devices of one owner."""

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self.traits = Traits(
            accepts_past=True,
            idempotent=True,
            ordered=False,
            batch_limit_bytes=128 * 1024,
            batch_limit_rows=200,
            channels=frozenset(channel for node in settings.nodes.values() for channel in node.sensors),
        )
        self._settings, self._parts = settings, Parts()
        self._http = Http(transport, settings.timeout_s, f'a hub of kind "{settings.kind}"', [settings.token])
        self._seen: set[tuple[int, int]] = set()  # (device, sensor) that was read back once
        self._unseen: dict[int, int] = {}  # how often in a row a device did not show what was sent

    async def send(self, rows: Sequence[HubRow]) -> int:
        refused = without_place(rows, self._settings.nodes, "device and sensors")
        parts = parts_of(rows, self._settings.nodes, refused)
        return await self._parts.send(parts, self._post, refused)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, parts: Sequence[Part]) -> int:
        (device,) = parts[0].group
        body = json.dumps({"data": [part.payload for part in parts]}).encode()
        headers = {"Content-Type": "application/json", **bearer(self._settings.token)}
        with told_of(f"device {device}"):
            told = (await self._http.ask("POST", self._url(device), headers, body, ok=(200, 201))).json()
        word, said = (told.get("id"), str(told.get("message", ""))[:100]) if isinstance(told, dict) else (None, "")
        if word != "ok":
            raise HubRefused(f"the hub answered 200, but {word!r}: {said}", {})
        wanted: dict[int, str] = {}  # the newest time of each sensor
        for payload in sorted((part.payload for part in parts), key=lambda payload: str(payload["recorded_at"])):
            wanted |= dict.fromkeys((sensor["id"] for sensor in payload["sensors"]), payload["recorded_at"])
        known = [sensor for sensor in wanted if (device, sensor) in self._seen]
        for sensor in [sensor for sensor in wanted if sensor not in known] + known[:1]:
            await self._read_back(device, sensor, wanted[sensor], parts, said)
        self._unseen.pop(device, None)
        return len(body)

    async def _read_back(self, device: int, sensor: int, at: str, parts: Sequence[Part], said: str) -> None:
        """Raises HubAway when it is not there yet, HubRefused for the rows with this sensor when it never came."""
        query = urlencode({"sensor_id": sensor, "rollup": "1s", "from": at, "to": at}, safe=":")
        told = (await self._http.ask("GET", f"{self._url(device)}?{query}", bearer(self._settings.token))).json()
        readings = told.get("readings") if isinstance(told, dict) else None
        shown = [str(entry[0]) for entry in readings if entry] if isinstance(readings, list) else []
        if any(text[:19] == at[:19] for text in shown):
            self._seen.add((device, sensor))
            return
        count = self._unseen[device] = self._unseen.get(device, 0) + 1
        what = f"device {device} does not show sensor {sensor} at {at}"
        if count < MAX_UNSEEN:
            raise HubAway(f"{what}; the hub said: {said}", AGAIN_S)
        del self._unseen[device]
        told = f"{what} after {count} tries (the hub said: {said}); is the sensor's number right?"
        mine = [n for n, part in enumerate(parts) if any(s["id"] == sensor for s in part.payload["sensors"])]
        raise HubRefused(told, dict.fromkeys(mine, told))

    def _url(self, device: int) -> str:
        return f"{self._settings.base}/v0/devices/{device}/readings"


def parts_of(rows: Sequence[HubRow], nodes: Mapping[str, NodeAt], refused: dict[int, str]) -> list[Part]:
    """A part per row that has a place; rows without any are put into `refused`."""
    parts = []
    for index, row in enumerate(rows):
        if index in refused:
            continue
        node = nodes[row.node]
        sensors = [
            {"id": int(node.sensors[value.channel]), "value": number(value)}
            for value in row.values
            if value.channel in node.sensors
        ]
        if not sensors:
            names = ", ".join(value.channel for value in row.values)
            refused[index] = f'no sensor for {names}: add one of them to sensors of [hub.nodes."{row.node}"]'
            continue
        payload = {"recorded_at": iso(row.utc_ms)[:19] + "Z", "sensors": sensors}
        parts.append(Part(index, (row.seq, row.index), (node.device,), payload))
    return parts
