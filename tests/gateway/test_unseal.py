"""Bytes become a frame or a refusal with a named reason, whatever they are."""

from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.arrival.unseal import REASONS, Opened, Refused, unseal
from balise_gateway.mqtt import packets
from balise_wire.frames import MAX_FRAME_BYTES, FrameKeys
from balise_wire.items import Readings
from gateway.support import KEY, AirNode

KEYS = {FrameKeys(KEY).kid: FrameKeys(KEY)}
GOOD = AirNode().row(1_544_313_600)


def reason(data: bytes) -> str:
    found = unseal(data, KEYS)
    assert isinstance(found, Refused)
    assert found.detail
    return found.reason


def test_every_reason_is_documented() -> None:
    text = (Path(__file__).parents[2] / "gateway" / "README.md").read_text(encoding="utf-8")
    for named in (*REASONS, *(f"closed_{closed}" for closed in packets.REASONS)):
        assert f"`{named}`" in text, named


def test_a_frame() -> None:
    found = unseal(GOOD, KEYS)
    assert isinstance(found, Opened)
    assert (found.boot, found.count, found.tag) == (1, 1, GOOD[-8:])
    assert found.items is not None
    assert isinstance(found.items[0], Readings)


CASES = {
    "nothing": (b"", "garbage"),
    "text": (b"hello", "garbage"),
    "another CBOR": (cbor2.dumps({"temp": 21.5}), "garbage"),
    "cut short": (GOOD[:-1], "malformed"),
    "one byte more": (GOOD + b"\0", "malformed"),
    "too long": (bytes(MAX_FRAME_BYTES + 1), "too large"),
    "a frame too long": (GOOD + bytes(MAX_FRAME_BYTES), "too large"),
    "a changed byte": (GOOD[:-1] + bytes((GOOD[-1] ^ 1,)), "tag"),
    "a node we do not know": (AirNode(bytes(16)).row(1), "unknown key"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_for_a_reason(case: str) -> None:
    data, wanted = CASES[case]
    assert reason(data) == wanted


def test_a_boot_changed_on_the_header_does_not_fit_the_tag() -> None:
    name = b"\x48" + (1).to_bytes(4, "big") + (1).to_bytes(4, "big")
    assert GOOD.count(name) == 1
    assert reason(GOOD.replace(name, b"\x48" + (2).to_bytes(4, "big") + name[5:])) == "tag"


def test_nonsense_that_our_node_has_sealed_keeps_its_name() -> None:
    """It cannot be used, but it can be counted as held: or its node would send it for ever."""
    node = AirNode()
    node.count, node.boot = 6, 3
    for body in (b"\x83\x03\x07\x81\x00", b"\x82\x03\x07", b"\x83\x03\x08\x82\x18\x63\x00", b"\xff", b""):
        found = unseal(_sealed(node, body), KEYS)
        assert isinstance(found, Opened)
        assert (found.boot, found.count, found.items) == (3, 7, None)
        assert found.problem


def _sealed(node: AirNode, body: bytes) -> bytes:
    """Any body under the name of the node's next frame, sealed with the library that is not ours."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    partial_iv = node.boot.to_bytes(4, "big") + (node.count + 1).to_bytes(4, "big")
    key, context_iv = node.keys.up
    nonce = (int.from_bytes(context_iv, "big") ^ int.from_bytes(partial_iv, "big")).to_bytes(13, "big")
    protected = cbor2.dumps({1: 10})
    sealed = AESCCM(key, tag_length=8).encrypt(nonce, body, cbor2.dumps(["Encrypt0", protected, b""]))
    return cbor2.dumps(cbor2.CBORTag(16, [protected, {4: node.keys.kid, 6: partial_iv}, sealed]), canonical=True)


@given(
    st.binary(max_size=200)
    | st.builds(lambda cut, flip: _damaged(cut, flip), st.integers(0, 200), st.integers(0, 2000))
)
def test_no_bytes_raise(data: bytes) -> None:
    found = unseal(data, KEYS)
    if isinstance(found, Refused):
        assert found.reason in REASONS


def _damaged(cut: int, flip: int) -> bytes:
    data = bytearray(GOOD[: max(1, len(GOOD) - cut)])
    data[flip // 8 % len(data)] ^= 1 << flip % 8
    return bytes(data)
