"""OGC SensorThings 1.1: observations by `POST /CreateObservations`, several data streams in one request.

Each node's channel is a Datastream. Its id stands in the configuration, or `create` has it looked up by name (Thing:
the node's name; Datastream: the channel's), and made where there is none. A Thing made here has no Location: where a
node is, is the grant's matter, and no grant gives it yet. Its FeatureOfInterest, which servers would derive from the
Location, is then a GeoJSON Feature without a geometry (RFC 7946 section 3.2).

The answer holds a link or the word "error" for each observation: what is not a link is told as refused. A repeat is a
second observation. What the hub has linked is not repeated after an outage or a partial refusal; a kill between its
answer and the journal's commit repeats the one batch in flight. `phenomenonTime` is the row's time, of a window the
interval; no `resultTime` is claimed.

Sources: OGC 18-088 (SensorThings 1.1) sections 9 (query), 10.2 (deep insert) and 13.2 (CreateObservations); FROST-
Server, c06dataarrays tests.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any
from urllib.parse import urlencode

from balise_gateway.errors import HubAway, HubRefused
from balise_gateway.http_hub import (
    Answer,
    Http,
    HttpHubSettings,
    Part,
    Parts,
    bearer,
    json_number,
    utc_text,
    window_s,
    without_place,
)
from balise_gateway.hubs import Traits
from balise_gateway.rows import HubRow
from balise_gateway.settings import Key

MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
UNITS = {  # SenML unit: name, symbol, definition (UCUM)
    "ug/m3": ("microgram per cubic metre", "µg/m³", "ucum:ug/m3"),
    "Cel": ("degree Celsius", "°C", "ucum:Cel"),
    "%RH": ("percent relative humidity", "%", "ucum:%"),
    "Pa": ("pascal", "Pa", "ucum:Pa"),
    "dB": ("decibel", "dB", "ucum:dB"),
    "ppm": ("parts per million", "ppm", "ucum:[ppm]"),
}
_UNLOCATED: dict[str, object] = {"type": "Feature", "geometry": None, "properties": {}}


@dataclass(frozen=True, kw_only=True)
class NodeAt:
    """[hub.nodes."<name of the node>"]: where its values go."""

    datastreams: Annotated[dict[str, str], Key('the Datastream\'s id of each channel, such as pm2_5 = "12"')] = field(
        default_factory=dict
    )
    feature: Annotated[str, Key("the id of its FeatureOfInterest; empty: the server takes the Thing's place")] = ""


@dataclass(frozen=True, kw_only=True)
class Settings(HttpHubSettings):
    """[[hub]] with kind = "sensorthings"."""

    url: Annotated[str, Key('the service with its version, such as "https://frost.example/v1.1"')]
    token: Annotated[str, Key("the token (Bearer); empty where none is asked for")] = field(default="", repr=False)
    create: Annotated[bool, Key("look up what is not in nodes by its name, and make it where there is none")] = False
    nodes: Annotated[dict[str, NodeAt], Key("the Datastreams of each node")] = field(default_factory=dict)


@dataclass
class _Thing:
    """What this service has for a node."""

    datastreams: dict[str, str]
    feature: str = ""
    thing: str = ""


class Hub:
    """One service."""

    traits = Traits(
        accepts_past=True, idempotent=False, ordered=False, batch_limit_bytes=512 * 1024, batch_limit_rows=500
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings, self._parts = settings, Parts()
        self._http = Http(transport, settings.timeout_s, settings.kind, [settings.token])
        self._things = {name: _Thing(dict(node.datastreams), node.feature) for name, node in settings.nodes.items()}

    async def send(self, rows: Sequence[HubRow]) -> int:
        refused: dict[int, str] = {}
        if self._settings.create:
            for row in rows:
                await self._have(row)
        else:
            refused = without_place(rows, self._things, "datastreams, or say create = true")
        parts = parts_of(rows, {name: thing.datastreams for name, thing in self._things.items()}, refused)
        return await self._parts.send(parts, self._post, refused)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, parts: Sequence[Part]) -> int:
        arrays: dict[tuple[str, str], list[int]] = {}
        for number, part in enumerate(parts):
            node, stream, _ = part.payload
            arrays.setdefault((node, stream), []).append(number)
        body = [
            _data_array(stream, self._things[node].feature, [parts[number].payload[2] for number in numbers])
            for (node, stream), numbers in arrays.items()
        ]
        sent = json.dumps(body).encode()
        answer = await self._http.ask(
            "POST", f"{self._settings.base}/CreateObservations", self._headers(), sent, ok=(201,)
        )
        order = [number for numbers in arrays.values() for number in numbers]
        reasons = _reasons(answer, order)
        if reasons:
            raise HubRefused(f"{len(reasons)} of {len(parts)} observations refused", reasons)
        return len(sent)

    async def _have(self, row: HubRow) -> None:
        """Looks up or makes what this row needs."""
        thing = self._things.get(row.node)
        if thing is None or not thing.thing:
            thing = await self._found(row.node, thing or _Thing({}))
            self._things[row.node] = thing
        for value in row.values:
            if value.channel not in thing.datastreams:
                made = _datastream(row, value.channel, value.unit, thing.thing)
                thing.datastreams[value.channel] = await self._make("Datastreams", made)
        if not thing.feature:
            told = {"name": row.node, "description": "around the node; its place is not told"}
            made = {**told, "encodingType": "application/geo+json", "feature": _UNLOCATED}
            thing.feature = await self._first("FeaturesOfInterest", row.node) or await self._make(
                "FeaturesOfInterest", made
            )

    async def _found(self, node: str, told: _Thing) -> _Thing:
        thing = await self._first("Things", node)
        if not thing:
            made = {"name": node, "description": "a Balise node", "properties": {"node": node}}
            return _Thing(told.datastreams, told.feature, await self._make("Things", made))
        url = f"{self._settings.base}/Things({_quoted(thing)})/Datastreams?$select=id,name&$top=1000"
        there = {str(entry.get("name")): str(entry.get("@iot.id")) for entry in await self._entries(url)}
        return _Thing({**there, **told.datastreams}, told.feature, thing)

    async def _first(self, kind: str, name: str) -> str:
        """The id of the first entity of that name; "" for none."""
        literal = name.replace("'", "''")  # OData: a quote in a string is doubled
        query = urlencode({"$filter": f"name eq '{literal}'", "$select": "id,name", "$top": "1"}, safe="$,")
        found = await self._entries(f"{self._settings.base}/{kind}?{query}")
        return str(found[0].get("@iot.id")) if found else ""

    async def _entries(self, url: str) -> list[dict[str, Any]]:
        told = (await self._http.ask("GET", url, self._headers())).json()
        found = told.get("value") if isinstance(told, dict) else None
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise HubAway("200, but not a SensorThings collection: is url the service with its version?")
        return found

    async def _make(self, kind: str, entity: Mapping[str, object]) -> str:
        """The id of a new entity, as its Location tells: `…/Things(12)`."""
        body = json.dumps(entity).encode()
        answer = await self._http.ask("POST", f"{self._settings.base}/{kind}", self._headers(), body, ok=(201,))
        _, opened, rest = answer.headers.get("Location", "").rpartition("(")
        if not opened or not rest.endswith(")"):
            raise HubAway(f"201 for {kind}, but no Location of the new entity")
        return rest[:-1].strip("'")

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **bearer(self._settings.token)}


def parts_of(rows: Sequence[HubRow], streams: Mapping[str, Mapping[str, str]], refused: dict[int, str]) -> list[Part]:
    """A part per value that has a Datastream; rows of a known node without any are put into `refused`."""
    parts = []
    for index, row in enumerate(rows):
        if index in refused:
            continue
        mine = streams[row.node]
        told = [value for value in row.values if value.channel in mine]
        if not told:
            names = ", ".join(value.channel for value in row.values)
            refused[index] = f'no Datastream for {names}: add one to datastreams of [hub.nodes."{row.node}"]'
        for value in told:
            observation = [_time(row), json_number(value.decimal)]
            key = (row.seq, row.index, value.channel)
            parts.append(Part(index, key, (), (row.node, mine[value.channel], observation)))
    return parts


def _time(row: HubRow) -> str:
    window = window_s(row)
    if window is None:
        return utc_text(row.utc_ms)
    return f"{utc_text(row.utc_ms)}/{utc_text(row.utc_ms + 1000 * int(window))}"


def _data_array(stream: str, feature: str, observations: list[list[object]]) -> dict[str, object]:
    components = ["phenomenonTime", "result"] + (["FeatureOfInterest/id"] if feature else [])
    rows = [[*observation, *([_id(feature)] if feature else [])] for observation in observations]
    return {
        "Datastream": {"@iot.id": _id(stream)},
        "components": components,
        "dataArray@iot.count": len(rows),
        "dataArray": rows,
    }


def _reasons(answer: Answer, order: Sequence[int]) -> dict[int, str]:
    """Which observations were refused: those in whose place no link stands."""
    links = answer.json()
    if not isinstance(links, list) or len(links) != len(order):
        raise HubAway(f"201, but not one answer for each of the {len(order)} observations")
    return {
        number: f"the hub answered {str(link)[:100]!r} for this observation"
        for number, link in zip(order, links, strict=True)
        if not isinstance(link, str) or "://" not in link
    }


def _datastream(row: HubRow, channel: str, unit: str, thing: str) -> dict[str, object]:
    name, symbol, definition = UNITS.get(unit, (unit, unit, f"urn:ietf:params:senml:unit:{unit}"))
    return {
        "name": channel,
        "description": f"{channel} of {row.node}",
        "observationType": MEASUREMENT,
        "unitOfMeasurement": {"name": name, "symbol": symbol, "definition": definition},
        "Thing": {"@iot.id": _id(thing)},
        "ObservedProperty": {"name": channel, "definition": f"urn:balise:channel:{channel}", "description": channel},
        "Sensor": {
            "name": f"{channel} of {row.node}",
            "description": "a Balise node",
            "encodingType": "application/json",
            "metadata": str(row.about.get("trust", "")),
        },
    }


def _id(text: str) -> int | str:
    """An id as JSON has it: a number where it looks like one."""
    return int(text) if text.isascii() and text.isdigit() else text


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isdigit() else f"'{text}'"
