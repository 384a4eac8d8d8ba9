"""Signed envelopes and a hub's signed answers (wire format sections 1 and 7); CPython only.

Promises that an envelope is verified before its items are looked at, and that an unknown kind of item is kept.
Leaves to the journal that a name is used once, to the hub that it is refused a second time with other bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from balise_wire import cbor, cbor_walk, checks, cose
from balise_wire.errors import WireError
from balise_wire.items import Item, Readings, unpack_item

MAX_VALUES = 1 << 20  # of all rows and columns of an envelope
MAX_NONCE_BYTES = 64
MAX_PARTS = 1_000  # of one message in a sequence, its payload counting as one: a COSE_Sign1 has 6
_ANSWER = 32  # first member of an answer; an envelope has its log there, and bytes never follow a log


class Signer:
    """A signing key, from its 32-byte seed (RFC 8032 section 5.1.5)."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != cose.KEY_BYTES:
            raise WireError("malformed", f"a seed has {cose.KEY_BYTES} bytes, this one {len(seed)}")
        self._private_key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = cose.public_bytes(self._private_key)
        self.kid = cose.kid_of(self.public_key)

    def sign(self, payload: bytes) -> bytes:
        """The payload as COSE_Sign1."""
        return cose.sign1(self._private_key, payload)

    def sign_detached(self, payload: bytes) -> bytes:
        """A COSE_Sign1 beside the payload, which is not in it."""
        return cose.sign1_detached(self._private_key, payload)

    def sign_raw(self, message: bytes) -> bytes:
        """The bare 64-byte signature, for forms of their own such as checkpoints."""
        return self._private_key.sign(message)


@dataclass(frozen=True)
class Envelope:
    """One verified envelope: its name (kid, log, seq) and its items."""

    kid: bytes
    log: int
    seq: int
    items: list[Item | Readings]


@dataclass(frozen=True)
class HubAnswer:
    """What a hub holds of one log: all below `next`, and `ranges` (first, last) beyond; and its UTC."""

    kid: bytes
    log: int
    next: int
    ranges: tuple[tuple[int, int], ...]
    utc_ms: int
    nonce: bytes


def sign_envelope(signer: Signer, log: int, seq: int, packed_items: list[list[object]]) -> bytes:
    """An envelope of items that were packed (item.pack()). Signing the same again gives the same bytes."""
    _check_name(log, seq)
    if not packed_items:
        raise WireError("malformed", "an envelope holds one item or more")
    data = signer.sign(cbor.encode([log, seq, *packed_items]))
    if len(data) > cose.MAX_MESSAGE_BYTES:
        raise WireError("too large", f"{len(data)} bytes; at most {cose.MAX_MESSAGE_BYTES}: sign fewer items at once")
    return data


def verify_envelope(data: bytes, keys: Mapping[bytes, bytes]) -> Envelope:
    """The envelope, if one of `keys` (raw public keys by key id) signed it."""
    return _envelope(*cose.verify1(data, keys))


def read_envelope(data: bytes) -> Envelope:
    """The envelope as it claims to be, for bytes that one's own journal holds: nothing is proved."""
    return _envelope(*cose.peek1(data))


def _envelope(kid: bytes, payload: bytes) -> Envelope:
    log, seq, arrays = _opened(payload)
    items: list[Item | Readings] = []
    values = 0
    for array in arrays:
        item = unpack_item(array)
        items.append(item)
        values += len(item.times) * len(item.columns) if isinstance(item, Readings) else 0
        if values > MAX_VALUES:
            raise WireError("too large", f"more than {MAX_VALUES} values in one envelope")
    return Envelope(kid, log, seq, items)


def peek_name(data: bytes) -> tuple[bytes, int, int]:
    """(kid, log, seq) as the envelope claims; nothing is proved."""
    kid, payload = cose.peek1(data)
    log, seq, _ = _opened(payload)
    return kid, log, seq


def split_sequence(data: bytes) -> Iterator[bytes]:
    """The envelopes of a CBOR sequence (RFC 8742), one after the other, not yet looked into.

    So that one refused envelope does not hide those after it; WireError only where the next cannot be found, or would
    have to be looked for behind MAX_PARTS parts of this one.
    """
    at = 0
    while at < len(data):
        end = cbor_walk.end_of(data, at, MAX_PARTS)
        yield data[at:end]
        at = end


def sign_answer(signer: Signer, answer: HubAnswer) -> bytes:
    """A hub's answer, signed with the hub's key."""
    ranges = [[first, last] for first, last in answer.ranges]
    body = [_ANSWER, answer.kid, answer.log, answer.next, ranges, answer.utc_ms, answer.nonce]
    _answer_of(body)
    return signer.sign(cbor.encode(body))


def verify_answer(data: bytes, keys: Mapping[bytes, bytes]) -> HubAnswer:
    """The answer, if one of `keys` (the hub's) signed it."""
    _, payload = cose.verify1(data, keys)
    return _answer_of(checks.array(cbor.decode(payload), "answer"))


def _opened(payload: bytes) -> tuple[int, int, list[object]]:
    members = checks.array(cbor.decode(payload), "payload")
    if len(members) < 3:
        raise WireError("malformed", "a payload is [log, seq, item, ...]")
    log, seq = checks.uint(members[0], "log"), checks.uint(members[1], "seq")
    _check_name(log, seq)
    return log, seq, members[2:]


def _check_name(log: int, seq: int) -> None:
    checks.uint(log, "log")
    if not checks.uint(seq, "seq"):
        raise WireError("malformed", "seq counts from 1")


def _answer_of(members: list[object]) -> HubAnswer:
    if len(members) != 7 or members[0] != _ANSWER:
        raise WireError("malformed", "an answer is [32, kid, log, next, ranges, utc_ms, nonce]")
    following = checks.uint(members[3], "next")
    ranges: list[tuple[int, int]] = []
    free = following
    for pair in checks.array(members[4], "ranges"):
        first, last = (checks.uint(edge, "range") for edge in checks.array(pair, "range", 2))
        if not free <= first <= last:
            raise WireError("malformed", f"range {first} to {last} does not start at {free} or above: ranges rise")
        ranges.append((first, last))
        free = last + 1
    nonce = checks.binary(members[6], "nonce")
    if len(nonce) > MAX_NONCE_BYTES:
        raise WireError("too large", f"a nonce of {len(nonce)} bytes")
    kid = checks.binary(members[1], "kid", cose.KID_BYTES)
    log, utc_ms = checks.uint(members[2], "log"), checks.uint(members[5], "utc_ms")
    return HubAnswer(kid, log, following, tuple(ranges), utc_ms, nonce)
