"""The gateway as a whole: builds the parts, runs them together, and stops them in the right order.

Promises that setting `stop` ends cleanly (what is in memory is committed, acknowledged, and the files are closed), and
that cancelling `run` is a power cut (nothing more is committed or sent). Clock, sockets, HTTP and chance are handed in,
so the same object runs on virtual time. Leaves every job to its own module.
"""

import asyncio
import contextlib
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from balise_gateway import hubs, ingests, keys, live, page, plugins, sources, status
from balise_gateway.api.access import Access
from balise_gateway.api.tally import Tally
from balise_gateway.arrival.intake import Intake
from balise_gateway.badges.office import Office
from balise_gateway.clock import Clock, GuidedClock, known_utc_ms
from balise_gateway.config import Config
from balise_gateway.delivery.uplink import Uplink, freight_of
from balise_gateway.errors import BadgeError, ConfigError, JournalError, JournalUnavailable, KeyFileError
from balise_gateway.grants.desk import standings_of
from balise_gateway.grants.gate import Gate
from balise_gateway.hubs import HubSettings
from balise_gateway.ingests import Ingest, Listen, Token
from balise_gateway.journal import Journal
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.log import event
from balise_gateway.logbook import logs, spans
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.keeping import Bounds, Keeper
from balise_gateway.operation import retired, rotation
from balise_gateway.operation.changes import changes
from balise_gateway.operation.crew import Crew
from balise_gateway.policy.link import AskMetered, Link
from balise_gateway.policy.meter import Meter
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.neighbours import neighbours
from balise_gateway.quality.qualifier import Quality
from balise_wire.envelope import Signer
from balise_wire.frames import FrameKeys

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

# httpx brings a command line, with rich and Pygments: 6 MB that no daemon needs. It does without (httpx/__init__.py).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

FIRST_OPEN_RETRY_S, LAST_OPEN_RETRY_S = 1.0, 60.0
HOME_FORM = "rice"
PAGE = "page"  # and what is counted for it


