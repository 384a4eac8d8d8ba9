"""Once a day: half-days for the place's own software, and billing lines while the visits are still there."""

import asyncio
import contextlib
import datetime
import logging
import sqlite3
import sys
from pathlib import Path

import pytest

from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.connectors import Usage
from balise_gateway.badges.daily import Daily, closed_months
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from gateway.badges.places import PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


async def a_day_there(here: PlaceAt, there: PlaceAt) -> None:
    """A member of `here` spends five hours at `there`, and `here` has heard of it."""
    number = here.member("zacharie", client="MEL")
    here.office.records.home_lists.look_again()
    await there.office.works.rounds.once()
    there.show(number, home=HERE)
    there.clock.now_ms += 5 * HOUR_MS
    there.show(number, home=HERE)
    await until(lambda: len(visits(here)) == 2)


def visits(place: PlaceAt) -> list[Visit]:
    """Those of other places that this one has."""
    items = [item for cose in place.office.records.exchange.envelopes() for item in read_envelope(cose).items]
    return [item for item in items if isinstance(item, Visit)]


def test_the_homes_software_is_told_of_half_days_elsewhere_once_the_day_is_over(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await a_day_there(here, there)
            told: list[Usage] = []
            daily = Daily(here.office.records, here.folder, told.append)
            await daily.look()
            assert told == []  # the day is not over
            here.clock.now_ms += DAY_MS
            await daily.look()
            (usage,) = told
            assert (usage.member, usage.client, usage.host, usage.day) == ("zacharie", "MEL", THERE, "2018-12-09")
            assert usage.half_days == 1
            await daily.look()
            assert len(told) == 1  # once a day

    asyncio.run(scene())


def test_the_host_tells_nobody_who_its_guests_are(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await a_day_there(here, there)
            told: list[Usage] = []
            there.clock.now_ms += DAY_MS
            await Daily(there.office.records, there.folder, told.append).look()
            assert told == []

    asyncio.run(scene())


def test_lines_are_kept_without_anybody_drawing_up_a_bill_and_outlive_the_visits(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await a_day_there(here, there)
            daily = Daily(here.office.records, here.folder, None)
            for days in (1, 20, 15):  # in December, in December, in January when nothing comes any more
                here.clock.now_ms += days * DAY_MS
                await daily.look()
            with contextlib.closing(Lines(here.folder)) as lines:
                (line,) = lines.all()
                assert (line.home, line.host, line.half_days, line.client) == (HERE, THERE, 1, "MEL")
            here.office.records.exchange.forget(here.clock.utc_ms() // 1_000 + 90 * 86_400, 90)
            assert visits(here) == []
            with contextlib.closing(Lines(here.folder)) as lines:
                assert lines.all() == [line]

    asyncio.run(scene())


def test_a_place_that_is_shut_for_weeks_keeps_the_lines_of_both_months_before(tmp_path: Path) -> None:
    """Shut from before the eleventh of January on, which is when December is closed, into February."""

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await a_day_there(here, there)
            here.clock.now_ms += 58 * DAY_MS
            await Daily(here.office.records, here.folder, None).look()
            with contextlib.closing(Lines(here.folder)) as lines:
                assert [line.period for line in lines.all()] == ["2018-12"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("today", "closed"),
    [
        ("2018-12-10", ["2018-10", "2018-09"]),
        ("2018-12-11", ["2018-11", "2018-10"]),
        ("2019-01-01", ["2018-11", "2018-10"]),
        ("2019-03-11", ["2019-02", "2019-01"]),
    ],
)
def test_a_month_is_closed_on_the_eleventh_of_the_next(today: str, closed: list[str]) -> None:
    assert closed_months(datetime.date.fromisoformat(today)) == closed


def test_a_damaged_file_stops_the_day_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await a_day_there(here, there)
            here.clock.now_ms += DAY_MS
            spoil(here.folder / "exchange.db")
            told: list[Usage] = []
            daily = Daily(here.office.records, here.folder, told.append)
            await daily.look()
            assert told == []
            assert "day not closed" in caplog.text

    asyncio.run(scene())


def spoil(path: Path) -> None:
    """Every page but the first, as a dying card leaves them."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def test_a_month_in_which_nobody_went_anywhere_is_gone_through_once(tmp_path: Path) -> None:
    """Every day after the tenth all visits were read, because there was no line of the month before."""

    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            daily, days = Daily(here.office.records, here.folder, None), list[int]()
            sys.addaudithook(lambda name, told: days.append(day[0]) if is_journal(name, told) else None)
            for day[0] in range(1, 25):
                here.clock.now_ms += DAY_MS
                await daily.look()
            assert set(days) == {1, 2}  # October and September on the tenth of December, November on the eleventh

    def is_journal(name: str, told: tuple[object, ...]) -> bool:
        return name == "sqlite3.connect" and str(tmp_path) in str(told[0]) and "exchange.db" in str(told[0])

    day = [0]
    asyncio.run(scene())
