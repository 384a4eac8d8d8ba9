"""A SensorThings 1.1 service with data arrays: one link per observation, in the order of the request."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import httpx

from balise_gateway.hubs.sensorthings import NodeAt
from contracts.far_ends import AIR, STREET, Held
from contracts.far_ends._http import COMMON, HttpFarEnd

CHANNELS = ("pm2_5", "pm10", "temperature", "humidity", "pressure")
STREAMS = {str(10 + number): (AIR, channel) for number, channel in enumerate(CHANNELS)}
STREAMS |= {"b-1": (STREET, "laeq"), "b-2": (STREET, "pm2_5"), "b-3": (STREET, "temperature")}


def _mine(node: str) -> dict[str, str]:
    return {channel: stream for stream, (owner, channel) in STREAMS.items() if owner == node}


class FarEnd(HttpFarEnd):
    kind = "sensorthings"
    settings: ClassVar = {
        "url": "https://frost.example/v1.1",
        "token": "s3cr3t",
        "nodes": {
            AIR: NodeAt(datastreams=_mine(AIR)),
            STREET: NodeAt(datastreams=_mine(STREET), feature="7"),
        },
    }
    answers: ClassVar = {**COMMON, "too few links": COMMON["later"]}
    secrets = ("s3cr3t",)

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/v1.1/CreateObservations")
        held = list(_observations(json.loads(body, parse_float=Decimal)))
        self.values += held
        links = [f"https://frost.example/v1.1/Observations({number})" for number, _ in enumerate(held)]
        return httpx.Response(201, json=links[1:] if self.answer == "too few links" else links)


def _observations(told: Any) -> Iterator[Held]:
    for array in told:
        node, channel = STREAMS[str(array["Datastream"]["@iot.id"])]
        assert array["dataArray@iot.count"] == len(array["dataArray"])
        assert ("FeatureOfInterest/id" in array["components"]) == (node == STREET)
        for observation in array["dataArray"]:
            named = dict(zip(array["components"], observation, strict=True))
            at = datetime.fromisoformat(named["phenomenonTime"])
            yield Held(node, channel, round(at.timestamp() * 1000), Decimal(named["result"]))
