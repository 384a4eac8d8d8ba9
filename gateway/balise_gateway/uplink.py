"""One loop per hub: what it lacks is sent, oldest first, until its signed answer says that it is held.

Promises that the cursor moves only with the hub's own word; that an envelope it refuses is parked with its reason and
never holds up the others (where the hub does not say which, the batch is halved until it is found); and that a hub that
is away, slow, full or lying costs nothing but patience: back-off with jitter. Leaves the protocol to the adapter.
"""

import asyncio
from dataclasses import dataclass
from random import Random

from balise_gateway import logs
from balise_gateway.errors import (
    HubAway,
    HubError,
    HubRefused,
    HubTooLarge,
    HubUntrusted,
    JournalError,
)
from balise_gateway.hubs import Holding, Hub, HubSettings, Stored
from balise_gateway.journal import Journal, tables
from balise_gateway.log import event
from balise_gateway.logs import Log

MAX_COUNT = 1_000  # envelopes in one request


@dataclass(frozen=True)
class Patience:
    """How long to wait after a failure: doubling from the first to the last; parked envelopes are tried again daily."""

    first_s: float = 1.0
    last_s: float = 300.0
    parked_s: float = 86_400.0


@dataclass
class UplinkState:
    """How delivery goes: for the status page."""

    error: str | None = None
    answers: int = 0
    failures: int = 0  # since the last answer


class Uplink:
    """Delivers one log to one hub. `origin` names this gateway in loss items."""

    def __init__(
        self,
        settings: HubSettings,
        hub: Hub,
        journal: Journal,
        origin: str,
        dice: Random,
        patience: Patience = Patience(),
    ) -> None:
        self.settings, self.state, self._patience = settings, UplinkState(), patience
        self._hub, self._journal, self._origin, self._dice = hub, journal, origin, dice
        self._holding: Holding | None = None
        self._limit_count = MAX_COUNT
        self._wake = asyncio.Event()
        self._unpark_at_s = 0.0

    def wake(self) -> None:
        """There is something new to send."""
        self._wake.set()

    async def run(self) -> None:
        """Delivers until cancelled."""
        try:
            while True:
                wait_s = await self._step()
                if wait_s is None:
                    await self._until_something_new()
                else:
                    await asyncio.sleep(wait_s)
        finally:
            await self._hub.close()

    async def _step(self) -> float | None:
        """Sends one batch; returns how long to wait before the next, None when there is nothing to send."""
        try:
            self._unpark_if_due()
            batch = self._next_batch()
            return await self._deliver(batch) if batch else None
        except JournalError as error:
            self._failed(f"the journal: {error}")
            return self._back_off_s()

    async def _deliver(self, batch: list[Stored]) -> float:
        try:
            holding = await self._hub.deliver(batch)
        except HubTooLarge as error:
            return self._halve(batch, str(error))
        except HubRefused as error:
            return self._refused(batch, error)
        except (HubAway, HubUntrusted) as error:
            self._failed(str(error))
            return max(self._back_off_s(), error.retry_after_s if isinstance(error, HubAway) else 0.0)
        except HubError as error:
            self._failed(str(error))
            return self._back_off_s()
        return self._answered(batch, holding)

    def _answered(self, batch: list[Stored], holding: Holding) -> float:
        with self._journal.transaction() as db:
            if logs.note_holding(db, self.settings.log, holding, self._origin):
                event("the hub holds more than the journal", hub=self.settings.name, highest=holding.highest)
        self._holding = holding
        if not any(holding.has(envelope.seq) for envelope in batch):
            self._failed("the hub answers, but holds nothing of what was sent")
            return self._back_off_s()
        if self.state.error is not None:
            event("hub answers again", hub=self.settings.name, after_failures=self.state.failures)
        self.state.error, self.state.failures = None, 0
        self.state.answers += 1
        self._limit_count = min(MAX_COUNT, self._limit_count * 2)
        return 0.0

    def _halve(self, batch: list[Stored], why: str) -> float:
        """A smaller batch next time; a single envelope that is refused is parked."""
        if len(batch) == 1:
            self._park({batch[0].seq: why})
        self._limit_count = max(1, len(batch) // 2)
        return 0.0

    def _refused(self, batch: list[Stored], error: HubRefused) -> float:
        if not error.reasons:
            return self._halve(batch, str(error))
        self._park({batch[index].seq: reason for index, reason in error.reasons.items()})
        return 0.0

    def _park(self, reasons: dict[int, str]) -> None:
        with self._journal.transaction() as db:
            tables.PARKED.put(db, [(self.settings.log, seq, reason) for seq, reason in sorted(reasons.items())])
        for seq, reason in sorted(reasons.items()):
            event("envelope parked", hub=self.settings.name, log=self.settings.log, seq=seq, why=reason)

    def _unpark_if_due(self) -> None:
        """At the start and then once a day, what was refused is tried again: the hub may have been mended."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._unpark_at_s:
            with self._journal.transaction() as db:
                db.execute("DELETE FROM parked WHERE log = ?", (self.settings.log,))
            self._unpark_at_s = now_s + self._patience.parked_s

    def _next_batch(self) -> list[Stored]:
        log, limit_bytes = self.settings.log, self._hub.traits.batch_limit_bytes
        with self._journal.reading() as db:
            holding = self._holding or Holding(Log.read(db, log).hub_next)
            return logs.to_send(db, log, holding, limit_bytes, self._limit_count)

    def _failed(self, why: str) -> None:
        self.state.failures += 1
        if why != self.state.error:
            event("delivery failed", hub=self.settings.name, why=why)
        self.state.error = why

    def _back_off_s(self) -> float:
        """Doubles with each failure; the jitter keeps a street's gateways from coming back all at once."""
        full_s = min(self._patience.last_s, self._patience.first_s * 2.0 ** min(self.state.failures - 1, 16))
        return full_s * (0.5 + self._dice.random() / 2)

    async def _until_something_new(self) -> None:
        """Waits to be woken, or until parked envelopes are due again."""
        self._wake.clear()
        wait_s = self._unpark_at_s - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._wake.wait()
        except TimeoutError:
            return
