"""Every public decoder, fed with garbage and with damaged good bytes: WireError or a value, never another exception."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_wire import cbor, cbor_walk, checkpoint, envelope, frames, rice
from balise_wire.envelope import HubAnswer, Signer
from balise_wire.errors import REASONS, WireError
from balise_wire.items import Anchor, Item, Loss, Manifest, Readings, Unknown, unpack_item

SIGNER = Signer(bytes(range(32)))
KEYS = {SIGNER.kid: SIGNER.public_key}
FRAME_KEYS = frames.FrameKeys(bytes(range(16)))
CHANNELS: list[object] = [{"n": "pm2_5", "u": "ug/m3", "s": 1}, {"n": "temperature", "u": "Cel", "s": 2}]
ROWS = Readings(1, 3, [61, 208, 353], [[27, None, 30], [-722, -721, 5000000]], {1: [[2, 3]]})
ITEMS: list[Item | Readings] = [
    Manifest(1, {"node": "urn:dev:ops:b4115e-air-01", "channels": CHANNELS}),
    ROWS,
    Anchor(3, 5000000, 1544300000000, "ntp", 40),
    Loss("urn:dev:ops:b4115e-air-01", "rows", [1, 4], 9, "node store full"),
    Unknown(77, [{"a": None, 1: cbor.Tag(4, [-1, 27])}, cbor.Raw(b"\xf9\x3e\x00")]),
]
PACKED = [item.pack() for item in ITEMS] + [ROWS.pack("rice")]
PAYLOAD = cbor.encode([1, 1, *PACKED])
NOTE = checkpoint.sign_checkpoint(SIGNER, 1, 5, bytes(32)).encode()
ANSWER = envelope.sign_answer(SIGNER, HubAnswer(SIGNER.kid, 1, 42, ((44, 44), (47, 50)), 1544300000000, b"nonce"))


def signed_payload(data: bytes) -> object:
    """As a hub does with an enrolled but hostile signer."""
    return envelope.verify_envelope(SIGNER.sign(data), KEYS)


def signed_answer(data: bytes) -> object:
    return envelope.verify_answer(SIGNER.sign(data), KEYS)


def whole_sequence(data: bytes) -> object:
    return [envelope.peek_name(piece) for piece in envelope.split_sequence(data)]


def items_of(data: bytes) -> object:
    return unpack_item(cbor.decode(data))


def a_note(data: bytes) -> object:
    return checkpoint.verify_checkpoint(data.decode("utf-8", "surrogateescape"), SIGNER.public_key)


def residuals_of(data: bytes) -> object:
    return rice.decode_residuals(data, 9)


def a_frame(data: bytes) -> object:
    return frames.open_frame(FRAME_KEYS, data)


def an_ack(data: bytes) -> object:
    return frames.open_ack(FRAME_KEYS, data)


FRAME = frames.seal_frame(FRAME_KEYS, 1, 1, list(PACKED))
ACK = frames.seal_ack(FRAME_KEYS, 1, frames.Ack(1, 5, 4, None, 0))
ANSWER_BODY = cbor.encode([32, SIGNER.kid, 1, 42, [[44, 50]], 1544300000000, b"nonce"])
DECODERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "cbor.decode": (cbor.decode, [PAYLOAD]),
    "cbor_walk.end_of": (lambda data: cbor_walk.end_of(data, 0), [PAYLOAD]),
    "rice.decode": (lambda data: rice.decode(data, 60), [rice.encode([1, None, 9000] * 20) or b""]),
    "rice.decode_residuals": (residuals_of, [rice.encode_residuals([0, 1, 700] * 3) or b""]),
    "unpack_item": (items_of, [cbor.encode(packed) for packed in PACKED]),
    "open_frame": (a_frame, [FRAME]),
    "open_ack": (an_ack, [ACK]),
    "frame_kid": (frames.frame_kid, [FRAME]),
    "verify_envelope": (lambda data: envelope.verify_envelope(data, KEYS), [SIGNER.sign(PAYLOAD)]),
    "signed payload": (signed_payload, [PAYLOAD]),
    "peek_name and split_sequence": (whole_sequence, [SIGNER.sign(PAYLOAD) * 2]),
    "verify_answer": (lambda data: envelope.verify_answer(data, KEYS), [ANSWER]),
    "signed answer": (signed_answer, [ANSWER_BODY]),
    "verify_checkpoint": (a_note, [NOTE]),
}


def try_to_decode(decode: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(data)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=300))
@settings(max_examples=60)
def test_garbage(name: str, data: bytes) -> None:
    try_to_decode(DECODERS[name][0], data)


@pytest.mark.parametrize("name", DECODERS)
@given(draw=st.data())
@settings(max_examples=150)
def test_damaged_bytes(name: str, draw: st.DataObject) -> None:
    decode, corpus = DECODERS[name]
    data = bytearray(draw.draw(st.sampled_from(corpus)))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        cut = draw.draw(st.integers(0, 3))
        data[at : at + cut] = draw.draw(st.binary(max_size=4))
    try_to_decode(decode, bytes(data))


@pytest.mark.parametrize("name", DECODERS)
def test_every_prefix_and_every_flipped_byte(name: str) -> None:
    decode, corpus = DECODERS[name]
    for good in corpus:
        decode(good)
        for at in range(len(good)):
            try_to_decode(decode, good[:at])
            try_to_decode(decode, good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])


@pytest.mark.parametrize("data", [b"\x81" * 5000, b"\xd2" * 5000, b"\xff" * 5000, b"\x9b" + b"\xff" * 8, bytes(5000)])
@pytest.mark.parametrize("name", DECODERS)
def test_nasty_bytes(name: str, data: bytes) -> None:
    try_to_decode(DECODERS[name][0], data)


def test_errors_say_reason_and_detail() -> None:
    assert str(WireError("tag", "other key")) == "tag: other key"
    assert str(WireError("tag")) == "tag"
    assert len(set(REASONS)) == len(REASONS)
