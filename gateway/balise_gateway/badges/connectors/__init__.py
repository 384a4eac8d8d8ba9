"""The place's own software: where its members' credit is, and who wants to know of their visits.

The contract `Connector`.

A kind is a module with two names: `Settings`, a frozen dataclass of its configuration keys that inherits
`ConnectorSettings` (a secret is never a key: it stands in a file of its own, mode 0600, that a key names), and
`Connector`, made with `Connector(settings, transport, clock)` where `transport` is httpx's, or None, and `clock` the
gateway's, or None for the system's. A connector knows its home's members only; it never sees a UID, and of visits
elsewhere it sees days and half-days, not times. What is told when, and what waits, is `../connector_runner.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.settings import Key


@dataclass(frozen=True, kw_only=True)
class ConnectorSettings:
    """What every [[connector]] has."""

    kind: Annotated[str, Key("which program it speaks with")]
    name: Annotated[str, Key("under which its lines wait; set it when two are of one kind, and keep it")] = ""

    @property
    def label(self) -> str:
        """Its name, or else its kind."""
        return self.name or self.kind


@dataclass(frozen=True)
class Balance:
    """What a member has left, in half-days, as of `utc_s`."""

    half_days: int
    utc_s: int


@dataclass(frozen=True)
class Usage:
    """Half-days that a member has used on one day at one place.

    `key` names it for ever: later figures replace earlier ones.
    """

    key: str
    member: str
    client: str
    host: str
    day: str  # ISO 8601
    half_days: int


@dataclass(frozen=True)
class Tapped:
    """A card was shown here.

    `tag` is a keyed pseudonym of the card, the same each time; `verdict` is a State of `showing.py`.
    """

    tag: str
    utc_s: int | None
    reader: str
    verdict: str
    direction: str


Want = Literal["balance", "usage", "tap"]


class Connector(Protocol):
    """Another program of the place.

    Five methods, and what of them it has a use for; a constructor that only builds. Each method raises ConnectorError.
    """

    wants: frozenset[Want]  # what is not in here is not brought to it

    async def balance(self, member: str) -> Balance | None:
        """What this member has left, with the time of the answer; None when the program does not say."""
        ...

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        """Makes these known, however often they are told; returns what was refused, each key with its reason.

        Called with none each hour: a connector that does something by the calendar does it then.
        """
        ...

    async def tapped(self, tap: Tapped) -> None:
        """A card was shown; for programs that want to know at once. Most do nothing."""
        ...

    def status(self) -> dict[str, object]:
        """`kind`, `state` ("up", or what is wrong and what to try), `where`; no secret."""
        ...

    async def close(self) -> None:
        """Lets go of connections. May be called twice."""
        ...


def dated(half_days: int, clock: Clock) -> Balance | None:
    """What was told just now; None while nobody knows what time that is."""
    utc_ms = known_utc_ms(clock)
    return None if utc_ms is None else Balance(half_days, utc_ms // 1000)
