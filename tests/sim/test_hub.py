"""The reference hub: what it stores, what it refuses, and how it misbehaves when told to."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from balise_sim.hub import MAX_BODY_BYTES, Behaviour, Hub, HubStore
from balise_wire.envelope import Signer, sign_envelope, split_sequence, verify_answer
from balise_wire.items import Loss

GATEWAY, HUB, STRANGER = Signer(b"g" * 32), Signer(b"h" * 32), Signer(b"s" * 32)
NOW_MS = 1_544_300_000_000
NONCE = b"12345678"


def envelope(seq: int, *, signer: Signer = GATEWAY, node: str = "urn:dev:ops:b4115e-air-01") -> bytes:
    return sign_envelope(signer, 1, seq, [Loss(node, "rows", 1, 2, "test").pack()])


class Desk:
    """A hub and a client in one process."""

    def __init__(self, path: Path) -> None:
        self.store, self.behaviour = HubStore(path), Behaviour()
        self.hub = Hub(self.store, HUB, {GATEWAY.kid: GATEWAY.public_key}, lambda: NOW_MS, self.behaviour)

    def post(self, body: bytes, *, nonce: str = NONCE.hex()) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.hub.app())
            async with httpx.AsyncClient(transport=transport, base_url="http://hub.example") as client:
                headers = {"Content-Type": "application/cose-seq", "Balise-Nonce": nonce}
                return await client.post("/v1/batches", content=body, headers=headers)

        return asyncio.run(call())

    def answers(self, body: bytes) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
        response = self.post(body)
        assert response.status_code == 200, response.text
        found = [verify_answer(cose, {HUB.kid: HUB.public_key}) for cose in split_sequence(response.content)]
        assert all((a.kid, a.log, a.utc_ms, a.nonce) == (GATEWAY.kid, 1, NOW_MS, NONCE) for a in found)
        return [(a.next, a.ranges) for a in found]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "hub.sqlite")


def test_any_order_and_any_repetition(desk: Desk) -> None:
    assert desk.answers(envelope(2) + envelope(5) + envelope(4)) == [(1, ((2, 2), (4, 5)))]
    assert desk.answers(envelope(1) + envelope(2)) == [(3, ((4, 5),))]
    assert desk.answers(envelope(3)) == [(6, ())]
    assert [seq for seq, _ in desk.store.envelopes(GATEWAY.kid, 1)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (lambda: envelope(2, signer=STRANGER), "unknown key"),
        (lambda: envelope(2)[:-1] + bytes([envelope(2)[-1] ^ 1]), "signature"),
        (lambda: b"\x83\x01\x02\x03", "malformed"),
    ],
)
def test_a_refused_envelope_is_named_and_the_others_are_kept(desk: Desk, bad: Callable[[], bytes], reason: str) -> None:
    response = desk.post(envelope(1) + bad() + envelope(3))
    assert response.status_code == 400
    assert [(r["index"], r["reason"]) for r in response.json()["refused"]] == [(1, reason)]
    assert desk.store.held(GATEWAY.kid, 1) == (2, [(3, 3)])


def test_bytes_after_a_broken_item_are_refused_with_it(desk: Desk) -> None:
    response = desk.post(envelope(1) + b"\xff" + envelope(3))
    assert response.status_code == 400
    assert desk.store.held(GATEWAY.kid, 1) == (2, [])


def test_the_same_name_with_other_bytes_is_kept_and_told(desk: Desk) -> None:
    desk.answers(envelope(1))
    response = desk.post(envelope(1, node="urn:dev:ops:b4115e-air-02"))
    assert response.status_code == 409
    assert list(desk.store.envelopes(GATEWAY.kid, 1)) == [(1, envelope(1))]
    assert desk.store.conflicts() == 1


def test_what_was_answered_survives_a_new_process(desk: Desk, tmp_path: Path) -> None:
    desk.answers(envelope(1) + envelope(2))
    assert HubStore(tmp_path / "hub.sqlite").held(GATEWAY.kid, 1) == (3, [])


def test_refusing_stores_nothing_and_says_when_to_come_back(desk: Desk) -> None:
    desk.behaviour.mode = "refuse"
    response = desk.post(envelope(1))
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert desk.store.logs() == []


def test_forgetting_stores_and_does_not_answer(desk: Desk) -> None:
    desk.behaviour.mode = "forget"
    response = desk.post(envelope(1))
    assert (response.status_code, response.content) == (504, b"")
    desk.behaviour.mode = "ok"
    assert desk.answers(envelope(1)) == [(2, ())]


def test_stalling_answers_when_it_is_over(desk: Desk) -> None:
    async def stalled() -> int:
        transport = httpx.ASGITransport(app=desk.hub.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example") as client:
            desk.behaviour.mode = "stall"
            headers = {"Balise-Nonce": NONCE.hex()}
            waiting = asyncio.create_task(client.post("/v1/batches", content=envelope(1), headers=headers))
            await asyncio.sleep(0)
            assert not waiting.done()
            await client.post("/v1/behaviour", json={"mode": "ok"})
            return (await waiting).status_code

    assert asyncio.run(stalled()) == 200


def test_too_large_and_no_nonce(desk: Desk) -> None:
    assert desk.post(bytes(MAX_BODY_BYTES + 1)).status_code == 413
    assert desk.post(envelope(1), nonce="").status_code == 400
    assert desk.post(envelope(1), nonce="zz").status_code == 400
