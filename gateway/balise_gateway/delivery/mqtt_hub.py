"""One MQTT connection for the hubs that speak it: publish with QoS 1, and know what became of each message.

Promises that a message counts as handed over only after a PUBACK whose reason says success (MQTT 5.0 section 3.4.2.1;
a 3.1.1 broker gives no reason, so a message that its rules drop looks delivered); that an answer "not authorised" is
HubDenied and silence is HubAway; that a broken connection is made anew by the next call, with nothing of the old one in
its queue; and that no secret is in a message or a repr. Leaves topics and payloads to the kinds.

paho-mqtt is used below aiomqtt's surface because that hides the reason of a PUBACK.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from balise_gateway.errors import HubAway, HubDenied, HubError, HubRefused, HubTooLarge, MissingExtra
from balise_gateway.hubs import HubSettings
from balise_gateway.settings import Key

if TYPE_CHECKING:
    import paho.mqtt.client as paho
    from paho.mqtt.reasoncodes import ReasonCode

QOS = 1
FAREWELL_S = 2.0
MAX_QUEUED = 1_000  # messages from the broker that nobody has read yet; more are dropped
_HEADER_BYTES = 256  # what a PUBLISH may have beside topic and payload
# MQTT 5.0 section 2.4; paho gives the return codes of 3.1.1 the same numbers
_DENIED = {0x85, 0x86, 0x87, 0x8A, 0x8C}  # client id, password, not authorised, banned, authentication method
_NOBODY = 0x10  # no matching subscribers: delivered to nobody, which a request cannot use
_TOO_LARGE = 0x95
_BROKEN = -1  # no reason of MQTT: the connection ended before an answer came
_BAD_MESSAGE = {0x90, 0x99, 0x9A}  # topic name, payload format, retain not supported


@dataclass(frozen=True, kw_only=True)
class BrokerSettings(HubSettings):
    """What every [[hub]] behind an MQTT broker has."""

    host: Annotated[str, Key("the broker's name or address")]
    port: Annotated[int, Key("the broker's TCP port; with TLS usually 8883", least=1, most=65_535)] = 1883
    tls: Annotated[bool, Key("speak TLS, and check the broker's certificate")] = False
    ca_file: Annotated[Path | None, Key("trust the certificates in this file instead of the system's")] = None
    version: Annotated[Literal["5", "3.1.1"], Key("of MQTT; 3.1.1 cannot say that a message was dropped")] = "5"
    client_id: Annotated[str | None, Key("at the broker; unset: made of the gateway's key id and the log")] = None
    keepalive_s: Annotated[int, Key("how often the broker hears from the gateway", least=5, most=65_535)] = 60
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 30.0


@dataclass(frozen=True, kw_only=True)
class LoginSettings(BrokerSettings):
    """A broker that asks for a name and a password."""

    user: Annotated[str | None, Key("the gateway's user name at the broker")] = None
    password: Annotated[str | None, Key("the gateway's password at the broker")] = field(default=None, repr=False)


@dataclass(frozen=True)
class Message:
    """What to publish. `row` is the one row of the batch that it tells, None when it tells several.

    `nonce` goes along as correlation data (MQTT 5.0 section 3.3.2.3.6), and makes it a request: it expires when nobody
    waits for the answer any more.
    """

    topic: str
    payload: bytes
    retain: bool = False
    row: int | None = None
    nonce: bytes | None = None


@dataclass(frozen=True)
class Came:
    """A message from the broker; `nonce` and `words` (user properties) only with MQTT 5."""

    topic: str
    payload: bytes
    retained: bool = False
    nonce: bytes | None = None
    words: dict[str, str] = field(default_factory=dict)


def client_id(settings: BrokerSettings, identity: bytes) -> str:
    """At most 23 characters while the log's number has at most 4 digits, as 3.1.1 demands of servers."""
    return settings.client_id or f"b-{identity.hex()}-{settings.log}"


