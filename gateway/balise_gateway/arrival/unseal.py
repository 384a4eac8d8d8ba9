"""From sealed bytes to a node's frame: whose it is, whether its tag is right, and what it is not.

Promises never to raise: bytes are a frame or a refusal with a reason from REASONS. Leaves to `boots.py` whether the
frame was there before, and to `sorting.py` what its items mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balise_wire import cbor
from balise_wire.errors import WireError
from balise_wire.frames import FrameKeys, frame_kid, open_frame
from balise_wire.items import Item, Readings

REASONS = (
    "garbage",  # not a sealed frame at all
    "malformed",  # looks like a frame, and is not one; or its items make no sense
    "too large",  # longer than a frame may be
    "unknown key",  # sealed for a node that the configuration does not list
    "tag",  # changed on the way, or sealed with another key
    "replay",  # of a boot so old that nothing is remembered of it
    "conflict",  # another frame of this name is held: the node has forgotten how often it booted
)
TAG_BYTES = 8
_COSE_ENCRYPT0 = 0xD0  # the first byte of CBOR tag 16


@dataclass(frozen=True, slots=True)
class Opened:
    """A frame that was sealed with this node's key. `items` is None when they make no sense: `problem` says why."""

    kid: bytes
    boot: int
    count: int
    tag: bytes
    items: list[Item | Readings] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes that prove nothing."""

    reason: str
    detail: str


def unseal(data: bytes, keys: Mapping[bytes, FrameKeys]) -> Opened | Refused:
    """Opens these bytes with the key of the node they name."""
    try:
        kid = frame_kid(data)
    except WireError as error:
        return Refused(_reason_of_outside(data, error), error.detail)
    if kid not in keys:
        return Refused("unknown key", f"key id {kid.hex()} is not in the configuration")
    try:
        frame = open_frame(keys[kid], data)
    except WireError as error:
        if error.reason == "tag":
            return Refused("tag", error.detail)
        return _sealed_nonsense(kid, data, str(error))
    return Opened(kid, frame.boot, frame.count, data[-TAG_BYTES:], frame.items)


def _reason_of_outside(data: bytes, error: WireError) -> str:
    if error.reason == "too large":
        return error.reason
    return "malformed" if data[:1] == bytes((_COSE_ENCRYPT0,)) else "garbage"


def _sealed_nonsense(kid: bytes, data: bytes, problem: str) -> Opened:
    """The tag was right, so the name on the header is the node's own: it is part of the nonce."""
    message = cbor.decode(data)
    headers = message.value[1] if isinstance(message, cbor.Tag) and isinstance(message.value, list) else {}
    name = headers[6]
    boot, count = int.from_bytes(name[:4], "big"), int.from_bytes(name[4:], "big")
    return Opened(kid, boot, count, data[-TAG_BYTES:], None, problem)
