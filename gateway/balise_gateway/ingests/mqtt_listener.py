"""MQTT without a broker: nodes connect to the gateway itself.

Promises a PUBACK for QoS 1 only after the gateway's commit. It is no broker: what a client publishes goes to the
gateway and to nobody else, and subscribers get what the gateway sends. Leaves packets and connections to
`balise_gateway.mqtt`.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from balise_gateway.ingests import Listen, Take, Token, down_topic
from balise_gateway.ingests._port import NOBODY, Logins, open_port
from balise_gateway.log import event
from balise_gateway.mqtt.core import RETAINED, Doors, Limits, Message
from balise_gateway.mqtt.listener import Listener
from balise_gateway.mqtt.listener import Token as MqttToken
from balise_gateway.mqtt.topics import valid_filter
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
    topics: Annotated[dict[str, str], Key("[ingest.topics]: which filters a user may publish to; others any")] = field(
        default_factory=dict
    )
    tls_certificate: Annotated[Path | None, Key("a PEM file with the certificate and its chain: speak TLS")] = None
    tls_key: Annotated[Path | None, Key("the PEM file with the certificate's key")] = None
    max_packet_bytes: Annotated[int, Key("the largest MQTT packet", least=256, most=1_048_576)] = 65_536
    max_in_flight: Annotated[int, Key("unacknowledged messages per connection", least=1, most=65_535)] = 1_024
    max_connections: Annotated[int, Key("connections at once", least=1, most=10_000)] = 256
    max_waiting: Annotated[int, Key("unacknowledged messages of all connections", least=1, most=16_000)] = 8_192
    rate_per_s: Annotated[float, Key("messages per second and connection; faster clients are slowed", least=1.0)] = (
        1_000.0
    )

    @property
    def listens_on(self) -> tuple[str, int]:
        """The address and the port that this ingest takes."""
        return self.host, self.port

    def problem(self) -> str | None:
        if not self.users and not self.anonymous:
            return NOBODY
        if (self.tls_certificate is None) is not (self.tls_key is None):
            return "tls_certificate and tls_key belong together: give both, or none"
        stranger = next((user for user in self.topics if user not in self.users), None)
        if stranger is not None:
            return f"topics: {stranger} is not one of the users"
        wrong = [text for texts in self.topics.values() for text in texts.split() if not valid_filter(text)]
        return f"topics: {wrong[0]!r} is not a topic filter" if wrong else None


class Ingest:
    """One port with its connections."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self._settings, self._listen = settings, listen
        limits = Limits(settings.max_packet_bytes, settings.max_in_flight, settings.rate_per_s)
        allowed = {user: tuple(texts.split()) for user, texts in settings.topics.items()}
        doors = Doors(Logins(settings.users, settings.anonymous).allow, lambda user: allowed.get(user or ""))
        self._listener = Listener(limits, doors, self._pass_on, settings.max_connections, settings.max_waiting)
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
        certificate = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            certificate = settings.tls_certificate, settings.tls_key
        server, self._port = await open_port(
            self._listen, self._listener.connect, settings.host, settings.port, self._waits, certificate
        )
        self._state = "up"
        event("ingest listens", kind=settings.kind, host=settings.host, port=self._port)
        return server

    def _waits(self, why: str) -> None:
        self._state = why

    def _pass_on(self, message: Message, token: MqttToken | None) -> None:
        if self._take is not None:
            self._take(self, message.topic, message.payload, token, message.marks & ~RETAINED)
