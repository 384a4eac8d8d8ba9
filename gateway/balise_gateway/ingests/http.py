"""Messages that are posted over HTTP: Sensor.Community stations, web hooks of network servers.

Promises an answer only after the gateway's commit: 201 when the message is on disk (or refused, and kept with its
reason), 503 with Retry-After when it could not be taken. A message's source is its path and query; the headers X-Sensor
and X-PIN, by which stations say who they are, are put into the query. Leaves what bodies mean to `sources/`. Frames of
nodes may come this way too, but no answer goes back: nodes want MQTT.
"""

import asyncio
import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlencode

from balise_gateway import serving
from balise_gateway.ingests import SOON, Listen, Take, Token
from balise_gateway.ingests._port import NOBODY, Logins, open_port
from balise_gateway.log import event
from balise_gateway.settings import Key

HEADERS = ("x-sensor", "x-pin")
MAX_ADDRESS_BYTES = 512
RETRY_AFTER_S = 60
Answer = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[ingest]] with kind = "http"."""

    kind: Annotated[str, Key("how frames arrive")]
    host: Annotated[str, Key("the address to listen on; 0.0.0.0 is every network")] = "0.0.0.0"
    port: Annotated[int, Key("the TCP port to listen on", least=0, most=65_535)] = 8081
    users: Annotated[dict[str, str], Key("who may post, by basic authentication, as of mqtt_listener")] = field(
        default_factory=dict, repr=False
    )
    anonymous: Annotated[bool, Key("let anybody post; sources list who is read, floods do not ask")] = False
    max_body_bytes: Annotated[int, Key("the largest body", least=256, most=1_048_576)] = 65_536
    max_waiting: Annotated[int, Key("requests that wait for the commit at once", least=1, most=10_000)] = 256
    answer_within_s: Annotated[float, Key("who waited so long for the commit is told to come again", least=1.0)] = 10.0

    @property
    def listens_on(self) -> tuple[str, int]:
        """The address and the port that this ingest takes."""
        return self.host, self.port

    def problem(self) -> str | None:
        return None if self.users or self.anonymous else NOBODY


class Ingest:
    """One port for all paths."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self._settings, self._listen = settings, listen
        self._logins = Logins(settings.users, settings.anonymous)
        self._counters: Counter[str] = Counter()
        self._take: Take | None = None
        self._waiting = 0
        self._state, self._port = "starting", settings.port

    async def run(self, take: Take) -> None:
        self._take = take
        factory, connections = serving.protocol(self._app, 'an ingest of kind "http"')
        settings = self._settings
        server, self._port = await open_port(self._listen, factory, settings.host, settings.port, self._waits)
        self._state = "up"
        event("ingest listens", kind=settings.kind, host=settings.host, port=self._port)
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            self._state = "stopped"
            server.close()
            for connection in list(connections):
                connection.shutdown()

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        for token in tokens:
            if not token.done():  # else its client has gone, or was told to come again
                token.set_result(committed)

    def answer(self, kid: bytes, sealed: bytes) -> None:
        self._counters["answers_dropped"] += 1

    def status(self) -> dict[str, object]:
        counters: dict[str, int] = dict(sorted(self._counters.items()))
        where = f"{self._settings.host}:{self._port}"
        return {"kind": self._settings.kind, "state": self._state, "where": where, "counters": counters}

    def _waits(self, why: str) -> None:
        self._state = why

    async def _app(self, scope: Mapping[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        """An ASGI application (asgi.readthedocs.io, HTTP)."""
        status, text = await self._answered(scope, receive)
        self._counters[f"answered_{status}"] += 1
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if status == 503:
            headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        elif status == 401:
            headers.append((b"www-authenticate", b'Basic realm="balise"'))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})

    async def _answered(self, scope: Mapping[str, Any], receive: Callable[[], Any]) -> Answer:
        if scope["method"] != "POST":
            return 405, "POST messages here\n"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._logins.allow(*_login(headers.get("authorization", ""))):
            return 401, "no such user, or another password\n"
        address = _address(scope, headers)
        if len(address) > MAX_ADDRESS_BYTES:
            return 414, "the address is too long\n"
        body = await self._body(receive)
        if body is None:
            return 413, f"at most {self._settings.max_body_bytes} bytes\n"
        if self._waiting >= self._settings.max_waiting:
            return 503, "too many wait; come again\n"
        return await self._committed(address, body)

    async def _body(self, receive: Callable[[], Any]) -> bytes | None:
        body = bytearray()
        while True:
            part = await receive()
            body += part.get("body", b"")
            if len(body) > self._settings.max_body_bytes:
                return None
            if not part.get("more_body"):
                return bytes(body)

    async def _committed(self, address: str, body: bytes) -> Answer:
        token: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        assert self._take is not None
        self._waiting += 1
        self._take(self, address, body, token, SOON)
        try:
            async with asyncio.timeout(self._settings.answer_within_s):
                committed = await token
        except TimeoutError:
            committed = False
        finally:
            self._waiting -= 1
        return (201, "kept\n") if committed else (503, "not kept; come again\n")


def _address(scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The path and query, with what headers say of the sender."""
    told = urlencode([(name, headers[name]) for name in HEADERS if name in headers])
    query = "&".join(part for part in (scope["query_string"].decode("latin-1"), told) if part)
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _login(header: str) -> tuple[str | None, bytes | None]:
    """(user, password) of basic authentication, RFC 7617; (None, None) without."""
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        user, _, password = base64.b64decode(coded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", None
    return user.decode("utf-8", "replace"), password
