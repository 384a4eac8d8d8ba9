"""Link policy: what a link costs, what a month may cost, and what goes first."""

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_property
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.delivery.uplink import Uplink, freight_of
from balise_gateway.errors import HubAway
from balise_gateway.hubs import Holding, HubSettings, Stored, Traits
from balise_gateway.journal import Journal
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import Log
from balise_gateway.policy import budget
from balise_gateway.policy.budget import Month
from balise_gateway.policy.link import Link, LinkSettings, ask_network_manager
from balise_gateway.policy.meter import Meter
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Loss, Visit
from gateway.support import START_UTC_MS, FakeClock, played

PARIS = ZoneInfo("Europe/Paris")
SIGNER = Signer(b"p" * 32)
LOG = 1
NORMAL, VISIT = Loss("urn:dev:ops:b4115e-air-01", "rows", 1, 1, "test").pack(), Visit({"place": "x"}).pack()


class Far:
    """A hub that holds what it gets."""

    traits = Traits(True, True, False, 10_000)

    def __init__(self) -> None:
        self.got: list[int] = []
        self.closed = 0

    async def deliver(self, batch: Sequence[Stored]) -> Holding:
        self.got += [stored.seq for stored in batch]
        held = sorted(set(self.got))
        return Holding(1, tuple((seq, seq) for seq in held))

    async def close(self) -> None:
        self.closed += 1


def journal_with(folder: Path, items: Sequence[list[object]]) -> Journal:
    journal = Journal(folder, "balise/test")
    journal.open()
    with journal.transaction() as db:
        logs.ensure(db, (0, LOG))
        log = Log.read(db, LOG)
        for item in items:
            log.append(db, sign_envelope(SIGNER, LOG, log.next_seq, [item]), 1, None)
        log.save(db)
    return journal


def uplink_of(
    journal: Journal, far: Far, clock: FakeClock, link: LinkSettings, *, newest_first: bool = False
) -> Uplink:
    meter = Meter(Link(link, None), journal, clock, PARIS)
    freight = freight_of(far, LOG, journal, "balise/test", clock, newest_first=newest_first)
    return Uplink(HubSettings(name="far", kind="fake", log=LOG), far, freight, Random(1), meter=meter)


def deliver(uplink: Uplink) -> list[float]:
    """Everything that may go now; the pauses between."""
    pauses: list[float] = []

    async def scene() -> None:
        while (wait_s := await uplink._step()) is not None:
            pauses.append(wait_s)
        await uplink._rest()

    played(scene)
    return pauses


def test_a_metered_link_is_used_seldom_in_sessions_and_in_few_bytes(tmp_path: Path) -> None:
    hub = HubSettings(name="far", kind="fake", log=LOG, batch_s=300.0, form="array")
    free, dear = Link(LinkSettings(metered="no"), None), Link(LinkSettings(metered="yes"), None)
    assert (free.period_s(hub), free.form(hub)) == (300.0, "array")
    assert (dear.period_s(hub), dear.form(hub)) == (3_600.0, "rice")
    for settings, closes in ((free.settings, 0), (dear.settings, 1)):
        far = Far()
        journal = journal_with(tmp_path / settings.metered, [NORMAL] * 3)
        deliver(uplink_of(journal, far, FakeClock(), settings))
        assert (far.got, far.closed) == ([1, 2, 3], closes)


def test_fresh_first_brings_the_newest_before_the_backlog(tmp_path: Path) -> None:
    journal, far = journal_with(tmp_path, [NORMAL] * 300), Far()
    deliver(uplink_of(journal, far, FakeClock(), LinkSettings(), newest_first=True))
    assert far.got[0] == 300
    assert sorted(far.got) == list(range(1, 301))


def test_when_the_month_is_nearly_used_only_visits_leave_and_the_rest_waits_for_the_next(tmp_path: Path) -> None:
    journal, far, clock = journal_with(tmp_path, [NORMAL, VISIT, NORMAL]), Far(), FakeClock()
    plan = LinkSettings(metered="yes", monthly_mb=1.0)
    month = Month.of(clock.utc_ms(), PARIS, 1)
    with journal.transaction() as db:
        budget.note(db, month, 960_000)
    uplink = uplink_of(journal, far, clock, plan)
    deliver(uplink)
    assert far.got == [2]
    assert "of 1000000 bytes of the month from 2018-12-01 are used" in str(uplink.state.held_back)
    assert "waits until 2019-01-01" in str(uplink.state.held_back)
    with journal.transaction() as db:
        budget.note(db, month, 40_000)
    uplink = uplink_of(journal, far, clock, plan)
    deliver(uplink)
    assert far.got == [2]
    clock.now_ms = month.ends_ms
    deliver(uplink)
    assert sorted(far.got) == [1, 2, 3]
    assert uplink.state.held_back is None


