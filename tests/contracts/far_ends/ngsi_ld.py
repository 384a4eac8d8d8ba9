"""An NGSI-LD broker with current state and history, as ETSI GS CIM 009 describes both."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import httpx

from contracts.far_ends import Held
from contracts.far_ends._http import SEVERAL, HttpFarEnd

NAMES = {
    "pm25": ("pm2_5", "GQ", 0),
    "pm10": ("pm10", "GQ", 0),
    "temperature": ("temperature", "CEL", 0),
    "relativeHumidity": ("humidity", "C62", 2),
    "atmosphericPressure": ("pressure", "A97", 2),
    "LAeq": ("laeq", "2N", 0),
}


class FarEnd(HttpFarEnd):
    kind = "ngsi_ld"
    settings: ClassVar = {"url": "https://orion.example", "token": "s3cr3t", "tenant": "street"}
    answers = SEVERAL
    secrets = ("s3cr3t",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.entities: dict[str, dict[str, Any]] = {}

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        assert request.headers["NGSILD-Tenant"] == "street"
        assert 'rel="http://www.w3.org/ns/json-ld#context"' in request.headers["Link"]
        what = request.url.path.removeprefix("/ngsi-ld/v1/")
        if what.startswith("entities/"):
            return self._entity(what.removeprefix("entities/"))
        assert request.headers["Content-Type"] == "application/json"
        told = json.loads(body, parse_float=Decimal)
        if what == "entityOperations/upsert":
            assert request.url.params["options"] == "update"
            created = [entity["id"] for entity in told if entity["id"] not in self.entities]
            for entity in told:
                self._keep(entity, now=True)
            return httpx.Response(201, json=created) if created else httpx.Response(204)
        assert what == "temporal/entities"
        self._keep(told, now=False)
        return httpx.Response(201)

    def _entity(self, name: str) -> httpx.Response:
        found = self.entities.get(name)
        if found is None:
            return httpx.Response(404, json={"type": "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound"})
        return httpx.Response(200, content=json.dumps(found, default=float))

    def _keep(self, entity: dict[str, Any], now: bool) -> None:
        assert "@context" not in entity
        model, node = entity["id"].removeprefix("urn:ngsi-ld:").split(":", 1)
        assert model == entity["type"]
        for name, found in entity.items():
            for instance in [found] if isinstance(found, dict) else found if isinstance(found, list) else []:
                self._take_in(node, name, instance)
        if now:
            self.entities.setdefault(entity["id"], {}).update(entity)

    def _take_in(self, node: str, name: str, told: dict[str, Any]) -> None:
        assert told["type"] == ("GeoProperty" if name == "location" else "Property")
        if name.startswith("dateObserved") or name == "location":
            return
        channel, unit, power = NAMES[name]
        assert told["unitCode"] == unit
        utc_ms = round(datetime.fromisoformat(told["observedAt"]).timestamp() * 1000)
        self.values.append(Held(node, channel, utc_ms, Decimal(told["value"]).scaleb(power)))
