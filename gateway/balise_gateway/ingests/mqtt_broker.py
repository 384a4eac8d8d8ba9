"""MQTT through an external broker (mosquitto and others), by paho.

Promises that a message of QoS 1 is acknowledged to the broker after the gateway's commit, and that the broker keeps the
gateway's session meanwhile: what was not committed comes again after a cut, a kill or a restart. A message that the
broker has retained from some time ago is marked as OLD. Leaves the messages' contents to others.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

from balise_gateway.errors import MissingExtra
from balise_gateway.ingests import AGAIN, OLD, SOON, UP_FILTER, Listen, Take, Token, down_topic
from balise_gateway.log import event
from balise_gateway.mqtt.topics import valid_filter
from balise_gateway.settings import Key

if TYPE_CHECKING:
    import paho.mqtt.client as paho

MAX_QUEUED = 10_000  # answers while the broker is away; what does not fit is dropped, counted, and asked for again
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
LOOK_S = 5.0  # how often paho looks at its keep-alive
USUAL_WINDOW, NEARLY_FULL, LARGE_WINDOW = 20, 16, 768  # of brokers: mosquitto sends 20 before it waits


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[ingest]] with kind = "mqtt_broker"."""

    kind: Annotated[str, Key("how frames arrive")]
    host: Annotated[str, Key("the broker's name or address")]
    port: Annotated[int, Key("the broker's TCP port", least=1, most=65_535)] = 1883
    user: Annotated[str | None, Key("the gateway's user name at the broker")] = None
    password: Annotated[str | None, Key("the gateway's password at the broker")] = field(default=None, repr=False)
    client_id: Annotated[str, Key("the gateway's client id at the broker, which keeps its session")] = "balise-gateway"
    topic_filter: Annotated[str, Key("what to subscribe to; several with spaces between them")] = UP_FILTER
    tls: Annotated[bool, Key("speak TLS, and check the broker's certificate")] = False
    keepalive_s: Annotated[int, Key("how often the broker hears from the gateway", least=5, most=65_535)] = 60

    def problem(self) -> str | None:
        wrong = [text for text in self.topic_filter.split() if not valid_filter(text)]
        if wrong or not self.topic_filter.split():
            return f"topic_filter = {self.topic_filter!r}: {(wrong or ['nothing'])[0]!r} is not a topic filter"
        return None


