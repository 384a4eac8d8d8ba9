"""From the book of taps to signed visits: every tap once, with its time or with its clock domain."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_gateway.badges.desk.book import FILE_NAME, Book, Provisional, Tap
from balise_gateway.badges.desk.saying import DOMAIN_OF_BOOK, Sayer
from balise_gateway.clock import UNKNOWN_MS
from balise_gateway.errors import JournalError
from balise_gateway.journal import Journal, bodies, tables
from balise_wire.items import Anchor, Item, Visit, VisitMapping
from balise_wire.visits import VisitRecord, visit_of
from gateway.support import START_UTC_MS, FakeClock

HERE, THERE = "coroutine.example", "mappemonde.example"
WHO = bytes(range(16))
T0_S = START_UTC_MS // 1_000


class Door:
    """A book, a journal and a clock, as at a place's door."""

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.book, self.journal = Book(folder), Journal(folder, "balise/test")
        self.book.open()
        self.journal.open()
        self.sayer = Sayer(HERE, self.book, self.journal, self.clock)

    def tap(self, who: bytes | None = WHO, provisional: Provisional | None = None, sun: str = "") -> int:
        known = self.clock.unsure_ms < UNKNOWN_MS
        home = None if who is None else THERE
        utc_s = self.clock.utc_ms() // 1_000 if known else None
        tap = Tap(0, utc_s, 1, self.book.start, self.clock.boot_ms() // 1_000, "door", "card", "accepted", "",
                  home, who, None if who is None else 1, None, who is None)  # fmt: skip
        return self.book.write(tap, provisional, sun)

    def items(self) -> Iterator[Item]:
        for row in tables.ENTRY.read(self.journal.db, "TRUE ORDER BY entry"):
            item = bodies.unpacked(row[3], row[7])
            assert isinstance(item, Item)
            yield item

    def visits(self) -> list[VisitRecord]:
        return [visit_of(item.map) for item in self.items() if isinstance(item, Visit)]

    def close(self) -> None:
        self.book.close()
        self.journal.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.close()


def test_a_tap_becomes_one_visit_and_a_refused_card_none(door: Door) -> None:
    assert door.tap() == 1
    door.tap(None)
    assert door.sayer.say() == 1
    assert door.sayer.say() == 0
    assert door.visits() == [VisitRecord(HERE, THERE, WHO, T0_S, 1, 1, 1, "", "card")]


def test_the_book_is_its_owners_and_holds_no_more_than_it_says(door: Door, tmp_path: Path) -> None:
    door.tap()
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    columns = {row[1] for row in door.book.db.execute("PRAGMA table_info(tap)")}
    assert not columns & {"uid", "number", "name", "member", "email"}


def test_a_power_cut_between_journal_and_book_says_the_same_bytes_again(door: Door) -> None:
    door.tap()
    door.sayer.say()
    door.book.db.execute("UPDATE tap SET said = 0")  # as if the power had gone before the book knew
    door.clock.now_ms += 5_000
    door.sayer.say()
    first, second = door.visits()
    assert first == second


def test_a_clock_that_becomes_known_dates_the_taps_of_this_start(door: Door) -> None:
    door.clock.unsure_ms = UNKNOWN_MS
    door.tap()
    door.clock.now_ms += 3_600_000
    assert door.sayer.say() == 0
    door.clock.unsure_ms = 20
    assert door.sayer.say() == 1
    (visit,) = door.visits()
    assert visit.t == T0_S
    assert 1 <= visit.u <= 3


def test_the_longer_the_clock_was_not_known_the_less_exact_is_the_time(door: Door) -> None:
    """A clock that runs freely may be off by 100 ppm: 86.4 s in ten days."""
    door.clock.unsure_ms = UNKNOWN_MS
    door.tap()
    door.clock.now_ms += 10 * 86_400_000
    door.clock.unsure_ms = 20
    door.sayer.say()
    (visit,) = door.visits()
    assert 87 <= visit.u <= 90


def test_a_time_that_became_known_is_in_the_book_before_it_is_said(door: Door) -> None:
    """Else a clock that is set anew in between would have the same tap said at two times."""
    door.clock.unsure_ms = UNKNOWN_MS
    door.tap()
    door.clock.unsure_ms = 20
    door.journal.db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError):
        door.sayer.say()
    (tap,) = door.book.unsaid()
    assert tap.utc_s == T0_S


