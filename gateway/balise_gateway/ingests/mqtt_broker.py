"""MQTT through an external broker (mosquitto and others), by aiomqtt.

What is and is not proof here: aiomqtt acknowledges a QoS 1 message to the broker when it arrives, and offers no public
way to do that later, so the broker may forget a message that the gateway has not committed yet. Nothing is lost by
it: a node keeps every frame until the gateway's sealed acknowledgement, which is sent after the commit, and sends it
again until then. For the same reason no session is kept at the broker. Leaves the frames' contents to others.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

from balise_gateway.errors import MissingExtra
from balise_gateway.ingests import UP_FILTER, Listen, Take, Token, down_topic
from balise_gateway.log import event
from balise_gateway.settings import Key

if TYPE_CHECKING:
    import aiomqtt

MAX_QUEUED = 10_000  # in each direction; what does not fit is dropped, counted, and sent again by its node
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[ingest]] with kind = "mqtt_broker"."""

    kind: Annotated[str, Key("how frames arrive")]
    host: Annotated[str, Key("the broker's name or address")]
    port: Annotated[int, Key("the broker's TCP port", least=1, most=65_535)] = 1883
    user: Annotated[str | None, Key("the gateway's user name at the broker")] = None
    password: Annotated[str | None, Key("the gateway's password at the broker")] = field(default=None, repr=False)
    client_id: Annotated[str, Key("the gateway's client id at the broker")] = "balise-gateway"
    topic_filter: Annotated[str, Key("what to subscribe to")] = UP_FILTER
    tls: Annotated[bool, Key("speak TLS, and check the broker's certificate")] = False
    keepalive_s: Annotated[int, Key("how often the broker hears from the gateway", least=5, most=65_535)] = 60


class Ingest:
    """One connection to a broker, made again whenever it breaks."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self._settings = settings
        self._answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_QUEUED)
        self._state = "starting"
        self._counters: Counter[str] = Counter()

    async def run(self, take: Take) -> None:
        retry_s = FIRST_RETRY_S
        try:
            while True:
                was_up = await self._session(take)
                retry_s = FIRST_RETRY_S if was_up else min(retry_s * 2, LAST_RETRY_S)
                await asyncio.sleep(retry_s)
        finally:
            self._state = "stopped"

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        """Nothing to do: the library has acknowledged to the broker already (see the module's text)."""

    def answer(self, kid: bytes, sealed: bytes) -> None:
        try:
            self._answers.put_nowait((down_topic(kid), sealed))
        except asyncio.QueueFull:
            self._counters["answers_dropped"] += 1

    def status(self) -> dict[str, object]:
        counters: dict[str, int] = dict(sorted(self._counters.items()))
        return {"kind": self._settings.kind, "state": self._state, "where": self._where(), "counters": counters}

    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _client(self) -> "aiomqtt.Client":
        import ssl

        settings = self._settings
        client: aiomqtt.Client = _library().Client(
            settings.host,
            settings.port,
            username=settings.user,
            password=settings.password,
            identifier=settings.client_id,
            clean_session=True,
            keepalive=settings.keepalive_s,
            max_queued_incoming_messages=MAX_QUEUED,
            tls_context=ssl.create_default_context() if settings.tls else None,
        )
        return client

    async def _session(self, take: Take) -> bool:
        """One connection, from its beginning to its end; returns whether it was up."""
        was_up = False
        try:
            async with self._client() as client:
                await client.subscribe(self._settings.topic_filter, qos=1)
                self._state, was_up = "up", True
                event("ingest subscribed", kind=self._settings.kind, where=self._where())
                await self._carry(client, take)
        except _library().MqttError as error:
            self._state = f"away: {error}"
            self._counters["disconnected"] += 1
            event("ingest away", where=self._where(), why=error)
        return was_up

    async def _carry(self, client: "aiomqtt.Client", take: Take) -> None:
        """Both directions, until one of them breaks."""
        halves = [asyncio.create_task(self._receive(client, take)), asyncio.create_task(self._send_answers(client))]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.wait(halves)
        for error in [half.exception() for half in halves if not half.cancelled()]:
            if error is not None:
                raise error

    async def _receive(self, client: "aiomqtt.Client", take: Take) -> None:
        async for message in client.messages:
            payload = message.payload
            self._counters["messages"] += 1
            take(self, str(message.topic), payload if isinstance(payload, bytes) else b"", None)

    async def _send_answers(self, client: "aiomqtt.Client") -> None:
        while True:
            topic, sealed = await self._answers.get()
            await client.publish(topic, sealed, qos=0)


def _library() -> ModuleType:
    try:
        import aiomqtt
    except ImportError as error:
        raise MissingExtra('an ingest of kind "mqtt_broker"', "aiomqtt", "gateway") from error
    return aiomqtt
