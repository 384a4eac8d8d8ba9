"""The native protocol over HTTP, at the level of requests and bytes."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import httpx

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubError
from balise_gateway.hubs import Hub
from balise_wire.envelope import split_sequence
from contracts.far_ends import GATEWAY, LOG, Held
from contracts.far_ends._native import ANSWERS, HUB, kept, reply


class FarEnd(httpx.AsyncBaseTransport):
    answers: ClassVar[dict[str, type[HubError]]] = ANSWERS
    secrets: tuple[str, ...] = ()
    time_step_ms = 1

    def __init__(self, folder: Path) -> None:
        self.answer, self.envelopes, self.requests = "ok", dict[int, bytes](), 0

    def hub(self, **settings: Any) -> Hub:
        kind = plugins.load(hubs, "native")
        words: dict[str, Any] = {"name": "h", "kind": "native", "log": LOG, "url": "http://hub.example/"}
        made: Hub = kind.Hub(
            kind.Settings(public_key=HUB.public_key, **(words | settings)), GATEWAY.kid, self, Random(1)
        )
        return made

    def held(self) -> list[Held]:
        raise NotImplementedError("it holds envelopes")

    def captured(self) -> str:
        raise NotImplementedError("wire/SPEC.md has the vectors")

    def close(self) -> None:
        pass

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        assert str(request.url) == "http://hub.example/v1/batches"
        assert request.headers["Content-Type"] == "application/cose-seq"
        body = await request.aread()
        if self.answer == "no connection":
            raise httpx.ConnectError("refused")
        if self.answer == "silence":
            await asyncio.get_running_loop().create_future()
        self.envelopes |= kept(self.answer, list(split_sequence(body)))
        return self._response(bytes.fromhex(request.headers["Balise-Nonce"]))

    def _response(self, nonce: bytes) -> httpx.Response:
        status, body, headers = reply(self.answer, nonce)
        return httpx.Response(status, content=body, headers=headers)
