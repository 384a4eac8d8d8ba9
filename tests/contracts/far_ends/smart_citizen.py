"""Smart Citizen's interface: a queue that says yes to all, and readings that can be asked for."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import httpx

from balise_gateway.hubs.smart_citizen import NodeAt
from contracts.far_ends import AIR, STREET, Held
from contracts.far_ends._http import SEVERAL, HttpFarEnd

SENSORS = {
    AIR: {"pm2_5": "87", "pm10": "88", "temperature": "55", "humidity": "56", "pressure": "58"},
    STREET: {"laeq": "53", "pm2_5": "87", "temperature": "55"},
}
DEVICES = {1616: AIR, 1717: STREET}


class FarEnd(HttpFarEnd):
    kind = "smart_citizen"
    settings: ClassVar = {
        "token": "s3cr3t",
        "nodes": {node: NodeAt(device=number, sensors=SENSORS[node]) for number, node in DEVICES.items()},
    }
    answers: ClassVar = {**SEVERAL, "still in its queue": SEVERAL["later"], "bad": SEVERAL["400"]}
    secrets = ("s3cr3t",)
    time_step_ms = 1000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.points: dict[tuple[int, int, str], Held] = {}

    def held(self) -> list[Held]:
        return list(self.points.values())

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        _, version, devices, device, readings = request.url.path.split("/")
        assert (request.url.host, version, devices, readings) == ("api.smartcitizen.me", "v0", "devices", "readings")
        assert request.headers["Authorization"] == "Bearer s3cr3t"
        number, node = int(device), DEVICES[int(device)]
        if request.method == "GET":
            at, sensor = request.url.params["from"], int(request.url.params["sensor_id"])
            held = self.points.get((number, sensor, at))
            shown = [] if held is None or self.answer == "still in its queue" else [[at, float(held.number)]]
            return httpx.Response(200, json={"device_id": number, "sensor_id": sensor, "readings": shown})
        if self.answer == "bad":
            return httpx.Response(200, json={"id": "bad", "message": "Timestamp cannot be empty!", "errors": ""})
        channels = {int(sensor): channel for channel, sensor in SENSORS[node].items()}
        for entry in json.loads(body, parse_float=Decimal)["data"]:
            at = entry["recorded_at"]
            utc_ms = round(datetime.fromisoformat(at).timestamp() * 1000)
            for sensor in entry["sensors"]:
                held = Held(node, channels[sensor["id"]], utc_ms, Decimal(sensor["value"]))
                self.points[number, sensor["id"], at] = held
        return httpx.Response(200, json={"id": "ok", "message": "Data successfully sent to queue"})
