"""One loop per hub: what it lacks is sent, until it has said in its own way that it is held.

Promises that the cursor moves only with the hub's own word; that what it refuses is parked with its reason and never
holds up the others (where the hub does not say which, the batch is halved until it is found); that a hub that does not
let this gateway in keeps its data waiting; and that a hub that is away, slow, full or lying costs nothing but patience:
back-off with jitter. Leaves the protocol to the adapter, and what a piece is to the freight.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from balise_gateway.clock import Clock
from balise_gateway.delivery.freight import Envelopes, Freight
from balise_gateway.delivery.freight_rows import Rows
from balise_gateway.errors import HubAway, HubDenied, HubError, HubRefused, HubTooLarge, JournalError
from balise_gateway.hubs import Hub, HubOfTable, HubSettings, KeysBeside, RowHub, Stored
from balise_gateway.journal import Journal
from balise_gateway.log import event
from balise_gateway.policy.meter import LOOK_AGAIN_S, Meter

MAX_COUNT = 1_000  # pieces in one request


def freight_of(
    hub: Hub | RowHub, log: int, journal: Journal, origin: str, clock: Clock, *, newest_first: bool = False
) -> Freight:
    """What this hub takes of its log. `origin` names this gateway in loss items; rows always go oldest first."""
    if isinstance(hub, RowHub):
        return Rows(hub, log, journal, clock)
    return Envelopes(hub, log, journal, origin, clock, newest_first=newest_first)


@dataclass(frozen=True)
class Patience:
    """How long to wait after a failure: doubling from the first to the hub's `retry_s`, or to `last_s` if that is less;
    what is parked is tried again daily.

    A hub that does not let us in is asked again only every `denied_s`: it is the host who must do something.
    """

    first_s: float = 1.0
    last_s: float = math.inf
    parked_s: float = 86_400.0
    denied_s: float = 3_600.0


@dataclass
class UplinkState:
    """How delivery goes: for the status page."""

    error: str | None = None
    answers: int = 0
    failures: int = 0  # since the last answer
    sent_bytes: int = 0
    held_back: str | None = None  # what the month's plan keeps from leaving


class Uplink:
    """Delivers one log to one hub."""

    def __init__(
        self,
        settings: HubSettings,
        hub: Hub | RowHub,
        freight: Freight,
        dice: Random,
        patience: Patience = Patience(),
        meter: Meter | None = None,
    ) -> None:
        self.settings, self.state, self._patience = settings, UplinkState(), patience
        self._hub, self._freight, self._dice, self._meter = hub, freight, dice, meter
        self._limit_count = MAX_COUNT
        self._wake = asyncio.Event()
        self._unpark_at_s = 0.0

    def goes_by(self, keys_beside: KeysBeside) -> None:
        """From now on answers count that are signed with a key beside the configured one."""
        if isinstance(self._hub, HubOfTable):
            self._hub.keys_beside = keys_beside

    def wake(self) -> None:
        """There is something new to send."""
        self._wake.set()

    async def run(self) -> None:
        """Delivers until cancelled."""
        try:
            while True:
                wait_s = await self._step()
                if wait_s is None:
                    await self._rest()
                    await self._until_something_new()
                else:
                    await asyncio.sleep(wait_s)
        finally:
            await self._hub.close()

    async def _step(self) -> float | None:
        """Sends one batch; returns how long to wait before the next, None when there is nothing to send."""
        try:
            self._unpark_if_due()
            room = "all" if self._meter is None else self._meter.room()
            self.state.held_back = None if self._meter is None else self._meter.held_back
            batch: Sequence[Any] = (
                [] if room == "none" else self._freight.next(self._limit_count, visits_only=room == "visits")
            )
            return await self._deliver(batch) if batch else None
        except JournalError as error:
            self._failed(f"the journal: {error}")
            return self._back_off_s()

    async def _deliver(self, batch: Sequence[Any]) -> float:
        try:
            size = await self._freight.send(batch)
        except HubError as error:
            self._count(batch)
            return self._not_arrived(batch, error)
        if size is None:
            self._count(batch)
            self._failed("the hub answers, but holds nothing of what was sent")
            return self._back_off_s()
        return self._answered(size)

    def _count(self, batch: Sequence[Any]) -> None:
        """What did not arrive has cost bytes as well, as far as anybody can tell."""
        if self._meter is not None:
            self._meter.passed(sum(len(piece.cose) for piece in batch if isinstance(piece, Stored)))

    def _not_arrived(self, batch: Sequence[Any], error: HubError) -> float:
        """What follows from it; returns how long to wait."""
        if isinstance(error, HubTooLarge):
            return self._halve(batch, str(error))
        if isinstance(error, HubRefused):
            return self._refused(batch, error)
        self._failed(str(error))
        if isinstance(error, HubDenied):
            return self._patience.denied_s * (0.5 + self._dice.random() / 2)
        return max(self._back_off_s(), error.retry_after_s if isinstance(error, HubAway) else 0.0)

    def _answered(self, size: int) -> float:
        if self.state.error is not None:
            event("hub answers again", hub=self.settings.name, after_failures=self.state.failures)
        self.state.error, self.state.failures = None, 0
        self.state.answers += 1
        self.state.sent_bytes += size
        self._limit_count = min(MAX_COUNT, self._limit_count * 2)
        return self._meter.passed(size) if self._meter is not None else 0.0

    async def _rest(self) -> None:
        """Ends the session where an open connection costs; a hub that shows what is now keeps its own."""
        if self._meter is not None and self._hub.traits.accepts_past and self._meter.ends_session():
            await self._hub.close()

    def _halve(self, batch: Sequence[Any], why: str) -> float:
        """A smaller batch next time; a single piece that is refused is parked."""
        if len(batch) == 1:
            self._park(batch, {0: why})
        self._limit_count = max(1, len(batch) // 2)
        return 0.0

    def _refused(self, batch: Sequence[Any], error: HubRefused) -> float:
        if not error.reasons:
            return self._halve(batch, str(error))
        self._park(batch, error.reasons)
        return 0.0

    def _park(self, batch: Sequence[Any], reasons: Mapping[int, str]) -> None:
        self._freight.park(batch, reasons)
        for index, why in sorted(reasons.items()):
            event("parked", hub=self.settings.name, log=self.settings.log, seq=batch[index].seq, why=why)

    def _unpark_if_due(self) -> None:
        """At the start and then once a day, what was refused is tried again: the hub may have been mended."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._unpark_at_s:
            self._freight.unpark()
            self._unpark_at_s = now_s + self._patience.parked_s

    def _failed(self, why: str) -> None:
        self.state.failures += 1
        if why != self.state.error:
            event("delivery failed", hub=self.settings.name, why=why)
        self.state.error = why

    def _back_off_s(self) -> float:
        """Doubles with each failure; the jitter keeps a street's gateways from coming back all at once."""
        full_s = min(
            self._patience.last_s,
            self.settings.retry_s,
            self._patience.first_s * 2.0 ** min(self.state.failures - 1, 16),
        )
        return full_s * (0.5 + self._dice.random() / 2)

    async def _until_something_new(self) -> None:
        """Waits to be woken, or until parked envelopes are due again."""
        self._wake.clear()
        wait_s = self._unpark_at_s - asyncio.get_running_loop().time()
        if self.state.held_back is not None:
            wait_s = min(wait_s, LOOK_AGAIN_S)
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._wake.wait()
        except TimeoutError:
            return
