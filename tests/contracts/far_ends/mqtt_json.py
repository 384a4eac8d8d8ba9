"""A broker and someone who reads plain JSON."""

import json
from decimal import Decimal
from random import Random
from typing import Any

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubError, HubRefused
from balise_gateway.hubs import RowHub
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._mosquitto import ANSWERS, MqttFarEnd


class FarEnd(MqttFarEnd):
    answers: dict[str, type[HubError]] = {**ANSWERS, "too large": HubRefused}  # noqa: RUF012

    def hub(self, **settings: Any) -> RowHub:
        kind = plugins.load(hubs, "mqtt_json")
        words: dict[str, Any] = {"name": "h", "kind": "mqtt_json", "log": LOG, **self.login()}
        made: RowHub = kind.Hub(kind.Settings(**(words | settings)), GATEWAY.kid, None, Random(1))
        return made

    def held(self) -> list[Held]:
        rows = [json.loads(message.payload, parse_float=Decimal) for message in self.heard()]
        return [
            Held(row["node"], name, row["utc_ms"], Decimal(told["v"]))
            for row in rows
            for name, told in row["values"].items()
        ]
