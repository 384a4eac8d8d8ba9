"""A place with badges as a whole: readers, desk, screens, lists, the place's own software; run together.

Promises that a fault of one part does not stop another, that a verdict is on the screen before anything else is done,
and that `close` leaves doors and screens in their safe state. Leaves every job to its own module, the journal to
`daemon.py`.
"""

import asyncio
import contextlib
import functools
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from balise_gateway import plugins
from balise_gateway.badges import connector_runner, daily
from balise_gateway.badges import outputs as output_kinds
from balise_gateway.badges import readers as reader_kinds
from balise_gateway.badges.connector_runner import Runner
from balise_gateway.badges.connectors import Tapped
from balise_gateway.badges.daily import Daily
from balise_gateway.badges.desk.backlog import Backlog
from balise_gateway.badges.desk.days import days_of
from balise_gateway.badges.desk.desk import Desk, Verdict
from balise_gateway.badges.desk.finding import Finder
from balise_gateway.badges.desk.forgetting import Forgetting
from balise_gateway.badges.desk.saying import Sayer
from balise_gateway.badges.desk_page import routes as desk_routes
from balise_gateway.badges.desk_page.places import Files, Guests, Own
from balise_gateway.badges.desk_page.rounds import GuestRounds
from balise_gateway.badges.federation import exchange_paths, paths, sun_service
from balise_gateway.badges.federation.bodies import Bodies
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.rounds import Rounds
from balise_gateway.badges.front import Front
from balise_gateway.badges.phones.routes import PhoneWords
from balise_gateway.badges.phones.routes import routes as phone_routes
from balise_gateway.badges.readers import Reader
from balise_gateway.badges.records import Records
from balise_gateway.badges.seen import Seen
from balise_gateway.badges.showing import Showing
from balise_gateway.badges.turns import giving_way
from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.config import Config
from balise_gateway.errors import BadgeError, JournalError, KeyFileError
from balise_gateway.journal import Journal
from balise_gateway.log import event
from balise_wire.errors import WireError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

LOOK_S = 2.0  # how soon an unplugged reader, a new list or a backlog is on the screen
QUIET_LOOK_S = 900.0  # the same where there is nothing to look at
READER_AGAIN_S = 10.0  # after it failed in a way that it does not know itself
OPEN_AGAIN_S = 60.0  # how often files that could not be opened are tried again
SUN_S = 300.0  # how often homes are asked about SUN messages, where any waits
MOST_VERDICTS = 20
REQUESTS_PER_MIN, LISTS_PER_MIN = 600, 60  # of one address; a list of thousands of cards takes a while to make
_MS_PER_S, _DAY_S = 1_000, 86_400
Sending = Callable[[], bool]  # whether the hubs that get visits answer


