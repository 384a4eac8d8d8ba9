"""openSenseMap's ingress: lines of CSV, read by the csv module."""

import csv
import io
from datetime import datetime
from typing import ClassVar

import httpx

from balise_gateway.hubs.opensensemap import NodeAt
from contracts.far_ends import AIR, STREET, Held
from contracts.far_ends._http import SEVERAL, HttpFarEnd, number

AIR_BOX, STREET_BOX = "5" * 24, "6" * 24
SENSORS = {
    channel: f"{index:x}" * 24 for index, channel in enumerate(("pm2_5", "pm10", "temperature", "humidity", "pressure"))
}


class FarEnd(HttpFarEnd):
    kind = "opensensemap"
    settings: ClassVar = {
        "nodes": {
            AIR: NodeAt(box=AIR_BOX, token="s3cr3t", sensors=SENSORS),
            STREET: NodeAt(box=STREET_BOX, sensors={"laeq": "a" * 24, "pm2_5": "b" * 24, "temperature": "c" * 24}),
        }
    }
    answers = SEVERAL
    secrets = ("s3cr3t",)

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        node = {f"/boxes/{AIR_BOX}/data": AIR, f"/boxes/{STREET_BOX}/data": STREET}[request.url.path]
        assert request.headers["Content-Type"] == "text/csv"
        assert request.headers.get("Authorization") == ("s3cr3t" if node == AIR else None)
        channels = {sensor: channel for channel, sensor in self.settings["nodes"][node].sensors.items()}
        for sensor, value, at in csv.reader(io.StringIO(body.decode())):
            utc_ms = round(datetime.fromisoformat(at).timestamp() * 1000)
            self.values.append(Held(node, channels[sensor], utc_ms, number(value)))
        return httpx.Response(201, json="Measurements saved in box")
