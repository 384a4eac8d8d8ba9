"""Node frames and their acknowledgements (SPEC.md section 6): sealed with one 128-bit key per node.

Promises that what opens was sealed with this key, for this direction, under the name (boot, count) that its header
shows, and was not changed. Leaves to window.py whether it was there before, to the node and the gateway when to send.
"""

from balise_wire import cbor, ccm, checks, hkdf
from balise_wire.errors import WireError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Sequence

    from balise_wire.items import Item, Readings

MAX_FRAME_BYTES = 4096
KEY_BYTES = 16
KID_BYTES = 4
MAX_U32 = 0xFFFFFFFF
MAX_BITMAP = (1 << 64) - 1

_SALT = b"balise node frame 1"
_TAG_ENCRYPT0 = 16  # RFC 9052 section 2
_ALGORITHM = 10  # AES-CCM-16-64-128, RFC 9053 section 4.2
_PROTECTED = b"\xa1\x01\x0a"  # {1: 10}
_ASSOCIATED = b"\x83\x68Encrypt0\x43" + _PROTECTED + b"\x40"  # RFC 9052 section 5.3: ["Encrypt0", protected, h'']
_KID, _PARTIAL_IV = 4, 6  # RFC 9052 section 3.1
_PARTIAL_IV_BYTES = 8


class FrameKeys:
    """Everything that follows from a node's key: its short id, and a key with a context IV for each direction."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise WireError("malformed", f"a node key has {KEY_BYTES} bytes, this one {len(key)}")
        prk = hkdf.extract(_SALT, key)
        self.kid = hkdf.expand(prk, b"kid", KID_BYTES)
        self.up = (hkdf.expand(prk, b"up key", KEY_BYTES), hkdf.expand(prk, b"up iv", ccm.NONCE_BYTES))
        self.down = (hkdf.expand(prk, b"down key", KEY_BYTES), hkdf.expand(prk, b"down iv", ccm.NONCE_BYTES))

    def __repr__(self) -> str:
        return f"FrameKeys(kid={self.kid!r})"  # never the keys: this ends in logs


class Frame:
    """What a node said: `items` under the name (boot, count)."""

    def __init__(self, boot: int, count: int, items: "list[Item | Readings]") -> None:
        self.boot = boot
        self.count = count
        self.items = items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and (self.boot, self.count, self.items) == (
            other.boot,
            other.count,
            other.items,
        )

    def __repr__(self) -> str:
        return f"Frame({self.boot}, {self.count}, {self.items!r})"


class Ack:
    """What the gateway holds of one boot (bits of `bitmap` as in window.py), and its UTC if it knows it."""

    def __init__(self, boot: int, contiguous: int, bitmap: int, utc_ms: int | None, uncertainty_ms: int) -> None:
        self.boot = boot
        self.contiguous = contiguous
        self.bitmap = bitmap
        self.utc_ms = utc_ms
        self.uncertainty_ms = uncertainty_ms

    def pack(self) -> list[int | None]:
        """The array that is sealed."""
        return [self.boot, self.contiguous, self.bitmap, self.utc_ms, self.uncertainty_ms]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ack) and self.pack() == other.pack()

    def __repr__(self) -> str:
        return f"Ack{tuple(self.pack())!r}"


def seal_frame(
    keys: FrameKeys, boot: int, count: int, items: "Sequence[Item | Readings | list[object] | cbor.Raw]"
) -> bytes:
    """A frame of these items (objects, arrays that were packed before, or bytes). Never seal twice under one name."""
    name = _name(boot, count)
    members: list[object] = [boot, count]
    for item in items:
        members.append(item if isinstance(item, (list, cbor.Raw)) else item.pack())
    return _seal(keys.up, keys.kid, name, cbor.encode(members))


def open_frame(keys: FrameKeys, data: bytes) -> Frame:
    """The frame that these bytes are."""
    from balise_wire.items import unpack_item  # not needed by a node, whose memory is small

    name, body = _open(keys.up, keys.kid, data)
    members = checks.array(cbor.decode(body), "frame")
    if len(members) < 3:
        raise WireError("malformed", "a frame is [boot, count, item, ...]")
    boot, count = checks.uint(members[0], "boot", MAX_U32), checks.uint(members[1], "count", MAX_U32)
    if _name(boot, count) != name:
        raise WireError("name", f"the header says {name!r}, the sealed part boot {boot} count {count}")
    return Frame(boot, count, [unpack_item(array) for array in members[2:]])


def frame_kid(data: bytes) -> bytes:
    """Whose frame this claims to be; nothing is proved by it."""
    return _parts(data)[0]


def seal_ack(keys: FrameKeys, ack_count: int, ack: Ack) -> bytes:
    """An acknowledgement. `ack_count` must rise with each one sealed under this key, over restarts too."""
    partial_iv = checks.uint(ack_count, "ack count").to_bytes(_PARTIAL_IV_BYTES, "big")
    return _seal(keys.down, keys.kid, partial_iv, cbor.encode(ack.pack()))


def open_ack(keys: FrameKeys, data: bytes) -> tuple[int, Ack]:
    """(ack_count, acknowledgement)."""
    partial_iv, body = _open(keys.down, keys.kid, data)
    members = checks.array(cbor.decode(body), "acknowledgement", 5)
    utc_ms = members[3]
    ack = Ack(
        checks.uint(members[0], "boot", MAX_U32),
        checks.uint(members[1], "contiguous count", MAX_U32),
        checks.uint(members[2], "bitmap", MAX_BITMAP),
        None if utc_ms is None else checks.uint(utc_ms, "utc_ms"),
        checks.uint(members[4], "uncertainty_ms"),
    )
    return checks.uint(int.from_bytes(partial_iv, "big"), "ack count"), ack


def _name(boot: int, count: int) -> bytes:
    checks.uint(boot, "boot", MAX_U32)
    if not checks.uint(count, "count", MAX_U32):
        raise WireError("malformed", "counts start at 1 in each boot")
    return boot.to_bytes(4, "big") + count.to_bytes(4, "big")


def _nonce(context_iv: bytes, partial_iv: bytes) -> bytes:
    """RFC 9052 section 3.1, Partial IV: padded on the left to the nonce's length, then xored with the context IV."""
    padded = bytes(ccm.NONCE_BYTES - len(partial_iv)) + partial_iv
    return bytes([padded[i] ^ context_iv[i] for i in range(ccm.NONCE_BYTES)])