class Office:
    """One place. `transport` is httpx's, for asking other places; `before` is the one whose run this one goes on."""

    def __init__(
        self, config: Config, clock: Clock, journal: Journal, transport: Any = None, before: "Office | None" = None
    ) -> None:
        if config.badge is None:
            raise BadgeError("this configuration has no section [badge]")
        self.settings, self._zone = config.badge, ZoneInfo(config.gateway.time_zone)
        self._clock, self._journal, self._transport = clock, journal, transport
        self.data_dir = config.gateway.data_dir
        self._obeyed, self._problem = _obeyed(config), ""
        self._backlog = Backlog({log: grant.visits for log, grant in config.grants.items() if grant.visits})
        made = connector_runner.built(config.connectors, transport, clock)
        self.runner = Runner(made, self.data_dir, clock, self._members)
        self._has_connectors = bool(made)
        self.wants_usage = any("usage" in each.wants for each in made.values())
        self.records = Records(config.badge, self.data_dir, self._now_utc_s, self.runner.balance_of)
        if before is not None:
            self.records.book.go_on_as(before.records.book)
        self.readers: list[Reader] = [plugins.load(reader_kinds, s.kind).Reader(s) for s in config.readers]
        self.front = Front([plugins.load(output_kinds, s.kind).Output(s) for s in config.outputs])
        self.verdicts: list[Verdict] = []  # the newest ones, for the status
        self._told = asyncio.Event()
        self._works: _Works | None = None
        self._resolved_by: object = None  # the version of the lists
        self._look_s = LOOK_S if config.readers or config.outputs else QUIET_LOOK_S

    def open(self) -> None:
        """Opens the place's files, or none; harmless when they are open. Raises BadgeError or KeyFileError."""
        if self._works is not None:
            return
        with contextlib.ExitStack() as undo:
            undo.callback(self.records.close)
            self.records.open()
            self.runner.open()
            self._works = _Works(self, self._clock, self._journal, self._zone, self._transport)
            self._resolved_by = None
            undo.pop_all()

    def open_or_tell(self) -> bool:
        """The same; what is wrong with the place's files stops no sensor, and is told."""
        try:
            self.open()
        except (BadgeError, KeyFileError) as error:
            self._problem = str(error)
            event("badges cannot be used", why=error, retry_s=OPEN_AGAIN_S)
            return False
        self._problem = ""
        return True

    def obeys(self, config: Config) -> bool:
        """Whether this configuration tells it nothing new."""
        return self._obeyed == _obeyed(config)

    async def run(self, sending: Sending) -> None:
        """Runs until cancelled; the journal is open. A place whose files cannot be used is tried again.

        Sensors go on without it: a card that wears out may spoil any file, also one that was opened well.
        """
        while True:
            while self._works is None and not self.open_or_tell():
                await self._shut()
            works = self.works
            try:
                with giving_way():
                    await self._run(works, sending)
            except* sqlite3.Error as errors:
                self._cannot_be_used(errors)
            finally:
                await works.close()
                await self.runner.close()
            self._close_files()
            await self._shut()

    async def _shut(self) -> None:
        self.front.tell(Showing("unplugged"), asyncio.get_running_loop().time())
        await asyncio.sleep(OPEN_AGAIN_S)

    def _cannot_be_used(self, why: BaseException) -> None:
        while isinstance(why, BaseExceptionGroup):
            why = why.exceptions[0]
        self._problem = f"a file of the place: {why}; set it aside, and restore it from a backup"
        event("badges cannot be used", why=self._problem, retry_s=OPEN_AGAIN_S)

    async def _run(self, works: "_Works", sending: Sending) -> None:
        async with asyncio.TaskGroup() as group:
            for reader in self.readers:
                group.create_task(self._keep_running(reader))
            group.create_task(self._look(sending))
            group.create_task(works.rounds.run(self.settings.ask_s))
            group.create_task(works.guest_rounds.run(self.settings.ask_s))
            group.create_task(_repeat(works.sun_asker.once, SUN_S))
            group.create_task(_repeat(works.daily.look, daily.LOOK_S))
            if self._has_connectors:
                group.create_task(self._tell_connectors())

    @property
    def works(self) -> "_Works":
        """The parts that need open files."""
        if self._works is None:
            raise BadgeError("the place's files are not open yet; try again in a moment")
        return self._works

    def take(self, seen: Seen) -> Verdict:
        """A card was shown, or a number typed: the verdict, which is on the screen when this returns."""
        verdict = self.works.desk.take(seen)
        self.front.tell(verdict.showing, asyncio.get_running_loop().time())
        self.verdicts = [*self.verdicts[-MOST_VERDICTS:], verdict]
        self.runner.tapped(self._tapped(seen, verdict))
        self._told.set()
        return verdict

    def _tapped(self, seen: Seen, verdict: Verdict) -> Tapped:
        """A tap for the place's own software: the card under a pseudonym that only this gateway can make."""
        tag = self.records.keys.tag(verdict.card)
        showing, tap = verdict.showing, verdict.tap
        return Tapped(tag, None if tap is None else tap.utc_s, seen.reader, showing.state, showing.direction)

    def keys_beside(self, key: bytes) -> tuple[bytes, ...]:
        """The keys that sign for the place which has this one, by the table in force."""
        table = self.records.table()
        return next((place.sign for place in table.places if key in place.sign), ()) if table else ()

    def wake(self) -> None:
        """Something was written down that should be said soon."""
        self._told.set()

    def close(self) -> None:
        """Lets go of readers, screens and files; harmless when done before."""
        for reader in self.readers:
            reader.close()
        self.front.close()
        self._close_files()

    def _close_files(self) -> None:
        if self._works is not None:
            self._works.guests.close()
        self.records.close()
        self.runner.close_file()
        self._works = None

    def routes(self) -> "list[BaseRoute]":
        """What other places and this place's people are answered, below `/badge`."""
        from starlette.routing import Mount

        return [*self.front.routes(), Mount("/badge", app=self._answer)]

    def status(self) -> dict[str, Any]:
        """For the status document: no card, no person."""
        if self._works is None:
            return {"place": self.settings.place, "error": self._problem or "the place's files are not open"}
        took_ms = sorted(verdict.took_ms for verdict in self.verdicts)
        now_s, stale_s = self._now_utc_s(), self.settings.stale_list_days * _DAY_S
        return {
            "place": self.settings.place,
            "showing": self.front.now.state,
            "readers": [reader.status() for reader in self.readers],
            "outputs": self.front.status(),
            "waiting": self._waiting(),
            "taps": self.records.book.counts(),
            "shown": self.records.book.shown(),
            "not_kept": self._works.desk.refused,
            "verdict_ms": round(took_ms[len(took_ms) // 2], 1) if took_ms else None,
            "table": self.records.cache.status(now_s),
            "lists": self.records.lists.ages(now_s, stale_s),
            "away": {**self._works.sun_asker.away, **self._works.rounds.away},
            "visits_of_others": self.records.exchange.status(),
            "connectors": self.runner.status(),
        }

    async def _keep_running(self, reader: Reader, again_s: float = READER_AGAIN_S) -> None:
        """A reader that fails in a way of which nobody thought, by a card or a library, takes nothing else with it.

        Its error is told by its name alone: what a card said may stand in its text.
        """
        while True:
            running = asyncio.create_task(reader.run(self._seen))
            try:
                await asyncio.wait([running])
            finally:
                running.cancel()
                await asyncio.wait([running])
            error = running.exception()
            event("reader failed", reader=reader.status()["name"], why=type(error).__name__, retry_s=again_s)
            await asyncio.sleep(again_s)

    def _seen(self, reader: Reader, seen: Seen) -> None:
        try:
            self.take(seen)
        except (sqlite3.Error, BadgeError) as error:  # a file that was opened well, and is damaged
            event("tap not kept", why=error)
            showing = Showing("desk", "not kept", until_s=self.settings.show_s)
            self.front.tell(showing, asyncio.get_running_loop().time())

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if self._works is None:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse("this place is not open yet; try again in a moment", 503)(scope, receive, send)
            return
        await self._works.app(scope, receive, send)

    def _now_utc_s(self) -> int | None:
        utc_ms = known_utc_ms(self._clock)
        return None if utc_ms is None else utc_ms // _MS_PER_S

    def _members(self) -> list[str]:
        return [member.id for member in self.records.register.members() if member.ended_day is None]

    async def _tell_connectors(self) -> None:
        try:
            await self.runner.run()
        finally:
            await self.runner.close()

    async def _look(self, sending: Sending) -> None:
        """Says what is written down, and shows what is true between two cards."""
        self.works.forgetting.look(self._now_utc_s())
        while True:
            self._told.clear()
            self._say()
            self._rest(sending)
            try:
                async with asyncio.timeout(self._look_s):
                    await self._told.wait()
            except TimeoutError:
                self.works.forgetting.look(self._now_utc_s())

    def _say(self) -> None:
        try:
            self.records.look_at_keys()
        except BadgeError as error:
            event("place key not changed", why=error)
        try:
            self.works.sayer.say()
            lists = self.records.lists.version()
            if lists != self._resolved_by:  # else nobody has a name who had none: there may be thousands
                self.works.sayer.resolve(self.records.lists)
                self._resolved_by = lists
            self.works.guests.say(self._journal)
        except (JournalError, BadgeError, WireError) as error:  # what was not said stays in the book
            event("visits not said yet", why=error)

    def _rest(self, sending: Sending) -> None:
        if self.front.outputs:
            waiting = self._waiting()
            is_sending = self._backlog.signed > 0 and sending()  # fresh ones wait for their envelope: that is as ever
            self.front.rest(self.readers, waiting, is_sending, asyncio.get_running_loop().time())

    def _waiting(self) -> int:
        """How many visits a partner lacks; 0 while the journal cannot be read: its own state says so."""
        try:
            with self._journal.reading() as db:
                return self._backlog.waiting(db)
        except JournalError:
            return 0


class _Works:
    """What needs open files."""

    def __init__(self, office: Office, clock: Clock, journal: Journal, zone: ZoneInfo, transport: Any) -> None:
        settings, records = office.settings, office.records
        days = days_of(settings, zone)
        finder = Finder(settings.place, records.keys, records.register, records.lists, records.balance)
        self.sayer = Sayer(settings.place, records.book, journal, clock)
        self.rounds = Rounds(settings, records.cache, records.lists, records.now_utc_s, transport, office.wake)
        self.rounds.on_table = office.wake
        loop_s = asyncio.get_running_loop().time
        asks = (settings.place, records.keys.signer, records.table, records.book, self.sayer.upgrade)
        self.sun_asker = sun_service.SunAsker(*asks, transport)
        tell = office.runner.usage if office.wants_usage else None
        self.daily = Daily(records, office.data_dir, tell)
        files = Files(records.keys, records.register, records.lists, records.home_lists)
        seen = functools.partial(records.seen_since, days.calendar)
        own = Own(settings.place, files, seen, may_enter=not office.wants_usage)
        self.guests = Guests(office.data_dir, days, clock, records.table, own)
        self.desk = Desk(settings, clock, records.book, records.recognise, finder, days)
        self.desk.typed = self.guests.typed_at_own
        self.guest_rounds = GuestRounds(records.cache, self.guests, records.now_utc_s, transport)
        kept = (records.book, records.exchange, settings.keep_taps_days)
        self.forgetting = Forgetting(*kept, loop_s, self.guests.forget)
        pace, lists_pace, bodies = Pace(REQUESTS_PER_MIN, loop_s), Pace(LISTS_PER_MIN, loop_s), Bodies()
        words = PhoneWords(settings.name or settings.place, settings.language, zone, settings.phone_url)
        self._routes: Callable[[], list[BaseRoute]] = lambda: [
            *paths.list_routes(records.home_lists, records.now_utc_s, zone, lists_pace),
            paths.table_route(records.cache),
            sun_service.sun_route(records.sun_home, records.now_utc_s, pace, bodies),
            paths.guest_list_route(self.guests.lists_of, records.now_utc_s, zone, lists_pace),
            *desk_routes.routes(self.guests, office.wake, loop_s, settings.stale_list_days),
            *(phone_routes(lambda seen: office.take(seen).showing, words, loop_s) if settings.phone_url else []),
            exchange_paths.batches_route(
                records.exchange, records.keys.signer, functools.partial(known_utc_ms, clock), pace, bodies
            ),
        ]

    async def close(self) -> None:
        """Lets go of connections to others; files stay open."""
        for each in (self.rounds, self.guest_rounds, self.sun_asker):
            await each.close()

    @functools.cached_property
    def app(self) -> Any:
        """For any ASGI server."""
        from starlette.applications import Starlette

        return Starlette(routes=self._routes())


def _obeyed(config: Config) -> object:
    """All that an office is made of; of the agreement also which version."""
    badge = config.badge
    agreement = badge.agreement if badge is not None else None
    found = agreement.stat() if agreement is not None and agreement.exists() else None
    version = None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
    parts = (config.readers, config.outputs, config.connectors)
    return badge, parts, dict(config.grants), config.gateway.time_zone, version


async def _repeat(what: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await what()
        await asyncio.sleep(every_s)
