"""OGC SensorThings 1.1: observations by `POST /CreateObservations`, several data streams in one request.

Each node's channel is a Datastream. Its id stands in the configuration, or `create` has it looked up by name (Thing:
the node's name; Datastream: the channel's), and made where there is none. A Thing made here has the Location that the
grant tells; its FeatureOfInterest is a GeoJSON Feature with the same point, or without a geometry (RFC 7946 section
3.2) where the grant tells none.

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

from balise_gateway.delivery.http_hub import (
    Answer,
    Http,
    HttpHubSettings,
    Part,
    Parts,
    bearer,
    header_problem,
    without_place,
)
from balise_gateway.delivery.row_parts import iso, lon_lat, number, trust, window_s
from balise_gateway.errors import HubAway, HubRefused
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow, Value
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
_GEOJSON = "application/geo+json"


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

    def problem(self) -> str | None:
        return header_problem(token=self.token) or super().problem()


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
        self._http = Http(transport, settings.timeout_s, f'a hub of kind "{settings.kind}"', [settings.token])
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
        for index, part in enumerate(parts):
            node, stream, _ = part.payload
            arrays.setdefault((node, stream), []).append(index)
        body = [
            _data_array(stream, self._things[node].feature, [parts[index].payload[2] for index in indexes])
            for (node, stream), indexes in arrays.items()
        ]
        sent = json.dumps(body).encode()
        answer = await self._http.ask(
            "POST", f"{self._settings.base}/CreateObservations", self._headers(), sent, ok=(201,)
        )
        order = [index for indexes in arrays.values() for index in indexes]
        reasons = _reasons(answer, order)
        if reasons:
            raise HubRefused(f"{len(reasons)} of {len(parts)} observations refused", reasons)
        return len(sent)

    async def _have(self, row: HubRow) -> None:
        """Looks up or makes what this row needs."""
        thing = self._things.get(row.node)
        if thing is None or not thing.thing:
            thing = await self._found(row, thing or _Thing({}))
            self._things[row.node] = thing
        for value in row.values:
            if value.channel not in thing.datastreams:
                made = _datastream(row, value.channel, value.unit, thing.thing)
                thing.datastreams[value.channel] = await self._make("Datastreams", made)
        if not thing.feature:
            thing.feature = await self._first("FeaturesOfInterest", row.node) or await self._make(
                "FeaturesOfInterest", _feature(row)
            )

    async def _found(self, row: HubRow, told: _Thing) -> _Thing:
        thing = await self._first("Things", row.node)
        if not thing:
            return _Thing(told.datastreams, told.feature, await self._make("Things", _thing(row)))
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
            observation = [_time(row, value), number(value)]
            key = (row.seq, row.index, value.channel)
            parts.append(Part(index, key, (), (row.node, mine[value.channel], observation)))
    return parts


def _time(row: HubRow, value: Value) -> str:
    window = window_s(row, value)
    return f"{iso(row.utc_ms)}/{iso(row.utc_ms + 1000 * window)}" if window else iso(row.utc_ms)


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
        index: f"the hub answered {str(link)[:100]!r} for this observation"
        for index, link in zip(order, links, strict=True)
        if not isinstance(link, str) or "://" not in link
    }


def _thing(row: HubRow) -> dict[str, object]:
    made: dict[str, object] = {"name": row.node, "description": "a Balise node", "properties": {"node": row.node}}
    point = _point(row)
    if point is not None:
        told = {"name": row.node, "description": _precision(row), "encodingType": _GEOJSON, "location": point}
        made["Locations"] = [told]
    return made


def _feature(row: HubRow) -> dict[str, object]:
    feature = {"type": "Feature", "geometry": _point(row), "properties": {}}
    return {"name": row.node, "description": _precision(row), "encodingType": _GEOJSON, "feature": feature}


def _point(row: HubRow) -> dict[str, object] | None:
    """As precise as the grant says; longitude first (RFC 7946)."""
    place = lon_lat(row)
    return None if place is None else {"type": "Point", "coordinates": list(place)}


def _precision(row: HubRow) -> str:
    place = row.about.get("place")
    if lon_lat(row) is None or not isinstance(place, dict):
        return "around the node; its place is not told"
    return f"the middle of a cell of {place['cell_m']} m" if "cell_m" in place else "the node's place"


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
            "metadata": trust(row),
        },
    }


def _id(text: str) -> int | str:
    """An id as JSON has it: a number where it looks like one."""
    return int(text) if text.isascii() and text.isdigit() else text


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isdigit() else f"'{text}'"
