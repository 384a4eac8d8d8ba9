"""A broker where ThingsBoard would be, and its gateway topics read as its reference describes them."""

import json
from decimal import Decimal
from random import Random
from typing import Any

from balise_gateway import hubs, plugins
from balise_gateway.hubs import RowHub
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._mosquitto import ANSWERS, USER, MqttFarEnd, documents


class FarEnd(MqttFarEnd):
    answers = {word: error for word, error in ANSWERS.items() if word != "wrong password"}  # noqa: RUF012
    secrets = (USER,)
    asks_passwords = False  # the token is the user name

    def hub(self, **settings: Any) -> RowHub:
        kind = plugins.load(hubs, "thingsboard")
        login = self.login()
        words: dict[str, Any] = {"name": "h", "kind": "thingsboard", "log": LOG, "host": login["host"]}
        words |= {"port": login["port"], "access_token": login["user"]}
        made: RowHub = kind.Hub(kind.Settings(**(words | settings)), GATEWAY.kid, None, Random(1))
        return made

    def held(self) -> list[Held]:
        """Per key and ts: a repeat replaces."""
        named = {document["device"] for document in documents(self.heard(), "v1/gateway/connect")}
        found: dict[tuple[str, str, int], Decimal] = {}
        for message in self.heard():
            if message.topic != "v1/gateway/telemetry":
                continue
            for node, entries in json.loads(message.payload, parse_float=Decimal).items():
                assert node in named
                for entry in entries:
                    found |= {(node, name, entry["ts"]): Decimal(v) for name, v in entry["values"].items()}
        return [Held(*key, number) for key, number in found.items()]
