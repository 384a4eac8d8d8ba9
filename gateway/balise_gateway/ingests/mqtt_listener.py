"""MQTT without a broker: nodes connect to the gateway itself.

Promises a PUBACK for QoS 1 only after the gateway's commit. It is no broker: what a client publishes goes to the
gateway and to nobody else, and subscribers get what the gateway sends. Leaves packets and connections to
`balise_gateway.mqtt`.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from balise_gateway.ingests import Listen, Take, Token, down_topic
from balise_gateway.ingests._port import NOBODY, Logins, open_port
from balise_gateway.log import event
from balise_gateway.mqtt.core import Limits, Message
from balise_gateway.mqtt.listener import Listener
from balise_gateway.mqtt.listener import Token as MqttToken
from balise_gateway.settings import Key


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[ingest]] with kind = "mqtt_listener"."""

    kind: Annotated[str, Key("how frames arrive")]
    host: Annotated[str, Key("the address to listen on; 0.0.0.0 is every network")] = "0.0.0.0"
    port: Annotated[int, Key("the TCP port to listen on", least=0, most=65_535)] = 1883
    users: Annotated[dict[str, str], Key("who may connect: [ingest.users] with one name and password per line")] = (
        field(default_factory=dict, repr=False)
    )
    anonymous: Annotated[bool, Key("let nodes in without a name; frames are sealed, floods are not")] = False
    max_packet_bytes: Annotated[int, Key("the largest MQTT packet", least=256, most=1_048_576)] = 65_536
    max_in_flight: Annotated[int, Key("unacknowledged messages per connection", least=1, most=65_535)] = 1_024
    max_connections: Annotated[int, Key("connections at once", least=1, most=10_000)] = 256
    rate_per_s: Annotated[float, Key("messages per second and connection; faster clients are slowed", least=1.0)] = (
        1_000.0
    )

    @property
    def listens_on(self) -> tuple[str, int]:
        """The address and the port that this ingest takes."""
        return self.host, self.port

    def problem(self) -> str | None:
        if self.users or self.anonymous:
            return None
        return NOBODY


class Ingest:
    """One port with its connections."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self._settings, self._listen = settings, listen
        limits = Limits(settings.max_packet_bytes, settings.max_in_flight, settings.rate_per_s)
        logins = Logins(settings.users, settings.anonymous)
        self._listener = Listener(limits, logins.allow, self._pass_on, settings.max_connections)
        self._take: Take | None = None
        self._state, self._port = "starting", settings.port

    async def run(self, take: Take) -> None:
        self._take = take
        server = await self._open()
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            self._state = "stopped"
            server.close()
            self._listener.close()

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        self._listener.release(tokens, committed)

    def answer(self, kid: bytes, sealed: bytes) -> None:
        self._listener.publish(down_topic(kid), sealed)

    def status(self) -> dict[str, object]:
        counters: dict[str, int] = dict(sorted(self._listener.counters.items()))
        where = f"{self._settings.host}:{self._port}"
        return {
            "kind": self._settings.kind,
            "state": self._state,
            "where": where,
            "connected": len(self._listener),
            "counters": counters,
        }

    async def _open(self) -> asyncio.Server:
        """Listens, as soon as the port is free and the address is there."""
        settings = self._settings
        server, self._port = await open_port(
            self._listen, self._listener.connect, settings.host, settings.port, self._waits
        )
        self._state = "up"
        event("ingest listens", kind=settings.kind, host=settings.host, port=self._port)
        return server

    def _waits(self, why: str) -> None:
        self._state = why

    def _pass_on(self, message: Message, token: MqttToken | None) -> None:
        if self._take is not None:
            self._take(self, message.topic, message.payload, token, message.marks)
