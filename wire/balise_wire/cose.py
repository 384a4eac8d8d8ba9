"""COSE_Sign1 (RFC 9052 section 4) with Ed25519, as our envelopes and a hub's answers use it; CPython only.

Promises that what verify1() returns was signed by a key that was handed in, and that only deterministic CBOR passes.
Leaves the payload to envelope.py.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from balise_wire import cbor, cbor_walk, checks
from balise_wire.errors import WireError

MAX_MESSAGE_BYTES = 1 << 20
KID_BYTES = 8
KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_HEADER_BYTES = 64  # algorithm and key id take 13

_TAG_SIGN1 = 18  # RFC 9052 section 2
_ED25519 = -19  # RFC 9864
_EDDSA = -8  # RFC 9053 section 2.2: read, never written
_ALG, _KID = 1, 4  # RFC 9052 section 3.1
_SMALL_BYTES = 4_096  # so much is looked through whole, to say what is wrong in it
_START, _NO_HEADERS, _NO_PAYLOAD, _BYTES = b"\xd2\x84", 0xA0, 0xF6, 2  # tag 18, array of 4; {}; null; major type


def kid_of(public_key: bytes) -> bytes:
    """The key id of a raw 32-byte public key."""
    if len(public_key) != KEY_BYTES:
        raise WireError("malformed", f"a public key has {KEY_BYTES} bytes, this one {len(public_key)}")
    return hashlib.sha256(public_key).digest()[:KID_BYTES]


def public_bytes(private_key: Ed25519PrivateKey) -> bytes:
    """The raw 32-byte public key; in words that the library of Debian 12 (38) knows too."""
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return private_key.public_key().public_bytes(*raw)


def sign1(private_key: Ed25519PrivateKey, payload: bytes) -> bytes:
    """The payload in a signed message."""
    return _message(private_key, payload, payload)


def sign1_detached(private_key: Ed25519PrivateKey, payload: bytes) -> bytes:
    """A signed message without its payload, which travels by itself (RFC 9052 section 4.1)."""
    return _message(private_key, payload, None)


def verify1_detached(data: bytes, payload: bytes, keys: Mapping[bytes, bytes]) -> bytes:
    """The kid of the key that signed this payload. `keys` holds raw public keys by key id."""
    kid, protected, inside, signature = _parts(data)
    if inside is not None:
        raise WireError("malformed", "the payload is in the message: a detached one has null there")
    _verify(kid, protected, payload, signature, keys)
    return kid


def verify1(data: bytes, keys: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """(kid, payload). `keys` holds raw public keys by key id."""
    kid, protected, inside, signature = _parts(data)
    payload = checks.binary(inside, "payload")
    _verify(kid, protected, payload, signature, keys)
    return kid, payload


def peek1(data: bytes) -> tuple[bytes, bytes]:
    """(kid, payload) as they claim to be; nothing is proved."""
    kid, _, payload, _ = _parts(data)
    return kid, checks.binary(payload, "payload")


def _message(private_key: Ed25519PrivateKey, payload: bytes, inside: bytes | None) -> bytes:
    kid = kid_of(public_bytes(private_key))
    protected = cbor.encode({_ALG: _ED25519, _KID: kid})
    signature = private_key.sign(_signed(protected, payload))
    return cbor.encode(cbor.Tag(_TAG_SIGN1, [protected, {}, inside, signature]))


def _verify(kid: bytes, protected: bytes, payload: bytes, signature: bytes, keys: Mapping[bytes, bytes]) -> None:
    public_key = keys.get(kid)
    if public_key is None:
        raise WireError("unknown key", f"signed by key id {kid.hex()}, which is none of the {len(keys)} keys given")
    try:
        _loaded(public_key).verify(signature, _signed(protected, payload))
    except InvalidSignature as error:
        raise WireError("signature", f"key id {kid.hex()} did not sign these bytes") from error


@lru_cache(maxsize=256)
def _loaded(public_key: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError as error:
        raise WireError("malformed", "not an Ed25519 public key") from error


def _signed(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052 section 4.4."""
    return cbor.encode(["Signature1", protected, b"", payload])


def _parts(data: bytes) -> tuple[bytes, bytes, object, bytes]:
    """(kid, protected, payload or None, signature) of a message with exactly the headers that SPEC.md lists."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError("too large", f"{len(data)} bytes; at most {MAX_MESSAGE_BYTES}")
    if len(data) > _SMALL_BYTES and not _is_framed(data):
        raise WireError("malformed", "not a COSE_Sign1 (tag 18) of three byte strings and an empty map")
    message = cbor.decode(data)
    if not isinstance(message, cbor.Tag) or message.number != _TAG_SIGN1:
        raise WireError("malformed", "not a COSE_Sign1 (tag 18)")
    protected, unprotected, payload, signature = checks.array(message.value, "COSE_Sign1", 4)
    protected = checks.binary(protected, "protected header")
    if len(protected) > MAX_HEADER_BYTES:
        raise WireError("malformed", f"a protected header of {len(protected)} bytes")
    headers = checks.mapping(cbor.decode(protected), "protected header")
    if headers.get(_ALG) not in (_ED25519, _EDDSA):
        raise WireError("algorithm", f"signed with {checks.short(headers.get(_ALG))}, not -19 (Ed25519) or -8 (EdDSA)")
    if len(headers) != 2 or checks.mapping(unprotected, "unprotected header"):
        raise WireError("malformed", "headers other than algorithm and key id")
    kid = checks.binary(headers.get(_KID), "kid", KID_BYTES)
    return kid, protected, payload, checks.binary(signature, "signature", SIGNATURE_BYTES)


def _is_framed(data: bytes) -> bool:
    """Whether it has the form of a message, seen without looking inside: anybody may send a megabyte of anything."""
    if data[:2] != _START:
        return False
    at = 2
    for _ in range(4):
        if at >= len(data) or (data[at] >> 5 != _BYTES and data[at] not in (_NO_HEADERS, _NO_PAYLOAD)):
            return False
        at = cbor_walk.end_of(data, at)
    return at == len(data)
