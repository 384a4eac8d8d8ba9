"""What the far ends over HTTP share: the answers that every hub may give, and requests as people read them.

The table of answers is that of `http_hub.refusal`, told a second time: here it is what the suite expects.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import httpx

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubDenied, HubError, HubRefused, HubTooLarge
from balise_gateway.hubs import RowHub
from contracts.far_ends import GATEWAY, LOG, Held

_UNTOLD = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length"}
COMMON: dict[str, type[HubError]] = {
    "no connection": HubAway,
    "silence": HubAway,
    "later": HubAway,
    "endless": HubAway,
    "a page of the network": HubAway,
    "a redirect": HubAway,
    **{str(status): HubRefused for status in (400, 415, 422)},
    **{str(status): HubDenied for status in (401, 403, 404)},
    **{str(status): HubAway for status in (408, 425, 429, 500, 502, 503, 504)},
    "413": HubTooLarge,
}
SEVERAL: dict[str, type[HubError]] = {**COMMON, "cut in the middle": HubAway}


class HttpFarEnd(httpx.AsyncBaseTransport):
    """A hub over HTTP. A kind says its `kind`, `settings` and `secrets`, and reads a request in `take`."""

    kind: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]]
    answers: ClassVar[Mapping[str, type[HubError]]] = COMMON
    secrets: ClassVar[tuple[str, ...]] = ()
    time_step_ms = 1

    def __init__(self, folder: Path) -> None:
        self.answer, self.requests = "ok", 0
        self.values: list[Held] = []
        self.log: list[tuple[httpx.Request, bytes]] = []

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """What a hub that likes this request answers; it puts what it has understood into `values`."""
        raise NotImplementedError

    def show(self, body: bytes) -> str:
        """A body as text."""
        return body.decode("utf-8")

    def built(self, **settings: Any) -> Any:
        """The settings of this kind."""
        words: dict[str, Any] = {"name": "h", "kind": self.kind, "log": LOG}
        return plugins.load(hubs, self.kind).Settings(**(words | dict(self.settings) | settings))

    def hub(self, **settings: Any) -> RowHub:
        made: RowHub = plugins.load(hubs, self.kind).Hub(self.built(**settings), GATEWAY.kid, self, Random(1))
        return made

    def held(self) -> list[Held]:
        return self.values

    def captured(self) -> str:
        return "\n\n".join(_written(request, self.show(body)) for request, body in self.log) + "\n"

    def close(self) -> None:
        pass

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        body = await request.aread()
        self.log.append((request, body))
        if self.answer == "no connection" or (self.answer == "cut in the middle" and self.requests > 1):
            raise httpx.ConnectError(f"refused: {request.url}")
        if self.answer == "silence":
            await asyncio.get_running_loop().create_future()
        echo = bytes(request.url.query) + repr(request.headers.raw).encode()  # the worst that a hub could say
        others = {
            "later": httpx.Response(503, headers={"Retry-After": "17"}),
            "endless": httpx.Response(500, content=bytes(5 << 20)),
            "a page of the network": httpx.Response(200, html="<html>welcome to the hotel</html>"),
            "a redirect": httpx.Response(302, headers={"Location": "http://portal.example/"}),
        }
        if self.answer.isdigit():
            return httpx.Response(int(self.answer), content=echo)
        return others.get(self.answer) or self.take(request, body)


def number(text: object) -> Decimal:
    """A number as it was written on the wire: `json.loads(..., parse_float=Decimal)` gives such."""
    return Decimal(str(text))


def _written(request: httpx.Request, body: str) -> str:
    heads = [
        f"{name.decode()}: {value.decode()}"
        for name, value in request.headers.raw
        if name.decode().lower() not in _UNTOLD
    ]
    return "\n".join([f"{request.method} {request.url}", *heads, "", body.rstrip("\n")]).rstrip("\n")
