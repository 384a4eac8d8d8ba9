"""One error for all bytes that are not what they claim: a reason from a fixed list, and what was found.

Promises that a decoder of this room raises nothing else. Leaves to others what to do about it.

    Exception
      WireError      .reason: one of REASONS; .detail: what, where; .where: item or byte, if known
"""

REASONS = (
    "malformed",  # not the shape that SPEC.md gives: cut short, spare bytes, wrong type, out of range
    "not deterministic",  # CBOR that means something, written in another way than RFC 8949 section 4.2 says
    "too large",  # more bytes, or deeper, than a receiver has to take
    "signature",  # the signature does not fit the bytes and the key
    "unknown key",  # the key id names no key that was handed in
    "algorithm",  # sealed or signed in a way that SPEC.md does not list
    "tag",  # the authentication tag of a node frame does not fit: other key, or changed bytes
    "name",  # a node frame whose sealed name is not the one on its header
    "replay",  # a frame count that is held already
    "window",  # a frame count too far ahead of what is held
    "manifest",  # rows whose manifest is not known or does not fit them
    "channel",  # a name that is not in the channel table
    "log",  # holes, two different envelopes of one name, or a range outside of a log
    "proof",  # a Merkle proof that does not lead to the root
    "checkpoint",  # a signed note that is not a checkpoint of this log
)


class WireError(Exception):
    """Refused bytes (or values that cannot become bytes): `reason` is one of REASONS, `detail` says what."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.reason + ": " + self.detail if self.detail else self.reason
