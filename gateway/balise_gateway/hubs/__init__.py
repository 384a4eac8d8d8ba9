"""Where batches go. The contract `Hub`, and one module per kind, found by its name.

Every hub has a log of its own, narrowed by its grant, signed and stored before anything is sent. A hub of our protocol
takes the envelopes themselves (`Hub`); any other takes their rows in its own form (`RowHub`), which proves nothing
to its readers. An adapter declares what its hub can do; the uplink decides what to send when, and never asks a name.

A kind is a module with two names: `Settings`, a frozen dataclass of configuration keys that inherits `HubSettings`, and
`Hub`, a class that fulfils one of the two contracts and is made with `Hub(settings, identity, transport, dice)`. It
imports heavy libraries when it is used, not before.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol, runtime_checkable

from balise_gateway.logbook.rows import HubRow
from balise_gateway.settings import Key

DEFAULT_BATCH_S = 300.0
KeysBeside = Callable[[bytes], Collection[bytes]]  # the keys that sign for whoever has this one, by a signed table


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """What every [[hub]] has."""

    name: Annotated[str, Key("what to call this hub in status and messages")]
    kind: Annotated[str, Key("which protocol it speaks")]
    log: Annotated[int, Key("the number of its log, never used for another hub", least=1, most=2**31)]
    batch_s: Annotated[float, Key("how often readings are closed into a signed envelope", least=0.01)] = DEFAULT_BATCH_S
    retry_s: Annotated[
        float, Key("the longest wait before a hub that is away is asked again; 1 where asking costs nothing", least=1.0)
    ] = 300.0
    form: Annotated[Literal["rice", "array"], Key("columns as Rice bits (few bytes) or plain arrays")] = "rice"
    order: Annotated[
        Literal["oldest_first", "fresh_first"], Key("after an outage: in order, or what is new before the backlog")
    ] = "oldest_first"


@dataclass(frozen=True)
class Stored:
    """One envelope, as it lies in the journal."""

    seq: int
    cose: bytes


@dataclass(frozen=True)
class Holding:
    """What the hub says it holds of this log: all below `next_seq`, and the ranges (first, last) beyond.

    `utc_ms`: what time it was at the hub, when a signed and fresh answer says so.
    """

    next_seq: int
    ranges: tuple[tuple[int, int], ...] = ()
    utc_ms: int | None = field(default=None, compare=False)

    def has(self, seq: int) -> bool:
        return seq < self.next_seq or any(first <= seq <= last for first, last in self.ranges)

    @property
    def highest(self) -> int:
        """The highest seq held, 0 for none."""
        return max(self.next_seq - 1, *(last for _, last in self.ranges)) if self.ranges else self.next_seq - 1


@dataclass(frozen=True)
class Traits:
    """What a hub can do. The uplink reads this, and never the hub's name."""

    accepts_past: bool  # takes readings of last week
    idempotent: bool  # a repeat is harmless
    ordered: bool  # wants rising seq; of rows: each series in rising order of time
    batch_limit_bytes: int  # the most in one request; a row hub answers HubTooLarge when its own form is larger
    batch_limit_rows: int = 1_000  # the most rows in one request
    channels: frozenset[str] | None = None  # of rows: what this hub has a word for; None: anything
    flags: bool = False  # of rows: QARTOD flags are told; else values that failed stay away


@runtime_checkable
class Hub(Protocol):
    """A hub of our own protocol. Two methods and the traits; a constructor that only builds."""

    traits: Traits

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        """Sends these envelopes and returns what the hub now holds, proved as well as its protocol allows.

        Raises HubAway (no answer, or "later"), HubTooLarge (send less), HubRefused (some are refused for a reason, the
        others are kept), HubDenied (this gateway may not), HubUntrusted (an answer that proves nothing). After an error
        nothing is known to have arrived.
        """
        ...

    async def close(self) -> None:
        """Closes its connections; may be called twice. What is sent afterwards opens them again: a session is over."""
        ...


@runtime_checkable
class HubOfTable(Protocol):
    """A hub that signs its answers, and may be a place that changes its key: the table of places says to which."""

    keys_beside: KeysBeside


@runtime_checkable
class RowHub(Protocol):
    """A hub with a form of its own. Two methods and the traits; a constructor that only builds."""

    traits: Traits

    async def send(self, rows: Sequence[HubRow]) -> int:
        """Sends these rows (at most `batch_limit_rows`, each with at least one value); returns the bytes handed over.

        It returns when the hub has said that it has all of them, as well as its protocol can. Raises HubAway (no
        answer, or "later"), HubTooLarge (send less), HubRefused (the rows named in `reasons` are refused, the others
        are kept; with no reasons: something among them is), HubDenied (wrong key, or no such place: the host must do
        something). After any other error nothing is known to have arrived, and the same rows come again. Rows come by
        seq and index; values that `traits` say this hub cannot take have been left out.
        """
        ...

    async def close(self) -> None:
        """Closes its connections; may be called twice. What is sent afterwards opens them again: a session is over."""
        ...
