"""What the far ends over HTTP share: the ways in which a server, or the way to it, can fail."""

import asyncio
from collections.abc import Mapping
from typing import ClassVar

import httpx

COMMON: Mapping[str, bool] = {
    "no connection": True,
    "silence": True,
    "500": True,
    "503": True,
    "429": True,
    "a page of the network": True,
    "a redirect": True,
    "no JSON": True,
    "endless": True,
    "401": False,
    "403": False,
}


class HttpEnd(httpx.AsyncBaseTransport):
    """A server. A kind reads a request in `take`."""

    answers: ClassVar[Mapping[str, bool]] = COMMON

    def __init__(self) -> None:
        self.answer, self.requests = "ok", 0
        self.log: list[tuple[httpx.Request, bytes]] = []

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """What the server answers to a request that reached it."""
        raise NotImplementedError

    def changes(self, request: httpx.Request) -> bool:
        """Whether this request changes something: then its answer is the one that can be lost."""
        return request.method == "POST"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        body = await request.aread()
        self.log.append((request, body))
        if self.answer == "no connection":
            raise httpx.ConnectError(f"refused: {request.url} {request.headers.raw!r}")
        if self.answer == "silence":
            await asyncio.get_running_loop().create_future()
        if self.answer == "lost" and self.changes(request):
            self.take(request, body)
            raise httpx.ReadError("connection reset")
        echo = bytes(request.url.query) + repr(request.headers.raw).encode()  # the worst that a server could say
        others = {
            "429": httpx.Response(429, headers={"Retry-After": "17"}, content=echo),
            "endless": httpx.Response(500, content=bytes(5 << 20)),
            "a page of the network": httpx.Response(200, html="<html>welcome to the hotel</html>"),
            "a redirect": httpx.Response(302, headers={"Location": "http://portal.example/"}),
            "no JSON": httpx.Response(200, content=b"{" + echo),
        }
        if self.answer in others:
            return others[self.answer]
        if self.answer.isdigit():
            return httpx.Response(int(self.answer), json={"exception": echo.decode(), "detail": echo.decode()})
        return self.take(request, body)

    def close(self) -> None:
        pass
