"""A place with badges as a whole: readers, desk, screens, lists, the place's own software; run together.

Promises that a fault of one part does not stop another, that a verdict is shown before anything else is done, and that
`close` leaves doors and screens in their safe state. Leaves every job to its own module, the journal to `daemon.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from balise_gateway import plugins
from balise_gateway.badges import outputs as output_kinds
from balise_gateway.badges import readers as reader_kinds
from balise_gateway.badges.desk import backlog
from balise_gateway.badges.desk.desk import Desk, Verdict
from balise_gateway.badges.desk.saying import Sayer
from balise_gateway.badges.front import Front
from balise_gateway.badges.readers import Reader
from balise_gateway.badges.records import Records
from balise_gateway.badges.seen import Seen
from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.config import Config
from balise_gateway.errors import BadgeError, JournalError
from balise_gateway.journal import Journal
from balise_gateway.log import event

LOOK_S = 2.0  # how soon an unplugged reader, a new list or a backlog is on the screen
_MS_PER_S, _DAY_S = 1_000, 86_400
Sending = Callable[[], bool]  # whether the hubs that get visits answer


class Office:
    """One place. `records` are its files; `visit_logs` the logs whose grants let visits through."""

    def __init__(
        self, config: Config, clock: Clock, journal: Journal, records: Records, visit_logs: Sequence[int]
    ) -> None:
        if config.badge is None:
            raise BadgeError("this configuration has no section [badge]")
        self.settings, self.records = config.badge, records
        self._clock, self._journal, self._visit_logs = clock, journal, tuple(visit_logs)
        self.readers: list[Reader] = [plugins.load(reader_kinds, s.kind).Reader(s) for s in config.readers]
        self.front = Front([plugins.load(output_kinds, s.kind).Output(s) for s in config.outputs])
        self.verdicts: list[Verdict] = []  # the newest ones, for the status
        self._sayer = Sayer(self.settings.place, records.book, journal, clock)
        self._desk = Desk(self.settings, clock, records)
        self._told = asyncio.Event()
        self._sending: Sending = lambda: True
        self._forgot_day = 0

    async def run(self, sending: Sending) -> None:
        """Runs until cancelled; the records and the journal are open."""
        self._sending = sending
        async with asyncio.TaskGroup() as group:
            for reader in self.readers:
                group.create_task(reader.run(self.take))
            group.create_task(self._look())

    def take(self, reader: Reader | None, seen: Seen) -> Verdict:
        """A card was shown, or a number typed: the verdict, which is on the screen when this returns."""
        verdict = self._desk.take(seen)
        self.front.tell(verdict.showing, asyncio.get_running_loop().time())
        self.verdicts = [*self.verdicts[-19:], verdict]
        self._told.set()
        return verdict

    def close(self) -> None:
        """Lets go of readers and screens; harmless when done before."""
        for reader in self.readers:
            reader.close()
        self.front.close()

    def status(self) -> dict[str, Any]:
        """For the status document: no card, no person."""
        took_ms = sorted(verdict.took_ms for verdict in self.verdicts)
        return {
            "place": self.settings.place,
            "showing": self.front.now.state,
            "readers": [reader.status() for reader in self.readers],
            "outputs": self.front.status(),
            "taps": self.records.book.counts(),
            "verdict_ms": round(took_ms[len(took_ms) // 2], 1) if took_ms else None,
        }

    async def _look(self) -> None:
        """Says what is written down, and what is true between two cards."""
        while True:
            self._told.clear()
            self._say()
            self._rest()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._told.wait()
            except TimeoutError:
                self._forget()

    def _say(self) -> None:
        try:
            self._sayer.say()
            self._sayer.resolve(self.records.lists)
        except (JournalError, BadgeError) as error:  # what was not said stays in the book, for the next look
            event("visits not said yet", why=error)

    def _rest(self) -> None:
        waiting = 0
        try:
            with self._journal.reading() as db:
                waiting = backlog.waiting(db, self._visit_logs)
        except JournalError as error:
            event("visits not said yet", why=error)
        self.front.rest(self.readers, waiting, self._sending(), asyncio.get_running_loop().time())

    def _forget(self) -> None:
        """Once a day: times that are older than the place keeps them. A day that jumped says nothing yet."""
        utc_ms = known_utc_ms(self._clock)
        today, before = 0 if utc_ms is None else utc_ms // _MS_PER_S // _DAY_S, self._forgot_day
        if today <= before:
            return
        if today > before + 1:
            self._forgot_day = today
            return
        try:
            gone = self.records.book.forget((today - self.settings.keep_taps_days) * _DAY_S)
        except BadgeError as error:
            event("taps not forgotten", why=error)
            return
        self._forgot_day = today
        if gone:
            event("taps forgotten", taps=gone)
