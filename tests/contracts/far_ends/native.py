"""The native protocol over HTTP, at the level of requests and bytes."""

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import httpx

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubError, HubRefused, HubTooLarge, HubUntrusted
from balise_gateway.hubs import Hub
from balise_wire.envelope import HubAnswer, Signer, peek_name, sign_answer, split_sequence
from contracts.far_ends import GATEWAY, LOG, Held

HUB, STRANGER = Signer(b"h" * 32), Signer(b"x" * 32)


class FarEnd(httpx.AsyncBaseTransport):
    answers: ClassVar[dict[str, type[HubError]]] = {
        "no connection": HubAway,
        "silence": HubAway,
        "later": HubAway,
        "broken": HubAway,
        "refuses nothing by name": HubAway,
        "too large": HubTooLarge,
        "refuses one": HubRefused,
        "conflict": HubRefused,
        "html": HubUntrusted,
        "endless": HubUntrusted,
        "nothing at all": HubUntrusted,
        "another key": HubUntrusted,
        "a changed byte": HubUntrusted,
        "an old nonce": HubUntrusted,
        "another gateway": HubUntrusted,
        "another log": HubUntrusted,
        "beyond all count": HubUntrusted,
    }
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
        if self.answer not in ("too large", "later", "broken"):
            refused = 1 if self.answer in ("refuses one", "conflict") else None
            for index, cose in enumerate(split_sequence(body)):
                if index != refused:
                    self.envelopes[peek_name(cose)[2]] = cose
        return self._response(bytes.fromhex(request.headers["Balise-Nonce"]))

    def _response(self, nonce: bytes) -> httpx.Response:
        told = json.dumps({"refused": [{"index": 1, "reason": "signature", "detail": "does not fit"}]}).encode()
        others = {
            "too large": httpx.Response(413),
            "later": httpx.Response(503, headers={"Retry-After": "17"}),
            "broken": httpx.Response(500, content=b"<html>oops</html>"),
            "refuses one": httpx.Response(400, content=told),
            "conflict": httpx.Response(409, content=told),
            "refuses nothing by name": httpx.Response(400, content=b'{"refused": "all"}'),
            "html": httpx.Response(200, content=b"<html>welcome to the hotel</html>"),
            "endless": httpx.Response(200, content=bytes(2 << 20)),
        }
        return others.get(self.answer) or httpx.Response(200, content=self._answers(nonce))

    def _answers(self, nonce: bytes) -> bytes:
        good = HubAnswer(GATEWAY.kid, LOG, 4, ((6, 8),), 1_544_313_600_000, nonce)
        another = HubAnswer(GATEWAY.kid, LOG + 1, 9, (), 0, nonce)
        signed = {
            "another key": sign_answer(STRANGER, good),
            "an old nonce": sign_answer(HUB, HubAnswer(GATEWAY.kid, LOG, 9, (), 0, bytes(8))),
            "another gateway": sign_answer(HUB, HubAnswer(STRANGER.kid, LOG, 9, (), 0, nonce)),
            "another log": sign_answer(HUB, another),
            "beyond all count": sign_answer(HUB, HubAnswer(GATEWAY.kid, LOG, 1 << 60, (), 0, nonce)),
            "nothing at all": b"",
            "a changed byte": sign_answer(HUB, good)[:-1] + b"\0",
        }
        return signed.get(self.answer, sign_answer(HUB, another) + sign_answer(HUB, good))
