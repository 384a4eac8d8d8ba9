"""What a reader saw. A UID in here stays in memory: it is never shown, logged or written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Via = Literal["card", "qr", "desk"]


@dataclass(frozen=True)
class Seen:
    """One card laid on a reader, one code held before it, or one number typed at the desk.

    `uri` is the first URI record of the card or the text of the code, as it stands there (ndeflib's `.iri`, not
    `.uri`).
    `records` are the other NDEF records: (type name such as "urn:nfc:ext:balise:c", payload). `originality` is NXP's
    signature of the UID, when the chip has one and the reader asked for it.
    """

    via: Via
    reader: str
    uid: bytes = field(default=b"", repr=False)
    uri: str = field(default="", repr=False)
    records: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    chip: str = ""  # "NTAG213", "NTAG424", "MIFARE Classic", "DESFire", ""
    originality: bytes = field(default=b"", repr=False)
