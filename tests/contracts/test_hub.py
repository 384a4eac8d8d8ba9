"""The contract `Hub`, on every kind in the folder, against a fake of the wire that each kind speaks.

A new kind needs one entry in WIRES: a far end that holds envelopes, and can be told to misbehave.
"""

import asyncio
import inspect
import json
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

import httpx
import pytest

from balise_gateway import hubs, plugins
from balise_gateway.errors import HubAway, HubError, HubRefused, HubTooLarge, HubUntrusted
from balise_gateway.hubs import Holding, Hub, Stored
from balise_wire.envelope import HubAnswer, Signer, peek_name, sign_answer, sign_envelope, split_sequence
from balise_wire.items import Loss
from gateway.support import played

GATEWAY, HUB, STRANGER = Signer(b"g" * 32), Signer(b"h" * 32), Signer(b"x" * 32)
LOG = 3
CONTRACT = ("close", "deliver")


def envelope(seq: int) -> Stored:
    loss = Loss("urn:dev:ops:b4115e-air-01", "rows", seq, seq, "test")
    return Stored(seq, sign_envelope(GATEWAY, LOG, seq, [loss.pack()]))


BATCH = [envelope(seq) for seq in (1, 2, 3)]


class Wire(Protocol):
    """The far end: `answer` is one of the words that the tests know; `held` are the envelopes that came."""

    answer: str
    held: dict[int, bytes]
    requests: int

    def hub(self, **settings: Any) -> Hub: ...


class NativeWire(httpx.AsyncBaseTransport):
    """The native protocol over HTTP, at the level of requests and bytes."""

    def __init__(self) -> None:
        self.answer, self.held, self.requests = "ok", dict[int, bytes](), 0

    def hub(self, **settings: Any) -> Hub:
        kind = plugins.load(hubs, "native")
        words: dict[str, Any] = {"name": "h", "kind": "native", "log": LOG, "url": "http://hub.example/"}
        made: Hub = kind.Hub(
            kind.Settings(public_key=HUB.public_key, **(words | settings)), GATEWAY.kid, self, Random(1)
        )
        return made

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
                    self.held[peek_name(cose)[2]] = cose
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


WIRES: dict[str, Callable[[], Wire]] = {"native": NativeWire}


@pytest.fixture(params=plugins.kinds(hubs))
def wire(request: pytest.FixtureRequest) -> Wire:
    assert request.param in WIRES, f"tests/contracts/test_hub.py has no far end for {request.param!r}"
    return WIRES[request.param]()


def deliver(wire: Wire, **settings: Any) -> Holding:
    found: list[Holding] = []

    async def scene() -> None:
        hub = wire.hub(**settings)
        try:
            found.append(await hub.deliver(BATCH))
        finally:
            await hub.close()
            await hub.close()

    played(scene)
    return found[0]


@pytest.mark.parametrize("kind", plugins.kinds(hubs))
def test_a_kind_has_the_methods_of_the_contract_and_few_of_its_own(kind: str) -> None:
    module = plugins.load(hubs, kind)
    public = [name for name, _ in inspect.getmembers(module.Hub, inspect.isfunction) if not name.startswith("_")]
    assert sorted(public) == sorted(CONTRACT)
    for name in CONTRACT:
        theirs, ours = inspect.signature(getattr(module.Hub, name)), inspect.signature(getattr(Hub, name))
        assert list(theirs.parameters) == list(ours.parameters)
    assert issubclass(module.Settings, hubs.HubSettings)


def test_says_what_its_hub_can_do(wire: Wire) -> None:
    traits = wire.hub().traits
    assert all(isinstance(x, bool) for x in (traits.accepts_past, traits.idempotent, traits.ordered))
    assert traits.batch_limit_bytes >= 1_000


def test_building_one_sends_nothing(wire: Wire) -> None:
    wire.hub()
    assert wire.requests == 0


def test_moves_envelopes_unchanged_and_says_what_is_held(wire: Wire) -> None:
    holding = deliver(wire)
    assert wire.held == {stored.seq: stored.cose for stored in BATCH}
    assert holding == Holding(4, ((6, 8),))
    assert [seq for seq in range(1, 10) if holding.has(seq)] == [1, 2, 3, 6, 7, 8]
    assert holding.highest == 8


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("no connection", HubAway),
        ("silence", HubAway),
        ("later", HubAway),
        ("broken", HubAway),
        ("refuses nothing by name", HubAway),
        ("too large", HubTooLarge),
        ("refuses one", HubRefused),
        ("conflict", HubRefused),
        ("html", HubUntrusted),
        ("endless", HubUntrusted),
        ("nothing at all", HubUntrusted),
        ("another key", HubUntrusted),
        ("a changed byte", HubUntrusted),
        ("an old nonce", HubUntrusted),
        ("another gateway", HubUntrusted),
        ("another log", HubUntrusted),
        ("beyond all count", HubUntrusted),
    ],
)
def test_an_answer_that_is_none(wire: Wire, answer: str, error: type[HubError]) -> None:
    wire.answer = answer
    with pytest.raises(error) as caught:
        deliver(wire, timeout_s=0.1 if answer == "silence" else 30.0)
    assert str(caught.value)


def test_later_says_when(wire: Wire) -> None:
    wire.answer = "later"
    with pytest.raises(HubAway) as caught:
        deliver(wire)
    assert caught.value.retry_after_s == 17.0


@pytest.mark.parametrize("answer", ["refuses one", "conflict"])
def test_a_refusal_names_the_envelope_and_the_reason(wire: Wire, answer: str) -> None:
    wire.answer = answer
    with pytest.raises(HubRefused) as caught:
        deliver(wire)
    assert caught.value.reasons == {1: "signature: does not fit"}
    assert set(wire.held) == {1, 3}


def test_each_request_is_its_own(wire: Wire) -> None:
    """An answer to an earlier request is no answer: the nonce differs each time."""

    async def scene() -> None:
        hub = wire.hub()
        for _ in range(3):
            assert (await hub.deliver(BATCH)).next_seq == 4
        await hub.close()

    played(scene)
    assert wire.requests == 3