class Broker:
    """One client of one broker. Builds only; the first call connects. `password` stays inside."""

    def __init__(
        self,
        settings: BrokerSettings,
        identity: bytes,
        user: str | None = None,
        password: str | None = None,
        will: Message | None = None,
    ) -> None:
        self._settings, self._will, self._login = settings, will, (user, password)
        self._client_id = client_id(settings, identity)
        self._session: _Session | None = None

    async def connect(self, topics: Sequence[str] = ()) -> bool:
        """Makes sure of a connection that is subscribed to these topics; True when it is a new one."""
        if self._session is not None and self._session.is_up:
            return False
        self._drop()
        session = self._session = _Session(self._settings, self._client_id, self._login, self._will)
        await self._in_time(session.open(topics))
        return True

    async def publish(self, messages: Sequence[Message]) -> int:
        """Returns the bytes of the payloads once the broker has acknowledged all of them.

        Raises HubAway, HubDenied, HubTooLarge; HubRefused for messages that tell one row each.
        """
        await self.connect()
        assert self._session is not None
        reasons = await self._in_time(self._session.publish(messages))
        denied = [reason for reason in reasons if reason in _DENIED]
        if denied:
            raise HubDenied(f"the broker does not let this gateway publish to {messages[0].topic!r}; see its rules")
        if any(reason == _NOBODY and message.nonce for reason, message in zip(reasons, messages, strict=True)):
            raise HubAway(f"the broker is there, but nobody listens to {messages[0].topic!r}")
        bad = {index: reason for index, reason in enumerate(reasons) if reason >= 0x80}
        if bad:
            raise _refusal(messages, bad)
        return sum(len(message.payload) for message in messages)

    async def receive(self) -> Came:
        """The next message of the topics subscribed to; waits for ever. Raises HubAway when the connection breaks."""
        if self._session is None:
            raise HubAway("no connection to the broker")
        return await self._session.receive()

    async def close(self, farewell: Message | None = None) -> None:
        """Says farewell if there is a connection, and ends it; may be called twice."""
        session = self._session
        try:
            if session is not None and session.is_up and farewell is not None:
                async with asyncio.timeout(FAREWELL_S):
                    await session.publish([farewell])
        except (TimeoutError, HubError):
            return  # the will says the same
        finally:
            self._drop()

    async def _in_time(self, work: Any) -> Any:
        """What is not done in time is given up together with the connection: its state is not known."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await work
        except TimeoutError as error:
            self._drop()
            raise HubAway(f"no answer from the broker within {self._settings.timeout_s:g} s") from error
        except (HubAway, HubDenied):
            self._drop()
            raise

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()


class _Session:
    """One connection, from its beginning to its end, on the running event loop."""

    def __init__(
        self, settings: BrokerSettings, name: str, login: tuple[str | None, str | None], will: Message | None
    ) -> None:
        self._settings, self._loop = settings, asyncio.get_running_loop()
        self._connected: asyncio.Future[int] = self._loop.create_future()
        self._gone = ""  # why it ended
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._came: asyncio.Queue[Came | None] = asyncio.Queue()
        self._misc: asyncio.Task[None] | None = None
        self._client = self._make(name, login, will)

    @property
    def is_up(self) -> bool:
        return self._connected.done() and not self._gone

    async def open(self, topics: Sequence[str]) -> None:
        settings = self._settings
        connect = self._client.connect
        try:
            await self._loop.run_in_executor(None, connect, settings.host, settings.port, settings.keepalive_s)
        except OSError as error:
            raise HubAway(f"no connection to {settings.host}:{settings.port}: {error.strerror or error}") from error
        self._misc = self._loop.create_task(self._look_after())
        await self._connected
        for topic in topics:
            _, mid = self._client.subscribe(topic, QOS)
            if await self._answer(mid or 0) >= 0x80:
                raise HubDenied(f"the broker does not let this gateway listen to {topic!r}; see its rules")

    async def publish(self, messages: Sequence[Message]) -> list[int]:
        """The reason code of each PUBACK; a message over the broker's own limit is not even sent."""
        answers: list[int | asyncio.Future[int]] = []
        for message in messages:
            if len(message.topic) + len(message.payload) + _HEADER_BYTES > self._connected.result() > 0:
                answers.append(_TOO_LARGE)
                continue
            properties = None if message.nonce is None else _request(message.nonce, self._settings.timeout_s)
            info = self._client.publish(message.topic, message.payload, QOS, message.retain, properties)
            answers.append(self._waiting.setdefault(info.mid, self._loop.create_future()))
        return [answer if isinstance(answer, int) else self._alive(await answer) for answer in answers]

    async def receive(self) -> Came:
        found = await self._came.get()
        if found is None:
            self._came.put_nowait(None)  # for whoever asks again
            raise HubAway(f"the connection to the broker broke: {self._gone}")
        return found

    def end(self) -> None:
        self._client.disconnect()
        if self._misc is not None:
            self._misc.cancel()
        self._break("closed")

    async def _answer(self, mid: int) -> int:
        return self._alive(await self._waiting.setdefault(mid, self._loop.create_future()))

    def _alive(self, reason: int) -> int:
        if reason == _BROKEN:
            raise HubAway(f"the connection to the broker broke: {self._gone}")
        return reason

    async def _look_after(self) -> None:
        """Keeps the connection alive. The broker waits for one and a half times the keep-alive."""
        while self._client.loop_misc() == 0:
            await asyncio.sleep(self._settings.keepalive_s / 4)

    def _make(self, name: str, login: tuple[str | None, str | None], will: Message | None) -> "paho.Client":
        library, settings = _library(), self._settings
        version = library.MQTTv5 if settings.version == "5" else library.MQTTv311
        client: paho.Client = library.Client(library.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
        if login[0] is not None:
            client.username_pw_set(*login)
        if settings.tls:
            import ssl

            client.tls_set_context(ssl.create_default_context(cafile=settings.ca_file))
        if will is not None:
            client.will_set(will.topic, will.payload, QOS, will.retain)
        client.connect_timeout = settings.timeout_s
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        client.on_subscribe = self._on_subscribe
        soon = self._loop.call_soon_threadsafe  # connecting calls these from the thread that waits for the network
        client.on_socket_open = lambda _, __, sock: _unsaid(soon(self._listen, sock))
        client.on_socket_close = lambda _, __, sock: self._forget(sock)
        client.on_socket_register_write = lambda _, __, sock: _unsaid(soon(self._wants_to_write, sock))
        client.on_socket_unregister_write = lambda _, __, sock: _unsaid(self._loop.remove_writer(sock))
        return client

    def _listen(self, sock: Any) -> None:
        if self._gone:  # the wait for it was given up meanwhile
            self._client.disconnect()
        elif sock.fileno() >= 0:
            self._loop.add_reader(sock, self._read, sock)

    def _wants_to_write(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.add_writer(sock, self._client.loop_write)

    def _read(self, sock: Any) -> None:
        """All that has come: the event loop does not see what TLS has decrypted already."""
        self._client.loop_read()
        while self._client.socket() is not None and self._settings.tls and sock.pending():
            self._client.loop_read()

    def _forget(self, sock: Any) -> None:
        """Before the socket's number can be given to another."""
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: "ReasonCode", told: Any) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            denied = reason.value in _DENIED
            error = HubDenied if denied else HubAway
            self._connected.set_exception(error(f"the broker does not let this gateway in: {reason}"))
        else:
            self._connected.set_result(getattr(told, "MaximumPacketSize", 0) if told is not None else 0)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: object, ____: Any) -> None:
        self._break(str(reason))

    def _on_publish(self, _: Any, __: Any, mid: int, reason: "ReasonCode", ___: Any) -> None:
        self._settle(mid, reason.value)

    def _on_subscribe(self, _: Any, __: Any, mid: int, reasons: "list[ReasonCode]", ___: Any) -> None:
        self._settle(mid, max(reason.value for reason in reasons))

    def _on_message(self, _: Any, __: Any, message: "paho.MQTTMessage") -> None:
        told = message.properties
        words = dict(getattr(told, "UserProperty", ()) if told is not None else ())
        nonce = getattr(told, "CorrelationData", None)
        came = Came(message.topic, bytes(message.payload), message.retain, nonce, words)
        if self._came.qsize() < MAX_QUEUED:
            self._came.put_nowait(came)

    def _settle(self, mid: int, reason: int) -> None:
        future = self._waiting.pop(mid, None)
        if future is not None and not future.done():
            future.set_result(reason)

    def _break(self, why: str) -> None:
        """Whoever waits for something learns that it will not come."""
        if self._gone:
            return
        self._gone = why
        if not self._connected.done():
            self._connected.set_exception(HubAway(f"the connection to the broker broke: {why}"))
            self._connected.exception()  # it is no fault when nobody waits any more
        for mid in list(self._waiting):
            self._settle(mid, _BROKEN)
        self._came.put_nowait(None)