def test_a_start_is_bracketed_by_the_last_time_before_it_and_the_first_after_it(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for times_s in ((1_000, 10_000), (20_000, 30_000), (), (50_000, 60_000), (70_000,)):
        book.start = 0
        book.open()
        for utc_s in times_s:
            book.note_utc(utc_s)
        book.close()
    book.open()
    assert book.bracket(3) == (30_000, 50_000)
    assert book.bracket(1) is None
    book.close()


def test_a_tap_whose_time_never_became_known_goes_with_the_later_ones(door: Door) -> None:
    door.clock.unsure_ms = UNKNOWN_MS
    door.tap()
    door.clock.unsure_ms = 20
    door.tap()
    door.clock.unsure_ms = UNKNOWN_MS
    door.tap()
    assert door.book.forget(T0_S + 1) == 2
    assert [tap.tap for tap in door.book.unsaid()] == [3]


def test_taps_of_a_start_without_any_clock_are_told_with_their_ticks_and_a_bracket(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Door(tmp_path, clock)
    first.sayer.say()  # the clock is known here
    first.close()
    clock.now_ms += 3_600_000
    clock.unsure_ms = UNKNOWN_MS
    second = Door(tmp_path, clock)
    second.tap()
    second.sayer.say()
    assert second.visits() == []
    second.close()
    clock.now_ms += 3_600_000
    third = Door(tmp_path, clock)
    third.sayer.say()
    assert third.visits() == []  # said now, nobody would ever learn when it was
    clock.now_ms += 3_600_000
    clock.unsure_ms = 20
    third.sayer.say()
    assert third.visits()[0].t == (DOMAIN_OF_BOOK + 2, 3_600)
    anchors = [item for item in third.items() if isinstance(item, Anchor)]
    assert [anchor.boot for anchor in anchors] == [DOMAIN_OF_BOOK + 2]
    third.close()


def test_the_bracket_is_told_once_the_clock_is_known_again(tmp_path: Path) -> None:
    clock = FakeClock()
    for unsure_ms in (20, UNKNOWN_MS, 20):
        clock.unsure_ms = unsure_ms
        door = Door(tmp_path, clock)
        if unsure_ms == UNKNOWN_MS:
            door.tap()
        door.sayer.say()
        items = list(door.items())
        door.close()
        clock.now_ms += 3_600_000
    anchor = next(item for item in items if isinstance(item, Anchor))
    assert anchor.boot == DOMAIN_OF_BOOK + 2
    assert anchor.source == "between"
    known_before_ms, known_after_ms = START_UTC_MS, START_UTC_MS + 7_200_000
    assert anchor.utc_ms - anchor.uncertainty_ms == known_before_ms
    assert anchor.utc_ms + anchor.uncertainty_ms == known_after_ms


def test_what_the_journal_does_not_take_stays_in_the_book(door: Door) -> None:
    door.tap()
    door.journal.db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError):
        door.sayer.say()
    door.journal.db.execute("PRAGMA query_only = OFF")
    assert door.sayer.say() == 1


def test_a_verified_message_raises_the_grade_of_its_tap_alone(door: Door) -> None:
    door.tap(sun="https://mappemonde.example/b/0000000000")
    door.sayer.say()
    ((tap, uri),) = door.book.sun_waiting()
    assert uri.startswith("https://mappemonde.example/")
    door.sayer.upgrade(tap, 2)
    door.book.sun_answered(tap.tap, 2)
    assert door.book.sun_waiting() == []
    (told,) = [item.map for item in door.items() if isinstance(item, VisitMapping)]
    assert told == {"host": HERE, "home": THERE, "was": WHO, "who": WHO, "tap": 1, "grade": 2}


def test_old_taps_are_forgotten_and_their_numbers_never_come_back(door: Door) -> None:
    for _ in range(3):
        door.tap()
        door.clock.now_ms += 86_400_000
    assert door.book.forget(T0_S + 86_400) == 1
    assert door.book.erase([WHO]) == 2
    assert door.tap() == 4
