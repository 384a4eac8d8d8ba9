"""A broker, and an eye on it that knows entities and their states as Home Assistant's discovery says."""

import json
import re
from decimal import Decimal
from random import Random
from typing import Any

from balise_gateway import hubs, plugins
from balise_gateway.hubs import RowHub
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._mosquitto import MqttFarEnd

CONFIG = re.compile(r"homeassistant/sensor/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")  # all that it takes there


class FarEnd(MqttFarEnd):
    time_step_ms = 0
    shows_now = True

    def hub(self, **settings: Any) -> RowHub:
        kind = plugins.load(hubs, "home_assistant")
        words: dict[str, Any] = {"name": "h", "kind": "home_assistant", "log": LOG, **self.login()}
        made: RowHub = kind.Hub(kind.Settings(**(words | settings)), GATEWAY.kid, None, Random(1))
        return made

    def entities(self) -> dict[str, dict[str, Any]]:
        """What is announced and not taken back, by topic."""
        found: dict[str, dict[str, Any]] = {}
        for message in self.heard():
            if CONFIG.fullmatch(message.topic):
                assert message.retained
                found.pop(message.topic, None)
                found |= {message.topic: json.loads(message.payload)} if message.payload else {}
        return found

    def states(self) -> dict[str, str]:
        """The newest message of each topic."""
        return {message.topic: message.payload.decode() for message in self.heard()}

    def held(self) -> list[Held]:
        states = self.states()
        return [
            Held(entity["device"]["identifiers"][0], topic.split("/")[3], None, Decimal(states[entity["state_topic"]]))
            for topic, entity in self.entities().items()
        ]
