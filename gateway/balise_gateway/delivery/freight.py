"""What an uplink carries: the envelopes of a log, or their rows, each with its own way of knowing what has arrived.

Promises that what has arrived is remembered in one transaction with what is next, so that a power cut repeats at most
the one batch in flight. Leaves patience, halving and the order of attempts to `uplink.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from balise_gateway.clock import Clock, GuidedClock
from balise_gateway.hubs import Holding, Hub, Stored
from balise_gateway.journal import Journal, tables
from balise_gateway.log import event
from balise_gateway.logbook import logs


class Freight(Protocol):
    """The goods of one log for one hub. All methods but `send` are quick and may raise JournalError."""

    def next(self, limit: int, *, visits_only: bool = False) -> Sequence[Any]:
        """What to send next: at most `limit` pieces, or of those that hold a visit; empty when there is nothing."""
        ...

    async def send(self, batch: Sequence[Any]) -> int | None:
        """Sends a batch and remembers what has arrived; returns the bytes sent, None when nothing of it has arrived.

        Raises the errors of the contract in hubs/.
        """
        ...

    def park(self, batch: Sequence[Any], reasons: Mapping[int, str]) -> None:
        """These pieces (by index) are refused: kept with their reason, and out of the way of others, for now.

        Where there is anything between or beside them, it is remembered as arrived: the hub kept it.
        """
        ...

    def unpark(self) -> None:
        """What was refused may be tried again: the hub may have been mended."""
        ...


class Envelopes:
    """Whole envelopes, for a hub that answers what it holds. `origin` names this gateway in loss items."""

    def __init__(
        self, hub: Hub, log: int, journal: Journal, origin: str, clock: Clock, *, newest_first: bool = False
    ) -> None:
        self._newest_first = newest_first
        self._hub, self._log, self._journal, self._origin, self._clock = hub, log, journal, origin, clock
        self._holding: Holding | None = None

    def next(self, limit: int, *, visits_only: bool = False) -> Sequence[Stored]:
        with self._journal.reading() as db:
            holding = self._holding or logs.holding(db, self._log)
            limit_bytes = self._hub.traits.batch_limit_bytes
            order = {"newest_first": self._newest_first, "visits_only": visits_only}
            return logs.to_send(db, self._log, holding, limit_bytes, limit, **order)

    async def send(self, batch: Sequence[Stored]) -> int | None:
        sent_boot_ms = self._clock.boot_ms()
        holding = await self._hub.deliver(batch)
        if holding.utc_ms is not None and isinstance(self._clock, GuidedClock):
            self._clock.note_hub(holding.utc_ms, sent_boot_ms)
        with self._journal.transaction() as db:
            if logs.note_holding(db, self._log, holding, self._origin):
                event("the hub holds more than the journal", log=self._log, highest=holding.highest)
        self._holding = holding
        arrived = any(holding.has(stored.seq) for stored in batch)
        return sum(len(stored.cose) for stored in batch) if arrived else None

    def park(self, batch: Sequence[Stored], reasons: Mapping[int, str]) -> None:
        with self._journal.transaction() as db:
            tables.PARKED.put(db, [(self._log, batch[index].seq, why) for index, why in sorted(reasons.items())])

    def unpark(self) -> None:
        with self._journal.transaction() as db:
            db.execute("DELETE FROM parked WHERE log = ?", (self._log,))
