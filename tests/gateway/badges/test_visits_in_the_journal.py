"""Visits in the journal: envelopes of their own, what a grant lets through of them, and how long they are kept."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.grants.grant import Grant, of_terms
from balise_gateway.grants.rules import Granted, Home, View
from balise_gateway.hubs import Holding
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import logs
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.keeping import SETTLED_MS, Bounds, Keeper
from balise_wire.envelope import Signer, verify_envelope
from balise_wire.items import Anchor, Item, Loss, Readings, Source, Visit, VisitMapping
from balise_wire.visits import MappingRecord, VisitRecord
from gateway.support import EVERYTHING, KEY, NAME, SITES, START_UTC_MS, ZONE, AirNode, FakeClock, FakeIngest

SIGNER = Signer(b"s" * 32)
HERE, THERE, ELSEWHERE = "coroutine.example", "mappemonde.example", "labaux.example"
HUB, DAY_MS = 1, 86_400_000
T0_S = START_UTC_MS // 1_000


def visit(home: str, tap: int, t: int | tuple[int, int] = T0_S) -> Visit:
    return VisitRecord(HERE, home, bytes([tap]) * 16, t, 1, 0, tap).item()


class Place:
    """A journal with one hub, under a grant."""

    def __init__(self, folder: Path, grant: Grant, pauses: tuple[tuple[int, int | None], ...] = ()) -> None:
        self.clock = FakeClock()
        self.journal = Journal(folder, "balise/test")
        self.intake = Intake(self.journal, [NodeSettings(name=NAME, key=KEY)], self.clock, 1e6)
        self.views: dict[int, View] = {HOME_LOG: Home(), HUB: Granted(grant, SITES, ZONE, pauses)}
        self.closer = Closer(self.journal, SIGNER, self.clock, self.views)
        self.intake.ready()

    def say(self, *items: Item) -> None:
        with self.journal.transaction() as db:
            logs.say(db, items)

    def close(self) -> None:
        for log in self.views:
            while self.closer.close(log, "array"):
                pass

    def items(self, log: int) -> list[list[Item | Readings]]:
        keys = {SIGNER.kid: SIGNER.public_key}
        rows = tables.ENVELOPE.read(self.journal.db, "log = ? ORDER BY seq", (log,))
        return [verify_envelope(row[5], keys).items for row in rows]

    def visits(self, log: int) -> list[Item]:
        return [i for items in self.items(log) for i in items if isinstance(i, (Visit, VisitMapping, Anchor))]

    def end(self) -> None:
        self.intake.abandon()
        self.journal.close()


def of(*homes: str) -> Grant:
    return Grant(
        channels=(), visits=homes, resolution_s=0, purpose="service", licence="LicenseRef-no-reuse", place="none"
    )


def test_visits_stand_in_envelopes_of_their_own(tmp_path: Path) -> None:
    async def scene() -> None:
        place, node = Place(tmp_path, replace(EVERYTHING, visits=("*",))), AirNode()
        place.intake.take(FakeIngest(), "t", node.hello(), None)
        place.intake.take(FakeIngest(), "t", node.row(T0_S), None)
        assert place.intake.commit()
        place.say(visit(THERE, 1))
        place.intake.take(FakeIngest(), "t", node.row(T0_S + 60), None)
        assert place.intake.commit()
        place.say(visit(THERE, 2), visit(ELSEWHERE, 3))
        place.close()
        for log in (HOME_LOG, HUB):
            kinds = [{type(item) for item in items} - {Source} for items in place.items(log)]
            assert [Visit in found for found in kinds] == [False, True, False, True]
            assert all(found == {Visit} for found in kinds if Visit in found)
        place.end()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("homes", "taps"), [((), []), ((THERE,), [1, 3]), (("*.example",), [1, 2, 3]), (("elsewhere.example",), [])]
)
def test_a_grant_lets_through_the_visits_of_the_homes_it_names(
    tmp_path: Path, homes: tuple[str, ...], taps: list[int]
) -> None:
    async def scene() -> None:
        place = Place(tmp_path, replace(EVERYTHING, visits=homes))
        mapping = MappingRecord(HERE, THERE, bytes(16), bytes(16), 1).item()
        place.say(visit(THERE, 1), visit(ELSEWHERE, 2), visit(THERE, 3), mapping)
        place.close()
        found = place.visits(HUB)
        assert [item.map["tap"] for item in found if isinstance(item, Visit)] == taps
        assert any(isinstance(item, VisitMapping) for item in found) == bool(taps)
        assert len(place.visits(HOME_LOG)) == 4
        place.end()

    asyncio.run(scene())


def test_a_visit_in_a_pause_or_without_a_time_does_not_leave_under_a_grant_that_counts_time(tmp_path: Path) -> None:
    async def scene() -> None:
        place = Place(tmp_path, of("*"), ((START_UTC_MS, START_UTC_MS + 60_000),))
        place.say(visit(THERE, 1), visit(THERE, 2, T0_S + 60), visit(THERE, 3, (1, 5)))
        place.close()
        assert [item.map["tap"] for item in place.visits(HUB) if isinstance(item, Visit)] == [2]
        place.end()

    asyncio.run(scene())


def test_what_a_node_says_of_visits_does_not_leave(tmp_path: Path) -> None:
    async def scene() -> None:
        place, node = Place(tmp_path, replace(EVERYTHING, visits=("*",))), AirNode()
        place.intake.take(FakeIngest(), "t", node.frame(visit(THERE, 1)), None)
        assert place.intake.commit()
        place.close()
        assert place.visits(HUB) == []
        assert len(place.visits(HOME_LOG)) == 1
        place.end()

    asyncio.run(scene())


def test_visits_are_forgotten_after_their_days_and_the_rest_stays(tmp_path: Path) -> None:
    async def scene() -> None:
        place, node = Place(tmp_path, replace(EVERYTHING, visits=("*",))), AirNode()
        place.intake.take(FakeIngest(), "t", node.hello(), None)
        for day in range(100):
            place.intake.take(FakeIngest(), "t", node.row(T0_S + day * 86_400), None)
            assert place.intake.commit()
            place.say(visit(THERE, day, T0_S + day * 86_400))
            place.close()
            place.clock.now_ms += DAY_MS
        leaves = logs.leaf_hashes(place.journal.db, HOME_LOG)
        with place.journal.transaction() as db:
            logs.note_holding(db, HUB, Holding(1_000), "balise/test")
        keeper = Keeper(place.journal, place.clock, Bounds(1 << 40, None, None, 90), [HUB], "balise/test")
        for _ in range(2):
            while keeper.step():
                pass
            place.clock.now_ms += SETTLED_MS
        for log in (HOME_LOG, HUB):
            kept = {item.map["tap"] for item in place.visits(log) if isinstance(item, Visit)}
            assert kept == set(range(11, 100))  # the clock was watched for six hours first
            rows = [i for items in place.items(log) for i in items if isinstance(i, Readings)]
            assert len(rows) == 100
        assert logs.leaf_hashes(place.journal.db, HOME_LOG)[: len(leaves)] == leaves
        place.close()
        told = [i for items in place.items(HOME_LOG) for i in items if isinstance(i, Loss)]
        assert any("keep_taps_days" in loss.reason for loss in told)
        place.end()

    asyncio.run(scene())


def test_a_grant_of_before_there_were_visits_says_the_same_as_ever() -> None:
    terms = {key: value for key, value in EVERYTHING.terms().items() if key != "visits"}
    assert terms == EVERYTHING.terms()
    assert of_terms(terms) == EVERYTHING
    wider = replace(EVERYTHING, visits=(THERE,))
    assert of_terms(wider.terms()) == wider
    assert wider.covers(EVERYTHING)
    assert not EVERYTHING.covers(wider)
