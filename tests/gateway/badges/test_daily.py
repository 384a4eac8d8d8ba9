"""Once a day: half-days for the place's own software, and billing lines while the visits are still there."""

import asyncio
import contextlib
import sys
from pathlib import Path

from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.connectors import Usage
from balise_gateway.badges.daily import Daily
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
            assert set(days) == {2}  # the clock begins on the ninth of December

    def is_journal(name: str, told: tuple[object, ...]) -> bool:
        return name == "sqlite3.connect" and str(tmp_path) in str(told[0]) and "exchange.db" in str(told[0])

    day = [0]
    asyncio.run(scene())