class Gateway:
    """One gateway. `listen(protocol_factory, host, port)` is as `loop.create_server`; `transport` is httpx's."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        listen: Listen | None = None,
        transport: Any = None,
        dice: Random | None = None,
        ask_metered: AskMetered | None = None,
    ) -> None:
        self._config, self._clock = config, GuidedClock(clock)
        self._edge, self._listen = _Edge(transport, dice or SystemRandom(), ask_metered), listen or _real_listen
        self.ingests: list[Ingest] = [self._ingest(settings) for settings in config.ingests]
        self._parts: _Parts | None = None
        self._crew: Crew | None = None  # there is one while frames are taken

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], object] = lambda: None) -> None:
        """Runs until `stop` is set; `on_ready` is called when it takes frames. Raises KeyFileError before that."""
        parts = self._parts = _Parts(self._config, self._clock, self._edge)
        event("gateway starts", kid=parts.signer.kid.hex(), data_dir=self._config.gateway.data_dir)
        try:
            async with asyncio.TaskGroup() as group:
                crew = Crew(group)
                self._start_page(crew, parts)
                if await self._open(parts, stop):
                    self._start(crew, parts)
                    self._crew = crew
                    on_ready()
                    await stop.wait()
                    self._crew = None
                    self._parts.intake.commit()
                    self._parts.tally.flush()
                crew.cancel()
        finally:
            self.release()
        event("gateway stopped")

    async def reload(self, config: Config) -> list[str]:
        """Goes on with another configuration; returns what was begun anew, everything else is undisturbed.

        Frames in memory are committed first, so nothing depends on what goes. Raises ConfigError, JournalError or
        MissingExtra before anything has changed: then the old configuration stays.
        """
        old, before, crew = self._config, self._parts, self._crew
        if before is None or crew is None:
            raise ConfigError(f"{config.file}: the gateway takes no frames yet; try again when it does")
        if config.gateway.data_dir != old.gateway.data_dir:
            raise ConfigError(
                f"{config.file}: gateway: data_dir cannot change while it runs; stop the gateway, then move"
            )
        if not before.intake.commit():
            raise JournalUnavailable(f"nothing is changed while commits fail: {before.intake.state.error}")
        parts = _Parts(config, self._clock, self._edge, Before(old, before))
        with contextlib.ExitStack() as undo:
            if parts.office is not None and parts.office is not before.office:
                undo.callback(parts.office.close)
                _opened(parts.office, config.file)
            _make_ready(parts, self._clock)
            undo.pop_all()
        parts.intake.state = before.intake.state
        before.intake.abandon()
        had, self.ingests = self.ingests, self._ingests_of(config)
        self._config, self._parts = config, parts  # from here on frames are judged by the new one
        gone = [each for each in (*had, *before.uplinks) if each not in self.ingests and each not in parts.uplinks]
        moved = parts.office is not before.office
        await crew.stop(before.closer, *gone, *before.earlier_uplinks, *([before.office] if moved else []))
        if moved and before.office is not None:
            before.office.close()  # only now: what its readers saw until they ended is in its book
        if moved or _page_of(old) != _page_of(config):
            await crew.stop(PAGE)
            self._start_page(crew, parts)
        self._start(crew, parts, kept=(*had, *before.uplinks, before.office))
        return changes(old, config)

    @property
    def office(self) -> Office | None:
        """The place's badges, while it runs; None where there are none."""
        return None if self._parts is None else self._parts.office

    def is_well(self) -> bool:
        """Whether what waits for a commit will get one: a full disk is no reason to start anew, a lost timer is."""
        return self._parts is None or not self._parts.intake.is_stuck

    def release(self) -> None:
        """Closes the files without another word: what the kernel does for a process that has died."""
        if self._parts is not None:
            self._parts.intake.abandon()
            if self._parts.office is not None:
                self._parts.office.close()
            for journal in (self._parts.journal, *(each.journal for each in self._parts.retired)):
                journal.close()

    def status(self) -> status.Document:
        """How it is now (status.py says what is in it)."""
        parts = self._parts
        if parts is None:
            return {"running": False}
        try:
            with parts.journal.reading() as db:
                base = status.of_journal(db, self._config, parts.signer)
        except JournalError as error:
            base = {"gateway": status.identity(parts.signer), "journal": {"error": str(error)}, "nodes": [], "logs": []}
        now = {"link": live.link(parts.link), "journal": live.journal(parts.intake), "clock": self._clock_state()}
        hub_states = {uplink.settings.log: live.hub(uplink, parts.standings) for uplink in parts.uplinks}
        document = status.merged(base, now, hub_states)
        document["ingests"] = [ingest.status() for ingest in self.ingests]
        document["earlier_keys"] = [each.status() for each in parts.retired]
        document["doubts"] = live.doubts(parts.intake, parts.quality)
        document["badge"] = parts.office.status() if parts.office is not None and self._crew is not None else None
        document["not_corrected"] = [
            {"node": node, "channel": name, "model": model, "why": why}
            for (node, name, model), why in parts.quality.corrections.problems.items()
        ]
        return document

    def _ingest(self, settings: Any) -> Ingest:
        made: Ingest = plugins.load(ingests, settings.kind).Ingest(settings, self._listen)
        return made

    def _ingests_of(self, config: Config) -> list[Ingest]:
        """Those that the configuration wants; the ones that run already, where nothing changed for them."""
        had = list(zip(self._config.ingests, self.ingests, strict=True))
        kept = [next((ingest for told, ingest in had if told == settings), None) for settings in config.ingests]
        return [found or self._ingest(settings) for found, settings in zip(kept, config.ingests, strict=True)]

    def _take(self, ingest: Ingest, source: str, data: bytes, token: Token | None, marks: int = 0) -> None:
        if self._parts is not None:
            self._parts.intake.take(ingest, source, data, token, marks)

    def pages(self) -> "list[BaseRoute]":
        """All that this gateway answers over HTTP beside its page; there is nothing before it runs."""
        from balise_gateway.api import app  # its libraries are needed by those only who want a page
        from balise_gateway.operation import metrics

        parts = self._parts
        if parts is None:
            return []
        room = app.Room(parts.journal, self._clock, parts.access, parts.tally, parts.sites, parts.zone)
        badges = [] if parts.office is None else parts.office.routes()
        return [*app.routes(room), metrics.route(status.shared(self.status), self._config.gateway.data_dir), *badges]

    def _start_page(self, crew: Crew, parts: "_Parts") -> None:
        if self._config.page is None:
            return
        crew.start(PAGE, page.serve(self._config.page, status.shared(self.status), self.pages()))
        crew.start(PAGE, parts.tally.run())

    async def _open(self, parts: "_Parts", stop: asyncio.Event) -> bool:
        """Opens the journal, however long the disk refuses; False when told to stop meanwhile."""
        retry_s = FIRST_OPEN_RETRY_S
        while not stop.is_set():
            try:
                _make_ready(parts, self._clock)
                parts.intake.state.error = None
                if parts.office is not None:
                    parts.office.open_or_tell()
                return True
            except JournalError as error:
                parts.intake.state.error = str(error)
                event("journal cannot be used", why=error, retry_s=retry_s)
            try:
                async with asyncio.timeout(retry_s):
                    await stop.wait()
            except TimeoutError:
                retry_s = min(2 * retry_s, LAST_OPEN_RETRY_S)
        return False

    def _start(self, crew: Crew, parts: "_Parts", kept: Sequence[object] = ()) -> None:
        """Starts everything but what is kept running."""
        for ingest in self.ingests:
            if ingest not in kept:
                crew.start(ingest, ingest.run(self._take))
        home_s = self._config.gateway.home_batch_s
        crew.start(parts.closer, _close_periodically(parts, HOME_LOG, lambda: (HOME_FORM, home_s), None))
        crew.start(parts.closer, parts.link.watch())
        for uplink in parts.uplinks:
            hub = uplink.settings
            pace = functools.partial(_pace, parts.link, hub)
            crew.start(parts.closer, _close_periodically(parts, hub.log, pace, uplink))
            if uplink not in kept:
                crew.start(uplink, uplink.run())
        for earlier in parts.earlier_uplinks:
            crew.start(earlier, earlier.run())
        if parts.office is not None and parts.office not in kept:
            crew.start(parts.office, parts.office.run(self._is_sending))

    def _is_sending(self) -> bool:
        """Whether all hubs that get visits answer."""
        parts = self._parts
        if parts is None:
            return False
        grants = [(each, parts.standings[each.settings.log].grant) for each in parts.uplinks]
        return all(each.state.error is None for each, grant in grants if grant is not None and grant.visits)

    def _clock_state(self) -> Mapping[str, object]:
        utc_ms = known_utc_ms(self._clock)
        if utc_ms is None:
            return {"utc_ms": None, "uncertainty_ms": None, "source": None}
        return {"utc_ms": utc_ms, "uncertainty_ms": self._clock.uncertainty_ms(), "source": self._clock.source()}