def _refusal(messages: Sequence[Message], bad: dict[int, int]) -> HubError:
    rows = {messages[index].row for index in bad}
    if None not in rows and all(reason == _TOO_LARGE or reason in _BAD_MESSAGE for reason in bad.values()):
        reasons = {messages[index].row or 0: _name(reason) for index, reason in bad.items()}
        return HubRefused(f"the broker refused {len(reasons)} rows", reasons)
    first = min(bad.values())
    if _TOO_LARGE in bad.values():
        return HubTooLarge("the broker takes smaller messages only")
    return HubRefused(_name(first), {}) if first in _BAD_MESSAGE else HubAway(f"the broker answered: {_name(first)}")


def _name(reason: int) -> str:
    """The broker's word for what it has against a message."""
    return {_TOO_LARGE: "too large for the broker", 0x90: "the topic's name", 0x99: "the payload's format"}.get(
        reason, f"MQTT reason {reason:#x}"
    )


def _unsaid(_: object) -> None:
    """paho's callbacks return nothing."""


def _request(nonce: bytes, timeout_s: float) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.CorrelationData = nonce
    properties.MessageExpiryInterval = math.ceil(timeout_s)
    return properties


def _library() -> ModuleType:
    try:
        import paho.mqtt.client as library
    except ImportError as error:
        raise MissingExtra("a hub behind an MQTT broker", "paho-mqtt", "gateway") from error
    return library
