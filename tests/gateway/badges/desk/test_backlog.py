"""How many visits wait for a partner: the number on the screen, and how little is read for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_gateway.badges.desk.backlog import MOST, READS, Backlog
from balise_gateway.hubs import Holding
from balise_gateway.journal import tables
from balise_gateway.logbook import logs
from gateway.badges.test_visits_in_the_journal import ELSEWHERE, HERE, HUB, THERE, Place, of, visit


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, of(THERE))
    yield made
    made.end()


def envelopes_read(place: Place, backlog: Backlog) -> tuple[int, int]:
    """(visits that wait, envelopes whose bytes were asked for)."""
    read: list[str] = []
    place.journal.db.set_trace_callback(lambda sql: read.append(sql) if "cose" in sql else None)
    found = backlog.waiting(place.journal.db)
    place.journal.db.set_trace_callback(None)
    return found, len(read)


def put(place: Place, envelopes: int, first_tap: int = 1) -> None:
    for tap in range(first_tap, first_tap + envelopes):
        place.say(visit(THERE, tap % 250))
        place.close()


def held_below(place: Place, seq: int) -> None:
    with place.journal.transaction() as db:
        logs.note_holding(db, HUB, Holding(seq), "balise/test")


def test_visits_in_no_envelope_and_those_that_a_hub_lacks_are_counted(place: Place) -> None:
    backlog = Backlog({HUB: ("*",)})
    assert backlog.waiting(place.journal.db) == 0
    place.say(visit(THERE, 1), visit(THERE, 2))
    assert backlog.waiting(place.journal.db) == 2
    place.close()
    assert backlog.waiting(place.journal.db) == 2
    put(place, 2, first_tap=3)
    assert backlog.waiting(place.journal.db) == 4
    held_below(place, 2)
    assert backlog.waiting(place.journal.db) == 2


def test_an_envelope_is_read_once_however_often_the_screen_asks(place: Place) -> None:
    """A link that is cut for a day made every look read all that waits: the loop stood still every two seconds."""
    backlog = Backlog({HUB: ("*",)})
    put(place, 4)
    assert [envelopes_read(place, backlog) for _ in range(3)] == [(4, 4), (4, 0), (4, 0)]
    put(place, 1, first_tap=5)
    assert envelopes_read(place, backlog) == (5, 1)


def test_a_look_reads_few_envelopes_and_the_next_ones_the_others(place: Place) -> None:
    put(place, 2 * READS + 3)
    backlog = Backlog({HUB: ("*",)})
    looks = [envelopes_read(place, backlog) for _ in range(4)]
    assert looks == [(READS, READS), (2 * READS, READS), (2 * READS + 3, 3), (2 * READS + 3, 0)]


def test_beyond_a_number_nobody_counts(place: Place) -> None:
    put(place, MOST + 5)
    backlog = Backlog({HUB: ("*",)})
    found = [backlog.waiting(place.journal.db) for _ in range(MOST // READS + 2)]
    assert found[-1] == MOST


def test_what_a_hub_refused_does_not_wait(place: Place) -> None:
    put(place, 3)
    with place.journal.transaction() as db:
        tables.PARKED.put(db, [(HUB, 2, "no")])
    assert Backlog({HUB: ("*",)}).waiting(place.journal.db) == 2


def test_a_visit_that_no_partner_gets_does_not_wait_for_one(place: Place) -> None:
    """The members of this place come every day: their visits stay here."""
    backlog = Backlog({HUB: (THERE,)})
    place.say(visit(HERE, 1), visit(ELSEWHERE, 2), visit(THERE, 3))
    assert backlog.waiting(place.journal.db) == 1
    place.close()
    assert backlog.waiting(place.journal.db) == 1


def test_a_fresh_visit_is_not_on_its_way_before_it_stands_in_an_envelope(place: Place) -> None:
    backlog = Backlog({HUB: ("*",)})
    place.say(visit(THERE, 1))
    assert (backlog.waiting(place.journal.db), backlog.signed) == (1, 0)
    place.close()
    assert (backlog.waiting(place.journal.db), backlog.signed) == (1, 1)
    held_below(place, 2)
    assert (backlog.waiting(place.journal.db), backlog.signed) == (0, 0)
