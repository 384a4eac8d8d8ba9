"""A real mosquitto, and an eye on it that knows tag scanners and events as Home Assistant's discovery says."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from balise_gateway.badges.connectors import Connector, home_assistant
from contracts.connector_ends import secret
from contracts.far_ends._mosquitto import PASSWORD, USER, MqttFarEnd

CONFIG = re.compile(r"homeassistant/(tag|event)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")  # all that it takes there


class End(MqttFarEnd):
    answers: ClassVar[Mapping[str, bool]] = {  # type: ignore[assignment]
        "no connection": True,
        "silence": True,
        "wrong password": False,
        "not allowed": False,
    }
    secrets = (PASSWORD, "swordfish-8")
    counts_usages = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.answer = "ok"

    def settings(self, **settings: Any) -> home_assistant.Settings:
        words: dict[str, Any] = {"kind": "home_assistant", "host": "127.0.0.1", "port": self.broker.port}
        words |= {"user": USER, "password_file": secret(self.folder, PASSWORD), "timeout_s": 20.0}
        return home_assistant.Settings(**(words | settings))

    def connector(self, **settings: Any) -> Connector:
        return home_assistant.Connector(self.settings(**settings), None, announced_s=0.0)

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        secret(self.folder, "swordfish-8" if word == "wrong password" else PASSWORD)
        if word not in ("silence", self._answer):
            self._mute()
            self.broker.stop()
        self.broker.rights = "read" if word == "not allowed" else "readwrite"
        MqttFarEnd.answer.fset(self, word)  # type: ignore[attr-defined]

    def announced(self, part: str) -> dict[str, dict[str, Any]]:
        """What was announced as "tag" or "event", by topic."""
        found = {}
        for message in self.heard():
            match = CONFIG.fullmatch(message.topic)
            if match and match[1] == part:
                assert message.retained
                found[message.topic] = json.loads(message.payload)
        return found

    def taps(self) -> list[str]:
        topics = {config["topic"] for config in self.announced("tag").values()}
        return [
            message.payload.decode() for message in self.heard() if message.topic in topics and not message.retained
        ]

    def events(self) -> list[dict[str, Any]]:
        topics = {config["state_topic"] for config in self.announced("event").values()}
        return [json.loads(message.payload) for message in self.heard() if message.topic in topics]

    def used(self, key: str) -> int:
        return 0

    def credit(self, member: str, half_days: int) -> None:
        raise NotImplementedError
