"""The native protocol over a real broker: a hub that paho plays, and that answers what it is told to."""

from pathlib import Path
from random import Random
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubDenied
from balise_gateway.hubs import Hub
from balise_wire.envelope import split_sequence
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._mosquitto import PASSWORD, USER, MqttFarEnd, wait_for
from contracts.far_ends._native import ANSWERS, HUB, kept, reply


class FarEnd(MqttFarEnd):
    answers = {**ANSWERS, "wrong password": HubDenied, "not allowed": HubDenied}  # noqa: RUF012

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.envelopes, self._requests = dict[int, bytes](), 0
        self._hub: paho.Client | None = None

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        self._answer = word
        if word == "no connection":
            self.broker.stop()

    @property
    def requests(self) -> int:
        return self._requests

    def hub(self, **settings: Any) -> Hub:
        kind = plugins.load(hubs, "native_mqtt")
        words: dict[str, Any] = {"name": "h", "kind": "native_mqtt", "log": LOG, "public_key": HUB.public_key}
        made: Hub = kind.Hub(kind.Settings(**(words | self.login() | settings)), GATEWAY.kid, None, Random(1))
        return made

    def held(self) -> list[Held]:
        raise NotImplementedError("it holds envelopes")

    def close(self) -> None:
        if self._hub is not None:
            self._hub.disconnect()
            self._hub.loop_stop()
        super().close()

    def _start(self, *lines: str) -> None:
        self.broker.start(*lines)
        ready: list[object] = []
        self._hub = hub = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="hub", protocol=paho.MQTTv5)
        hub.username_pw_set(USER, PASSWORD)
        hub.on_message, hub.on_subscribe = self._on_batch, lambda *_: ready.append(True)
        hub.on_connect = lambda *_: hub.subscribe("balise/v1/+/batches", 1)
        hub.connect("127.0.0.1", self.broker.port)
        hub.loop_start()
        wait_for(lambda: ready, "the hub listens")

    def _on_batch(self, hub: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        self._requests += 1
        assert message.topic == f"balise/v1/{GATEWAY.kid.hex()}/batches"
        if self._answer == "silence":
            return
        nonce = message.properties.CorrelationData
        self.envelopes |= kept(self._answer, list(split_sequence(bytes(message.payload))))
        status, body, headers = reply(self._answer, nonce)
        properties: Any = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = nonce
        properties.UserProperty = [("status", str(status))] if status != 200 else []
        properties.UserProperty = [("retry-after", text) for text in headers.values()]
        hub.publish(message.topic.replace("/batches", "/ack"), body, 1, properties=properties)
