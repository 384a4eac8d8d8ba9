"""A host that asks its keeper and its homes over HTTP: what it has afterwards, and when somebody is away."""

import asyncio
import contextlib
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from balise_gateway.badges.federation.home_lists import LOOK_S, STEP, Card, HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.paths import list_routes, table_route
from balise_gateway.badges.federation.rounds import Rounds
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.settings import BadgeSettings
from balise_wire.card_list import LOST
from gateway.badges.federation.net import Net, app
from gateway.badges.federation.places import (
    FEDERATION,
    HOME,
    HOST,
    KEYS,
    NOW_S,
    PARIS,
    THIRD,
    Cards,
    cache,
    place,
    signed,
)
from gateway.badges.virtual import PatientLoop

ONE, TWO = Card("0000000001", "anne", None, "", 7), Card("0000000002", "bob")


class Town:
    """A keeper, two homes and a host."""

    def __init__(self, folder: Path) -> None:
        self.now_s = NOW_S
        places = [place(name, lists=f"https://{name}/badge/v1/lists") for name in (HOME, THIRD)] + [place(HOST)]
        self.keeper = cache(folder / "keeper", data=signed(1, places))
        self.registers = {HOME: Cards(ONE), THIRD: Cards(TWO)}
        self.homes = {
            name: HomeLists(folder / name, name, KEYS[name], cards, lambda: self.keeper.table)
            for name, cards in self.registers.items()
        }
        apps = {
            name: app(*list_routes(lists, lambda: self.now_s, PARIS, Pace(600, lambda: 0.0)))
            for name, lists in self.homes.items()
        }
        self.net = Net({"keeper.example": app(table_route(self.keeper)), **apps})
        key, url = FEDERATION.public_key, "https://keeper.example/badge/v1/table"
        self.table = TableCache(folder / "host", key)
        self.lists = CardLists(folder / "host", HOST, KEYS[HOST], lambda: self.table.table)
        settings = BadgeSettings(place=HOST, table_key=key, table_url=url)
        self.news: list[int] = []
        told = (self.table, self.lists, lambda: self.now_s, self.net)
        self.rounds = Rounds(settings, *told, lambda: self.news.append(self.now_s))

    def go(self, later_s: int = LOOK_S) -> None:
        self.now_s += later_s
        self.net.asked.clear()
        asyncio.run(self.once())

    async def once(self) -> None:
        await self.rounds.once()
        await self.rounds.close()

    def run(self, for_s: float, every_s: float) -> None:
        """So long on virtual time."""

        async def scene() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(for_s):
                    await self.rounds.run(every_s)
            await self.rounds.close()

        loop = PatientLoop()
        loop.run_until_complete(scene())
        loop.close()

    def asked_of(self, name: str) -> int:
        return sum(f"https://{name}/" in each for each in self.net.asked)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_one_round_brings_the_table_and_every_homes_list(town: Town) -> None:
    town.go()
    assert town.table.table is not None
    assert town.lists.by_number(HOME, ONE.number) is not None
    assert town.lists.by_number(THIRD, TWO.number) is not None
    assert town.table.status(town.now_s)["age_s"] == 0
    assert not town.rounds.away


def test_the_next_round_asks_for_what_changed_and_gets_no_more(town: Town) -> None:
    town.go()
    town.go()
    assert f"GET https://{HOME}/badge/v1/lists/{HOST}?from={STEP}" in town.net.asked
    assert len(town.news) == 2  # one for each home, and none when there was nothing new
    town.registers[HOME].revoke(ONE.number, LOST)
    town.go()
    found = town.lists.by_number(HOME, ONE.number)
    assert found is not None
    assert found.revoked == "lost"


def test_who_is_away_is_named_and_holds_up_nobody(town: Town) -> None:
    town.net.down = {"keeper.example", HOME}
    town.table.take(town.keeper.signed())
    town.go()
    assert set(town.rounds.away) == {"table", HOME}
    assert town.lists.by_number(THIRD, TWO.number) is not None
    town.net.down.clear()
    town.go()
    assert not town.rounds.away
    assert town.lists.by_number(HOME, ONE.number) is not None


def test_a_gap_is_closed_with_the_whole_list(town: Town) -> None:
    town.go()

    async def with_a_gap(request: httpx.Request) -> object:
        from starlette.responses import Response

        base = int(request.url.query[5:] or 0)  # "from=N"
        asked = 2 * STEP if base else 0  # a server that has forgotten what it was asked for
        return Response(town.homes[HOME].message(HOST, asked, town.now_s, PARIS))

    for number in ("0000000003", "0000000004"):
        town.registers[HOME].cards.append(Card(number, "carl"))
        town.homes[HOME].look_again()
        town.homes[HOME].message(HOST, 0, town.now_s, PARIS)
    town.net.apps[HOME] = httpx.ASGITransport(app(Route("/v1/lists/{host}", with_a_gap)))
    town.go(0)
    assert [told for told in town.net.asked if HOME in told][-1].endswith("?from=0")
    assert town.lists.by_number(HOME, "0000000004") is not None


def test_a_page_of_the_network_instead_of_a_list_changes_nothing(town: Town) -> None:
    async def page(_request: httpx.Request) -> object:
        from starlette.responses import HTMLResponse

        return HTMLResponse("<h1>Wi-Fi</h1>")

    town.net.apps[HOME] = httpx.ASGITransport(app(Route("/v1/lists/{host}", page)))
    town.go()
    assert "page" in town.rounds.away[HOME]
    assert town.lists.number_of(HOME) == 0


def test_wrong_questions_get_a_reason(town: Town) -> None:
    async def answers() -> list[tuple[int, str]]:
        asked = (
            f"{HOST}?from=x",
            f"{HOST}?from=-1",
            f"{HOST}?from={'9' * 40}",
            "nobody.example",
            "NOT%20A%20PLACE",
            HOME,
        )
        async with httpx.AsyncClient(transport=town.net) as client:
            found = [await client.get(f"https://{HOME}/badge/v1/lists/{each}") for each in asked]
        return [(each.status_code, each.json()["error"]) for each in found]

    bad = (400, "malformed")
    assert asyncio.run(answers()) == [bad, bad, bad, (404, "unknown place"), bad, (404, "unknown place")]


def test_who_is_away_is_asked_again_less_and_less_often_and_nobody_else_is(town: Town) -> None:
    """A place that is closed for a month made every other place ask everybody once a minute."""
    town.net.down.add(THIRD)
    town.run(for_s=3_599, every_s=3_600)
    assert town.asked_of(THIRD) == 1 + 5  # after 1, 3, 7, 15 and 31 minutes
    assert town.asked_of(HOME) == 1
    town.net.asked.clear()
    town.run(for_s=3_650, every_s=3_600)
    assert town.asked_of(HOME) == 2


def test_after_a_keeper_that_was_away_all_homes_of_the_new_table_are_asked(town: Town) -> None:
    town.net.down.add("keeper.example")
    town.go()
    assert town.asked_of(HOME) == 0
    town.net.down.clear()
    asyncio.run(town.rounds.again())
    assert town.lists.by_number(HOME, ONE.number) is not None
    assert not town.rounds.away