class Ingest:
    """One connection to a broker, made again whenever it breaks."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self._settings = settings
        self._answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_QUEUED)
        self._state = "starting"
        self._counters: Counter[str] = Counter()
        self._session: _Session | None = None

    async def run(self, take: Take) -> None:
        retry_s = FIRST_RETRY_S
        try:
            while True:
                was_up = await self._connected(take)
                retry_s = FIRST_RETRY_S if was_up else min(retry_s * 2, LAST_RETRY_S)
                await asyncio.sleep(retry_s)
        finally:
            self._state = "stopped"

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        """Acknowledges to the broker; what was not taken makes a new connection, on which the broker sends it again."""
        cut: dict[_Session, None] = {}
        for session, packet_id in tokens:
            session.in_flight -= 1
            if committed:
                session.acknowledge(packet_id)
            else:
                cut[session] = None
        for session in cut:
            session.end("a message was not taken")

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

    async def _connected(self, take: Take) -> bool:
        """One connection, from its beginning to its end; returns whether it was up."""

        def arrived(session: "_Session", message: "paho.MQTTMessage") -> None:
            self._counters["messages"] += 1
            token = (session, message.mid) if message.qos else None
            take(self, message.topic, bytes(message.payload), token, session.marks_of(message))

        session = _Session(self._settings, arrived)
        sender = asyncio.create_task(self._send_answers(session))
        try:
            await session.open()
            self._state = "up"
            event("ingest subscribed", kind=self._settings.kind, where=self._where())
            why = await session.ended
        except OSError as error:
            why = str(error.strerror or error)
        finally:
            sender.cancel()
            session.close()
        was_up = self._state == "up"
        self._state = f"away: {why}"
        self._counters["disconnected"] += 1
        event("ingest away", where=self._where(), why=why)
        return was_up

    async def _send_answers(self, session: "_Session") -> None:
        await session.subscribed
        while True:
            topic, sealed = await self._answers.get()
            session.publish(topic, sealed)


class _Session:
    """One TCP connection, driven by the event loop; only looking up and connecting happen in a thread."""

    def __init__(self, settings: Settings, arrived: Callable[["_Session", "paho.MQTTMessage"], None]) -> None:
        self._settings, self._loop = settings, asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.subscribed: asyncio.Future[None] = self._loop.create_future()
        self.in_flight = 0
        self._full_at = NEARLY_FULL
        self._client = self._made(arrived)
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connects and subscribes. Raises OSError."""
        settings = self._settings
        await self._loop.run_in_executor(None, self._client.connect, settings.host, settings.port, settings.keepalive_s)
        self._look()
        both: list[asyncio.Future[Any]] = [self.subscribed, self.ended]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if self.ended.done():
            raise OSError(self.ended.result())

    def marks_of(self, message: "paho.MQTTMessage") -> int:
        marks = (AGAIN if message.dup else 0) | (OLD if message.retain else 0)
        if not message.qos:
            return marks
        if self.in_flight > USUAL_WINDOW:
            self._full_at = LARGE_WINDOW
        self.in_flight += 1
        return marks | (SOON if self.in_flight == self._full_at else 0)

    def acknowledge(self, packet_id: int) -> None:
        if not self.ended.done():
            self._client.ack(packet_id, 1)

    def publish(self, topic: str, payload: bytes) -> None:
        if not self.ended.done():
            self._client.publish(topic, payload, qos=0)

    def end(self, why: str) -> None:
        """Over, as if the connection had broken: the broker keeps the session."""
        if not self.ended.done():
            self.ended.set_result(why)

    def close(self) -> None:
        """Closes the socket without a DISCONNECT for what is not acknowledged."""
        self.end("closed")
        if self._timer is not None:
            self._timer.cancel()
        for waiting in (self.subscribed, self.ended):
            if not waiting.done():
                waiting.cancel()
        client = self._client  # which calls back when it is collected, too: then there may be no loop any more
        client.on_socket_open = client.on_socket_close = None
        client.on_socket_register_write = client.on_socket_unregister_write = None
        client.on_message = client.on_disconnect = None
        found = client.socket()
        if found is not None:
            self._loop.remove_reader(found)
            self._loop.remove_writer(found)
            found.close()

    def _made(self, arrived: Callable[["_Session", "paho.MQTTMessage"], None]) -> "paho.Client":
        settings, library = self._settings, _library()
        client: paho.Client = library.Client(
            library.CallbackAPIVersion.VERSION2,
            settings.client_id,
            clean_session=False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if settings.user is not None:
            client.username_pw_set(settings.user, settings.password)
        if settings.tls:
            client.tls_set_context(ssl.create_default_context())
        client.max_queued_messages_set(MAX_QUEUED)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = lambda *told: self.end(str(told[3]))
        client.on_message = lambda _client, _data, message: arrived(self, message)
        client.on_socket_open = lambda _client, _data, found: self._soon(self._loop.add_reader, found, self._read)
        client.on_socket_close = lambda _client, _data, found: self._soon(self._loop.remove_reader, found)
        client.on_socket_register_write = lambda _client, _data, found: self._soon(
            self._loop.add_writer, found, self._write
        )
        client.on_socket_unregister_write = lambda _client, _data, found: self._soon(self._loop.remove_writer, found)
        return client

    def _soon(self, do: Callable[..., Any], found: Any, *more: Any) -> None:
        """In the loop's thread: paho calls back in that of `connect`, too."""

        def if_open() -> None:
            if found.fileno() >= 0:
                do(found, *more)

        self._loop.call_soon_threadsafe(if_open)

    def _on_connect(self, client: "paho.Client", _data: object, _flags: object, reason: Any, _more: object) -> None:
        if reason.is_failure:
            self.end(str(reason))
        else:
            client.subscribe([(text, 1) for text in self._settings.topic_filter.split()])

    def _on_subscribe(self, *_: object) -> None:
        if not self.subscribed.done():
            self.subscribed.set_result(None)

    def _read(self) -> None:
        self._client.loop_read(MAX_QUEUED)

    def _write(self) -> None:
        self._client.loop_write()

    def _look(self) -> None:
        self._client.loop_misc()
        self._timer = self._loop.call_later(min(LOOK_S, self._settings.keepalive_s / 4), self._look)


def _library() -> ModuleType:
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise MissingExtra('an ingest of kind "mqtt_broker"', "paho-mqtt", "gateway") from error
    return paho.mqtt.client
