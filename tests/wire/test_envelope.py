"""Envelopes and hub answers: what is signed, and one reason for each thing that is refused."""

import hashlib

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from balise_wire import cbor, cose
from balise_wire.envelope import (
    HubAnswer,
    Signer,
    peek_name,
    sign_answer,
    sign_envelope,
    split_sequence,
    verify_answer,
    verify_envelope,
)
from balise_wire.errors import WireError
from balise_wire.items import Readings, Unknown

ROW = Readings(1, None, [1544299407], [[27]])
PAYLOAD = cbor.encode([1, 2, ROW.pack()])
SEED = bytes(range(32))
PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KID = hashlib.sha256(PUBLIC).digest()[:8]


def message(payload: object = PAYLOAD, protected: object = None, tag: int = 18, **parts: object) -> bytes:
    """A COSE_Sign1 of another maker, sound unless told otherwise."""
    header = cbor2.dumps({1: -19, 4: KID} if protected is None else protected, canonical=True)
    signature = PRIVATE.sign(cbor2.dumps(["Signature1", header, b"", payload], canonical=True))
    body = [header, parts.get("unprotected", {}), payload, parts.get("signature", signature)]
    return cbor2.dumps(cbor2.CBORTag(tag, body), canonical=True)


def payload_message(*members: object) -> bytes:
    return message(payload=cbor.encode(list(members)))


LONG_HEADER = message().replace(b"\x4d\xa2\x01\x32\x04\x48", b"\x4e\xa2\x01\x32\x04\x58\x08")
LONG_PAYLOAD = message(payload=PAYLOAD.replace(b"\x83\x01", b"\x83\x18\x01"))
BIT_PER_VALUE = [0, 1, 0, 1, 60000, bytes([128]) + bytes(7500)]


def test_ours_is_the_other_maker_s_byte_for_byte(signer: Signer) -> None:
    data = sign_envelope(signer, 1, 2, [ROW.pack()])
    assert data == message()
    assert data == sign_envelope(signer, 1, 2, [ROW.pack()])
    assert (signer.kid, signer.public_key) == (KID, PUBLIC)


def test_twenty_lines_of_another_program_verify_an_envelope(signer: Signer) -> None:
    protected, _, payload, signature = cbor2.loads(sign_envelope(signer, 1, 2, [ROW.pack()])).value
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(signature, signed)
    assert cbor2.loads(payload) == [1, 2, ROW.pack()]


@pytest.mark.parametrize("alg", [-19, -8])
def test_both_numbers_of_the_algorithm_are_taken(alg: int) -> None:
    envelope = verify_envelope(message(protected={1: alg, 4: KID}), {KID: PUBLIC})
    assert (envelope.kid, envelope.log, envelope.seq, envelope.items) == (KID, 1, 2, [ROW])