@dataclass(frozen=True)
class _Edge:
    """What is handed in."""

    transport: Any
    dice: Random
    ask_metered: AskMetered | None


class _Parts:
    """What needs the signing key: made when the gateway runs."""

    def __init__(self, config: Config, clock: Clock, edge: _Edge, before: "Before | None" = None) -> None:
        if config.page is not None:
            page.check_installed()
        if before is None:
            rotation.finish_interrupted(config.gateway.data_dir)
        self.signer: Signer = before.parts.signer if before else keys.load_or_make(config.gateway.data_dir)
        origin = f"balise/{self.signer.kid.hex()}"
        self.journal: Journal = before.parts.journal if before else Journal(config.gateway.data_dir, origin)
        found = [(each, plugins.load(sources, each.kind).Source(each, clock.boot_ms)) for each in config.sources]
        standing = {FrameKeys(node.key).kid: node.standing for node in config.nodes}
        beside = neighbours(standing, config.quality.neighbour_radius_m)
        self.quality = Quality(LimitTable(config.limits), config.corrections, beside)
        self.intake = Intake(self.journal, config.nodes, clock, config.gateway.commit_s, found, self.quality)
        self.sites = {FrameKeys(node.key).kid: node.whereabouts for node in config.nodes}
        self.zone = ZoneInfo(config.gateway.time_zone)
        self.all_logs = [HOME_LOG, *(hub.log for hub in config.hubs)]
        self.standings = standings_of(config)
        self.closer = Closer(self.journal, self.signer, clock, self.standings)
        self.access = Access(config.gateway.data_dir, asyncio.get_running_loop().time)
        self.tally: Tally = before.parts.tally if before else Tally(self.journal, clock)
        self.keeper = Keeper(self.journal, clock, _bounds(config), self.all_logs[1:], origin)
        kept = before.parts.link if before and before.config.link == config.link else None
        self.link: Link = kept or Link(config.link, edge.ask_metered)
        self.retired: list[retired.Retired] = before.parts.retired if before else retired.of(config.gateway.data_dir)
        meters = functools.partial(Meter, self.link, self.journal, clock, self.zone)
        earlier = (self.standings, clock, edge.transport, edge.dice, meters)
        self.earlier_uplinks = [uplink for each in self.retired for uplink in each.uplinks(config, *earlier)]
        had = before.parts.office if before else None
        self.office: Office | None = had if had is not None and had.obeys(config) else None
        if config.badge is not None and self.office is None:
            self.office = Office(config, clock, self.journal, edge.transport, had)
        self.uplinks: list[Uplink] = []
        for settings in config.hubs:
            running = before.uplink(config, settings) if before else None
            if running is not None:
                self.uplinks.append(running)
                continue
            hub = plugins.load(hubs, settings.kind).Hub(settings, self.signer.kid, edge.transport, edge.dice)
            newest = settings.order == "fresh_first"
            freight = freight_of(hub, settings.log, self.journal, origin, clock, newest_first=newest)
            gate = Gate(freight, settings, self.standings, self.journal, clock)
            self.uplinks.append(Uplink(settings, hub, gate, edge.dice, meter=meters()))
        if self.office is not None:
            for uplink in self.uplinks:
                uplink.goes_by(self.office.keys_beside)


