"""Sensor.Community's push interface, as its reference server reads it."""

import json
from typing import ClassVar

import httpx

from balise_gateway.hubs.sensor_community import NodeAt
from contracts.far_ends import AIR, STREET, Held
from contracts.far_ends._http import SEVERAL, HttpFarEnd, number

WORDS = {
    "1": {"P1": "pm10", "P2": "pm2_5"},
    "7": {"temperature": "temperature"},
    "11": {"temperature": "temperature", "humidity": "humidity", "pressure": "pressure"},
    "15": {"noise_LAeq": "laeq"},
}


class FarEnd(HttpFarEnd):
    kind = "sensor_community"
    settings: ClassVar = {
        "nodes": {
            AIR: NodeAt(id="esp32-1234567"),
            STREET: NodeAt(id="esp32-7654321", pins={"temperature": "7"}),
        }
    }
    answers = SEVERAL
    time_step_ms = 0

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        assert str(request.url) == "https://api.sensor.community/v1/push-sensor-data/"
        node = {"esp32-1234567": AIR, "esp32-7654321": STREET}[request.headers["X-Sensor"]]
        told = json.loads(body)
        assert told["software_version"]
        for entry in told["sensordatavalues"]:
            channel = WORDS[request.headers["X-PIN"]][entry["value_type"]]
            assert isinstance(entry["value"], str)
            self.values.append(Held(node, channel, None, number(entry["value"])))
        return httpx.Response(201, json={"id": self.requests})