@pytest.mark.parametrize(
    ("why", "reason", "data"),
    [
        ("another algorithm", "algorithm", message(protected={1: -7, 4: KID})),
        ("no algorithm", "algorithm", message(protected={4: KID})),
        ("no key id", "malformed", message(protected={1: -19})),
        ("a short key id", "malformed", message(protected={1: -19, 4: KID[:4]})),
        ("a third protected header", "malformed", message(protected={1: -19, 3: 60, 4: KID})),
        ("an unprotected header", "malformed", message(unprotected={5: b"iv"})),
        ("another tag", "malformed", message(tag=98)),
        ("no tag", "malformed", message()[1:]),
        ("no payload", "malformed", message(payload=None)),
        ("a signature of 63 bytes", "malformed", message(signature=bytes(63))),
        ("a signature of zeros", "signature", message(signature=bytes(64))),
        ("a byte after the envelope", "malformed", message() + b"\x00"),
        ("a megabyte and more", "too large", message(payload=bytes(1 << 20))),
        ("protected header not deterministic", "not deterministic", LONG_HEADER),
        ("seq 0", "malformed", payload_message(1, 0, ROW.pack())),
        ("a negative log", "malformed", payload_message(-1, 1, ROW.pack())),
        ("no items", "malformed", payload_message(1, 1)),
        ("a payload that is a map", "malformed", message(payload=cbor.encode({1: 1}))),
        ("a payload cut short", "malformed", message(payload=PAYLOAD[:-1])),
        ("a payload not deterministic", "not deterministic", LONG_PAYLOAD),
        ("rows that are none", "malformed", payload_message(1, 1, [0, 1, 2])),
        ("values without end", "too large", payload_message(1, 1, *[BIT_PER_VALUE] * 18)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_reason_each(why: str, reason: str, data: bytes) -> None:
    with pytest.raises(WireError) as refused:
        verify_envelope(data, {KID: PUBLIC})
    assert refused.value.reason == reason, refused.value


def test_a_key_that_was_not_handed_in() -> None:
    with pytest.raises(WireError, match=f"signed by key id {KID.hex()}, which is none of the 0 keys given"):
        verify_envelope(message(), {})


@pytest.mark.parametrize("key", [bytes(31), b"\xff" * 32])
def test_a_key_that_is_none(key: bytes) -> None:
    with pytest.raises(WireError):
        verify_envelope(message(), {KID: key})


@pytest.mark.parametrize(("log", "seq", "items"), [(-1, 1, 1), (1, 0, 1), (1, 2**63, 1), (1, 1, 0)])
def test_names_that_do_not_fit_are_not_signed(signer: Signer, log: int, seq: int, items: int) -> None:
    with pytest.raises(WireError, match="malformed"):
        sign_envelope(signer, log, seq, [ROW.pack()] * items)


def test_more_than_a_receiver_takes_is_not_signed(signer: Signer) -> None:
    with pytest.raises(WireError, match="sign fewer items"):
        sign_envelope(signer, 1, 1, [Unknown(77, [bytes(1 << 20)]).pack()])


def test_a_seed_of_another_length() -> None:
    with pytest.raises(WireError, match="32 bytes, this one 31"):
        Signer(bytes(31))
    with pytest.raises(WireError, match="32 bytes, this one 33"):
        cose.kid_of(bytes(33))


def test_the_name_is_read_without_a_key() -> None:
    assert peek_name(message(signature=bytes(64))) == (KID, 1, 2)


def test_a_refused_envelope_does_not_hide_the_next() -> None:
    broken = message().replace(b"\xd2\x84", b"\xd2\x98\x04")  # its array length is not in the shortest form
    pieces = list(split_sequence(message() + broken + message()))
    assert pieces == [message(), broken, message()]
    with pytest.raises(WireError, match="not deterministic"):
        verify_envelope(broken, {KID: PUBLIC})
    assert list(split_sequence(b"")) == []


def test_a_sequence_that_is_cut_short_gives_what_is_whole() -> None:
    pieces = split_sequence(message() + message()[:-1])
    assert next(pieces) == message()
    with pytest.raises(WireError, match="malformed"):
        next(pieces)


ANSWER = HubAnswer(KID, 1, 42, ((44, 44), (45, 50)), 1544300000000, b"nonce")


def test_answers_come_back(signer: Signer) -> None:
    assert verify_answer(sign_answer(signer, ANSWER), {KID: PUBLIC}) == ANSWER


def test_an_envelope_is_no_answer_and_an_answer_no_envelope(signer: Signer) -> None:
    with pytest.raises(WireError, match="an answer is"):
        verify_answer(message(), {KID: PUBLIC})
    with pytest.raises(WireError, match="seq is"):
        verify_envelope(sign_answer(signer, ANSWER), {KID: PUBLIC})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([32, KID, 1, 42, [], 1544300000000], "an answer is"),
        ([33, KID, 1, 42, [], 1544300000000, b""], "an answer is"),
        ([32, KID[:4], 1, 42, [], 1544300000000, b""], "kid"),
        ([32, KID, 1, 42, [[41, 50]], 1544300000000, b""], "range"),
        ([32, KID, 1, 42, [[50, 44]], 1544300000000, b""], "range"),
        ([32, KID, 1, 42, [[44, 50], [50, 60]], 1544300000000, b""], "range"),
        ([32, KID, 1, 42, [[44]], 1544300000000, b""], "range"),
        ([32, KID, 1, -1, [], 1544300000000, b""], "next"),
        ([32, KID, 1, 42, [], None, b""], "utc_ms"),
        ([32, KID, 1, 42, [], 1544300000000, bytes(65)], "nonce"),
        ([32, KID, 1, 42, [], 1544300000000, "nonce"], "nonce"),
        ({}, "answer is"),
    ],
)
def test_answers_of_the_wrong_shape_are_refused(body: object, told: str) -> None:
    with pytest.raises(WireError, match=told):
        verify_answer(message(payload=cbor.encode(body)), {KID: PUBLIC})