@dataclass(frozen=True)
class Before:
    """What ran until a configuration changed."""

    config: Config
    parts: _Parts

    def uplink(self, config: Config, settings: HubSettings) -> Uplink | None:
        """The running uplink of this hub, if nothing has changed of what it obeys: grant, places, zone, link."""
        old, log = self.config, settings.log
        obeys = (old.grants.get(log), old.nodes, old.gateway.time_zone, old.link)
        now = (config.grants.get(log), config.nodes, config.gateway.time_zone, config.link)
        if settings not in old.hubs or obeys != now:
            return None
        return next(uplink for uplink in self.parts.uplinks if uplink.settings == settings)


def _make_ready(parts: _Parts, clock: Clock) -> None:
    """The journal is open, and has what this configuration needs. Raises JournalError."""
    parts.intake.ready()
    with parts.journal.transaction() as db:
        logs.ensure(db, parts.all_logs)
        spans.fill(db)
    parts.standings.note_given(clock.utc_ms())
    for each in parts.retired:
        each.open(parts.standings)


def _opened(office: Office, file: str) -> None:
    try:
        office.open()
    except (BadgeError, KeyFileError) as error:
        raise ConfigError(f"{file}: badge: {error}") from error


def _page_of(config: Config) -> object:
    """What the page and the API show themselves by."""
    return config.page, config.nodes, config.gateway.time_zone


def _pace(link: Link, hub: HubSettings) -> tuple[str, float]:
    """(form, period) of a hub's log on the link as it is now."""
    return link.form(hub), link.period_s(hub)


async def _close_periodically(
    parts: _Parts, log: int, pace: Callable[[], tuple[str, float]], uplink: Uplink | None
) -> None:
    """Closes what an earlier run left, then all that has come, every period; then the journal is kept within bounds.

    `pace` gives the form and the period, asked anew each time.
    """
    while True:
        form, period_s = pace()
        parts.intake.commit()
        try:
            while parts.closer.close(log, form):
                await asyncio.sleep(0)
            while parts.keeper.step():
                await asyncio.sleep(0)
            parts.journal.audit()
        except JournalError as error:
            event("log not closed", log=log, why=error)
        if uplink is not None:
            uplink.wake()
        await asyncio.sleep(period_s)


def _bounds(config: Config) -> Bounds:
    kept, badge = config.gateway, config.badge
    taps_days = None if badge is None else badge.keep_taps_days
    return Bounds(kept.max_journal_bytes, kept.keep_days, kept.keep_sent_days, taps_days)


async def _real_listen(factory: Any, host: str, port: int, **options: Any) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(factory, host, port, **options)
