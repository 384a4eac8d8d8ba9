"""What can be held before a place's reader. The contract `Reader`, and one module per kind, found by its name.

A kind is a module with two names: `Settings`, a frozen dataclass of its configuration keys (`kind`, `name`, …; see
`balise_gateway.settings.Key`), and `Reader`, made with `Reader(settings)`. It imports heavy libraries when it runs,
not before; what is missing then stands in its `status()`, with the extra that brings it. `with_card` raises
MissingExtra.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from balise_gateway.badges.seen import Seen

T = TypeVar("T")
Take = Callable[["Reader", Seen], None]


class Chip(Protocol):
    """A card that lies on the reader, for writing to it. Methods block, and raise CardLost when the card goes away."""

    kind: str  # as Seen.chip
    uid: bytes

    def read_ndef(self) -> bytes:
        """The NDEF message as it stands on the card; empty when there is none."""
        ...

    def write_ndef(self, message: bytes) -> None:
        """Writes an NDEF message, and reads it back. Raises CardRefused when the chip has no room or is locked."""
        ...

    def send(self, command: bytes) -> bytes:
        """One command and its answer: an ISO 7816 APDU with its status words, or a command of an NTAG21x."""
        ...


class Reader(Protocol):
    """A reader. Four methods; a constructor that only builds."""

    async def run(self, take: Take) -> None:
        """Reads until cancelled, and comes back by itself after every fault: unplugged, replugged, crashed, torn away.

        Each card is handed over once as `take(self, seen)` when it is laid down, and again only after it was away.
        One that was torn away before it could be read is handed over too, without UID and URI: it is unreadable.
        What blocks runs in a thread; `take` is called on the loop's own thread and never waits.
        """
        ...

    def status(self) -> dict[str, object]:
        """`kind`, `name`, `where`, `counters`; `state` is "up", or what is wrong and what to try. No UID, no secret."""
        ...

    async def with_card(self, job: Callable[[Chip], T], timeout_s: float) -> T:
        """Waits for one card, lets `job` work with it in the reader's thread, and returns what it returns.

        Not while `run` runs: that is a BadgeError, as is a device that is away. Raises TimeoutError when no card comes,
        and CardRefused from readers that only see codes.
        """
        ...

    def close(self) -> None:
        """Lets go of the device. May be called twice."""
        ...
