"""The desk page of a place with a gateway: a forgotten card, a reader that was unplugged, an exit that nobody noted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from typer.testing import CliRunner

from balise_gateway import keys as gateway_keys
from balise_gateway.badges.billing import agreement, settlement
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.badges.desk_page.book import TypedBook
from balise_gateway.badges.desk_page.places import TAPS_OF_A_PLACE
from balise_gateway.badges.federation.sequence import own_visits
from balise_tools.badge import app as commands
from balise_wire.card import printed
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from balise_wire.visits import VisitRecord, visit_of
from gateway.badges.federation.places import HOME
from gateway.badges.federation.test_federation_cli import config
from gateway.badges.places import PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SITE = f"https://{HERE}"
MEMBER = "zacharie@here"


class Browser:
    """Somebody at the desk of `here`."""

    def __init__(self, here: PlaceAt) -> None:
        assert here.gateway is not None
        self._token = desk_keys.give(here.folder, HERE, "La Coroutine")
        transport = httpx.ASGITransport(Starlette(routes=here.gateway.pages()))
        self._client = httpx.AsyncClient(transport=transport, base_url=SITE)

    async def page(self) -> str:
        return (await self._client.get("/badge/desk", headers={"Authorization": f"Bearer {self._token}"})).text

    async def do(self, deed: str, **fields: str) -> str:
        """What the page says then, as its address."""
        bearer = {"Authorization": f"Bearer {self._token}"}
        answer = await self._client.post(f"/badge/desk/{deed}", data=fields, headers=bearer)
        return answer.headers["location"].partition("?")[2]

    async def close(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def desk(folder: Path, extra: str = "") -> AsyncIterator[tuple[PlaceAt, PlaceAt, Browser]]:
    async with places(folder, HERE, THERE, extra=extra) as made:
        here, there = made.values()
        browser = Browser(here)
        try:
            yield here, there, browser
        finally:
            await browser.close()


def visits_of(place: PlaceAt) -> list[VisitRecord]:
    items = [item for cose in own_visits(place.folder) for item in read_envelope(cose).items]
    return [visit_of(item.map) for item in items if isinstance(item, Visit)]


async def signed(place: PlaceAt, number: int) -> list[VisitRecord]:
    await until(lambda: len(visits_of(place)) == number)
    return sorted(visits_of(place), key=lambda visit: visit.t)


def lines_of(page: str) -> list[tuple[str, str]]:
    """(who, direction) of each visit of today, the newest first."""
    rows = page.partition("<h2>Aujourd’hui</h2>")[2].partition("</table>")[0].split("<tr>")[1:]
    cells = [row.split("<td>") for row in rows]
    return [(cell[2].partition("</td>")[0], cell[3].partition("</td>")[0]) for cell in cells]


def test_who_came_with_a_card_and_leaves_without_it_is_typed_and_pairs(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, _, browser):
            number = here.member(MEMBER)
            assert here.show(number).direction == "in"
            here.clock.now_ms += 4 * HOUR_MS
            assert MEMBER in await browser.page()
            assert (await browser.do("record", member=MEMBER)).startswith("done=out")
            assert lines_of(await browser.page()) == [(MEMBER, "départ"), (MEMBER, "arrivée")]
            here.clock.now_ms += HOUR_MS
            assert here.show(number).direction == "in"  # the reader knows what was typed
            first, second, third = await signed(here, 3)
            assert (first.who, first.via, first.tap) == (second.who, "card", 1)
            assert (second.via, second.grade, second.tap) == ("desk", 0, TAPS_OF_A_PLACE + 1)
            assert third.who == first.who

    asyncio.run(scene())
    told = agreement.load(tmp_path / "agreement.toml")
    inputs = Inputs(Trust.of([gateway_keys.load(tmp_path / HERE).public_key], None))
    for cose in own_visits(tmp_path / HERE):
        inputs.add_envelope(cose)
    (line,) = settlement.sessions_in(inputs, told)
    assert (line.half_days, "no_exit" in line.flags) == (1, True)


def test_a_visitor_of_another_home_is_typed_by_number_and_reaches_the_home(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, there, browser):
            number = there.member("guest@there")
            there.office.records.home_lists.look_again()
            await here.office.works.rounds.once()
            assert (await browser.do("record", number=printed(number))).startswith("done=in")
            assert lines_of(await browser.page()) == [(f"Visiteur de {THERE}", "arrivée")]
            await until(lambda: here.office.works.guests.all()[0].book.unsaid() == [])
            await until(lambda: len(list(there.office.records.exchange.envelopes())) == 1)

    asyncio.run(scene())


def test_what_a_reader_saw_is_not_typed_again_and_not_cancelled(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, _, browser):
            number = here.member(MEMBER)
            here.show(number)
            here.clock.now_ms += 60_000
            assert await browser.do("record", member=MEMBER) == "bad=twice"
            assert await browser.do("cancel", tap="1") == "bad=gone"
            here.show(number)  # the same tap again, by the agreement
            assert lines_of(await browser.page()) == [(MEMBER, "arrivée")]
            here.clock.now_ms += HOUR_MS
            await browser.do("record", member=MEMBER)
            tap = str(TAPS_OF_A_PLACE + 1)
            assert await browser.do("cancel", tap=tap) == "done=cancel"
            assert here.show(number).direction == "out"  # what was cancelled does not count

    asyncio.run(scene())


def test_without_software_of_its_own_a_place_enters_members_at_its_desk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, _, browser):
            assert await browser.do("enter", name="Anne Martin") == "done=enter"
            (member,) = here.office.records.register.members()
            assert member.name == "Anne Martin"
            (card,) = here.office.records.register.cards(member.id)
            assert printed(card.number) in await browser.page()
            assert here.show(card.number).state == "accepted"

    asyncio.run(scene())


def test_where_other_software_names_the_members_the_desk_does_not(tmp_path: Path) -> None:
    told = f'[[connector]]\nkind = "csv_mail"\nhost = "localhost"\nfolder = "{tmp_path / "mails"}"\n'
    told += 'sender = "a@example.org"\nrecipients = ["b@example.org"]\n'

    async def scene() -> None:
        async with desk(tmp_path, told) as (here, _, browser):
            here.member(MEMBER)
            page = await browser.page()
            assert "Ajouter un abonné" not in page
            assert "logiciel du lieu" in page
            assert await browser.do("enter", name="Anne Martin") == "bad=elsewhere"
            assert await browser.do("end", member=MEMBER) == "bad=elsewhere"
            assert [member.id for member in here.office.records.register.members()] == [MEMBER]

    asyncio.run(scene())


def test_a_desk_that_cannot_be_read_holds_up_no_card(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, _, _browser):
            (here.folder / desk_keys.FILE_NAME).write_text("{", encoding="utf-8")
            assert here.show(here.member(MEMBER)).state == "accepted"

    asyncio.run(scene())


def test_the_own_desk_has_no_keys_and_no_entry_of_its_own(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        found = CliRunner().invoke(commands, ["desk", *words, "-c", str(config(tmp_path))])
        return found.exit_code, found.output

    code, said = run("add", HOME)
    assert code == 0, said
    assert not (tmp_path / "data" / "places").exists()
    code, said = run("card", HOME)
    assert code == 1
    assert "balise badge place card" in said


def test_an_erased_member_s_typed_visits_go_too(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, _, browser):
            here.member(MEMBER)
            here.member("other@here")
            await browser.do("record", member=MEMBER)
            await browser.do("record", member="other@here")
            here.office.records.register.end_member(MEMBER, here.clock.utc_ms() // DAY_MS)

    asyncio.run(scene())
    told = tmp_path / HERE / "place.toml"
    told.write_text(f'[gateway]\ndata_dir = "{tmp_path / HERE}"\n[badge]\nplace = "{HERE}"\n', encoding="utf-8")
    done = CliRunner().invoke(commands, ["erase-member", MEMBER, "-c", str(told)])
    assert (done.exit_code, done.output.splitlines()[0]) == (0, f"{MEMBER} is erased; taps erased here: 1")
    with contextlib.closing(TypedBook(tmp_path / HERE, 0)) as book:
        assert [visit.member for visit in book.since(0)] == ["other@here"]
    files = [path.read_bytes() for path in (tmp_path / HERE).glob("typed.db*")]
    assert not any(MEMBER.encode() in data for data in files)


def test_guest_lists_are_not_told_of_the_own_place(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as (here, _, _browser):
            assert here.office.works.guests.lists_of(HERE) is None
            assert here.office.works.guests.open_guests() == []

    asyncio.run(scene())