def _seal(direction: tuple[bytes, bytes], kid: bytes, partial_iv: bytes, body: bytes) -> bytes:
    key, context_iv = direction
    sealed = ccm.seal(key, _nonce(context_iv, partial_iv), body, _ASSOCIATED)
    data = cbor.encode(cbor.Tag(_TAG_ENCRYPT0, [_PROTECTED, {_KID: kid, _PARTIAL_IV: partial_iv}, sealed]))
    if len(data) > MAX_FRAME_BYTES:
        raise WireError("too large", f"a frame of {len(data)} bytes; at most {MAX_FRAME_BYTES}: send fewer items")
    return data


def _open(direction: tuple[bytes, bytes], kid: bytes, data: bytes) -> tuple[bytes, bytes]:
    """(partial IV, what was sealed)."""
    named, partial_iv, sealed = _parts(data)
    if named != kid:
        raise WireError("unknown key", f"sealed for key id {named!r}, opened with {kid!r}")
    key, context_iv = direction
    return partial_iv, ccm.open_sealed(key, _nonce(context_iv, partial_iv), sealed, _ASSOCIATED)


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(kid, partial IV, sealed part) of a COSE_Encrypt0 with exactly the headers that SPEC.md lists."""
    if len(data) > MAX_FRAME_BYTES:
        raise WireError("too large", f"a frame of {len(data)} bytes; at most {MAX_FRAME_BYTES}")
    message = cbor.decode(data)
    if not isinstance(message, cbor.Tag) or message.number != _TAG_ENCRYPT0:
        raise WireError("malformed", "not a COSE_Encrypt0 (tag 16)")
    protected, unprotected, sealed = checks.array(message.value, "COSE_Encrypt0", 3)
    if protected != _PROTECTED:
        _refuse_protected(checks.binary(protected, "protected header"))
    headers = checks.mapping(unprotected, "unprotected header")
    if len(headers) != 2:
        raise WireError("malformed", f"{len(headers)} unprotected headers: 4 (kid) and 6 (partial IV) wanted")
    kid = checks.binary(headers.get(_KID), "kid", KID_BYTES)
    partial_iv = checks.binary(headers.get(_PARTIAL_IV), "partial IV", _PARTIAL_IV_BYTES)
    return kid, partial_iv, checks.binary(sealed, "sealed part")


def _refuse_protected(protected: bytes) -> None:
    headers = checks.mapping(cbor.decode(protected), "protected header")
    if headers.get(1) != _ALGORITHM:
        raise WireError("algorithm", f"sealed with {checks.short(headers.get(1))}, not 10 (AES-CCM-16-64-128)")
    raise WireError("malformed", "the protected header holds more than the algorithm")
