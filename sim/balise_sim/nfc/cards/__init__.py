"""Cards as their data sheets describe them, at the level of commands. The contract `Card`, and one module per chip.

Every module of this folder whose name does not begin with "_" is one kind; it holds `class Model`, whose first argument
is the UID. Cards have no clock and no field of their own: pn532.py, vpcd.py or a test plays the reader. Leaves the
blocks of ISO 14443-4 to isodep.py.
"""

import importlib
import pkgutil
from typing import Protocol


class Card(Protocol):
    """A card of ISO 14443 type A.

    `atqa` is two bytes as data sheets print them (0x0044 is b"\\x00\\x44"; on air the low byte goes first). `ats` is
    the whole answer to RATS, its length byte first, or None for a card that has no ISO 14443-4.
    """

    @property
    def uid(self) -> bytes: ...

    @property
    def atqa(self) -> bytes: ...

    @property
    def sak(self) -> int: ...

    @property
    def ats(self) -> bytes | None: ...

    def activate(self) -> None:
        """The reader has selected this card: it listens, and what belonged to an earlier tap is forgotten."""
        ...

    def exchange(self, frame: bytes) -> bytes | None:
        """The answer to one command, None for silence.

        Without `ats`, a command and its answer without CRC; an answer of one byte below 16 is the 4 bits of an ACK
        (0xA) or NAK. With `ats`, an APDU and its answer with status words.
        """
        ...

    def away(self) -> None:
        """The card has left the field, or the field is off."""
        ...


def kinds() -> list[str]:
    """The chips there are, by the names of their modules."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def make(kind: str, uid: bytes) -> Card:
    """A card of this kind as it comes from the factory. Raises KeyError with the kinds there are."""
    if kind not in kinds():
        raise KeyError(f"no card {kind!r}; there are {', '.join(kinds())}")
    card: Card = importlib.import_module(f"{__name__}.{kind}").Model(uid)
    return card
