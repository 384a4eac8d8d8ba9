"""Visits older than the place keeps them go: with a gateway that is switched off at night, and not for a wild clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_gateway.badges.desk.book import Book, Tap
from balise_gateway.badges.desk.forgetting import BELIEVED_AFTER_S, Forgetting
from balise_gateway.badges.federation.exchange import Exchange

KEEP_DAYS, DAY_S, DAY_0 = 90, 86_400, 17_720


class Place:
    """The files of a place. `start` is a gateway that has just been switched on."""

    def __init__(self, folder: Path) -> None:
        self.book, self.exchange, self.loop_s = Book(folder), Exchange(folder, lambda: None), 0.0
        self.book.open()
        self.start()

    def start(self) -> None:
        self.forgetting = Forgetting(self.book, self.exchange, KEEP_DAYS, lambda: self.loop_s)

    def tap(self, day: int) -> int:
        return self.book.write(
            Tap(0, day * DAY_S + 9, 1, 1, 5, "door", "card", "accepted", "", "a.example", b"w" * 16, 0, None, said=True)
        )

    def look(self, day: int | None) -> int:
        """How many taps are left after a look on this day."""
        self.forgetting.look(None if day is None else day * DAY_S + 60)
        return sum(self.book.counts().values())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.book.close()
    made.exchange.close()


def settled(place: Place, day: int) -> None:
    """A place that ran for a while on this day."""
    place.look(day)
    place.loop_s += BELIEVED_AFTER_S
    place.look(day)


def test_a_gateway_that_is_switched_off_every_night_forgets_every_day(place: Place) -> None:
    settled(place, DAY_0)
    for day in range(DAY_0, DAY_0 + KEEP_DAYS + 5):
        place.tap(day)
        place.start()
        left = place.look(day)
        assert left == min(day - DAY_0, KEEP_DAYS) + 1
    assert place.look(DAY_0 + 1) == KEEP_DAYS + 1  # a clock that fell back deletes nothing


def test_a_clock_that_jumps_must_say_so_for_a_while(place: Place) -> None:
    settled(place, DAY_0)
    place.tap(DAY_0)
    assert place.look(DAY_0 + 5_000) == 1
    place.loop_s += BELIEVED_AFTER_S - 1
    assert place.look(DAY_0 + 5_000) == 1
    assert place.look(DAY_0 + 1) == 1  # it was nothing
    assert place.look(DAY_0 + 5_000) == 1
    place.loop_s += BELIEVED_AFTER_S
    assert place.look(DAY_0 + 5_000) == 0


def test_after_a_time_that_was_wrong_for_long_it_forgets_again(place: Place) -> None:
    settled(place, DAY_0 + 5_000)
    settled(place, DAY_0)
    place.tap(DAY_0)
    settled(place, DAY_0 + KEEP_DAYS + 1)
    assert place.look(DAY_0 + KEEP_DAYS + 1) == 0


def test_without_a_clock_nothing_is_forgotten(place: Place) -> None:
    place.tap(1)
    place.loop_s += BELIEVED_AFTER_S
    assert place.look(None) == 1