def test_a_visit_behind_a_long_backlog_leaves_all_the_same(tmp_path: Path) -> None:
    journal, far, clock = journal_with(tmp_path, [NORMAL] * 1_500 + [VISIT]), Far(), FakeClock()
    with journal.transaction() as db:
        budget.note(db, Month.of(clock.utc_ms(), PARIS, 1), 960_000)
    deliver(uplink_of(journal, far, clock, LinkSettings(metered="yes", monthly_mb=1.0)))
    assert far.got == [1_501]


def test_what_did_not_arrive_is_counted_too(tmp_path: Path) -> None:
    class Away(Far):
        async def deliver(self, batch: Sequence[Stored]) -> Holding:
            raise HubAway("no answer within 30 s")

    journal, clock = journal_with(tmp_path, [NORMAL] * 3), FakeClock()
    uplink = uplink_of(journal, Away(), clock, LinkSettings(metered="yes", monthly_mb=1.0))

    async def scene() -> None:
        assert await uplink._step()

    played(scene)
    (size,) = journal.db.execute("SELECT sum(length(cose)) FROM envelope").fetchone()
    assert budget.spent_bytes(journal.db, Month.of(clock.utc_ms(), PARIS, 1)) == budget.cost_bytes(size, 1)


@given(sizes=st.lists(st.integers(80, 9_000), max_size=60), limit_kb=st.integers(100, 300))
def test_a_plan_is_never_exceeded_by_more_than_one_request(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit_kb: int
) -> None:
    journal = journal_with(tmp_path_factory.mktemp("plan"), [])
    clock = FakeClock()
    meter = Meter(Link(LinkSettings(metered="yes", monthly_mb=limit_kb / 1_000), None), journal, clock, PARIS)
    month = Month.of(clock.utc_ms(), PARIS, 1)
    for size in sizes:
        if meter.room() == "all":
            meter.passed(size)
            meter.ends_session()
    spent = budget.spent_bytes(journal.db, month)
    assert spent <= limit_kb * 1_000 + budget.cost_bytes(9_000, 1)
    journal.close()


def test_a_backlog_keeps_the_pace_that_was_set(tmp_path: Path) -> None:
    journal, far = journal_with(tmp_path, [NORMAL] * 200), Far()
    pauses = deliver(uplink_of(journal, far, FakeClock(), LinkSettings(drain_kb_per_s=2.0)))
    (size,) = journal.db.execute("SELECT sum(length(cose)) FROM envelope").fetchone()
    assert sum(pauses) == pytest.approx(size / 2_000)


@given(st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2035, 1, 1)), st.integers(1, 28))
def test_a_month_is_the_hosts_and_holds_its_moment(moment: datetime.datetime, plan_day: int) -> None:
    utc_ms = round(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000)
    month = Month.of(utc_ms, PARIS, plan_day)
    assert month.begins_ms <= utc_ms < month.ends_ms
    for edge in (month.begins_ms, month.ends_ms):
        local = datetime.datetime.fromtimestamp(edge / 1000, PARIS)
        assert (local.day, local.hour, local.minute) == (plan_day, 0, 0)
    assert 27.9 <= (month.ends_ms - month.begins_ms) / 86_400_000 <= 31.1


def test_without_the_date_nothing_is_held_back(tmp_path: Path) -> None:
    journal, far = journal_with(tmp_path, [NORMAL]), Far()
    clock = FakeClock(START_UTC_MS, 1 << 30)
    deliver(uplink_of(journal, far, clock, LinkSettings(metered="yes", monthly_mb=0.1)))
    assert far.got == [1]


class Manager(ServiceInterface):
    """NetworkManager's one property that we ask for."""

    def __init__(self, metered: int) -> None:
        super().__init__("org.freedesktop.NetworkManager")
        self._metered = metered

    @dbus_property(access=PropertyAccess.READ)
    def Metered(self) -> "u":  # type: ignore[name-defined]  # noqa: F821
        return self._metered


@pytest.mark.parametrize(("value", "metered"), [(0, None), (1, True), (2, False), (3, True), (4, False)])
def test_network_manager_is_asked_over_a_real_bus(
    value: int, metered: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[bool | None] = []

    async def scene() -> None:
        words = ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address=unix:path={tmp_path}/bus"]
        bus = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert bus.stdout is not None
        address = (await bus.stdout.readline()).decode().strip()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        served = await MessageBus(bus_address=address).connect()
        served.export("/org/freedesktop/NetworkManager", Manager(value))
        await served.request_name("org.freedesktop.NetworkManager")
        found.append(await ask_network_manager())
        served.disconnect()
        bus.terminate()
        await bus.wait()

    played(scene)
    assert found == [metered]


def test_where_nobody_answers_the_link_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")

    async def scene() -> None:
        assert await ask_network_manager() is None

    played(scene)
    link = Link(LinkSettings(), None)
    assert (link.metered, link.source) == (False, "nobody: taken for free")
