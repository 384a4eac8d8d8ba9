"""A guest place, its neighbour's gateway and a partner: cards and visits go both ways through running gateways."""

import asyncio
from pathlib import Path

import httpx

from balise_gateway.badges.cards import keys
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.badges.desk_page.places import folder_of
from balise_gateway.badges.showing import Showing
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit, VisitMapping
from balise_wire.places import Place, Table, sign_table
from balise_wire.visits import visit_of
from gateway.badges.places import FEDERATION, PlaceAt, places
from gateway.support import until

HERE, THERE, GUEST = "coroutine.example", "mappemonde.example", "hangar.example"


def guest_entry(here: PlaceAt) -> Place:
    own, base = keys.load_or_make(folder_of(here.folder, GUEST)), f"https://{HERE}/badge"
    signs, lists = (own.signer.public_key,), f"{base}/v1/of/{GUEST}/lists"
    return Place(GUEST, "Hangar", "hangar", signs, own.box_public, (here.signer.public_key,), "", lists, base)


def visits_at(place: PlaceAt, *, cancelled: bool = False) -> list[tuple[str, str, bytes, str]]:
    """(host, home, who, via) of the visits that partners have delivered, or how many of them were taken back."""
    items = [item for cose in place.office.records.exchange.envelopes() for item in read_envelope(cose).items]
    if cancelled:
        return [(str(i.map["host"]), str(i.map["home"]), b"", "") for i in items if isinstance(i, VisitMapping)]
    records = [visit_of(item.map) for item in items if isinstance(item, Visit)]
    return [(record.host, record.home, record.who, record.via) for record in records]


async def typed(here: PlaceAt, deed: str, token: str, **fields: str) -> str:
    transport = httpx.ASGITransport(here.roads.apps[HERE])
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HERE}") as client:
        bearer = {"Authorization": f"Bearer {token}"}
        answer = await client.post(f"/badge/desk/{deed}", data=fields, headers=bearer)
        return answer.headers["location"]


def test_a_guest_place_takes_part_without_a_gateway(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            token = desk_keys.give(here.folder, GUEST, "Hangar")
            entries = (here.entry(), there.entry(), guest_entry(here))
            table = sign_table(FEDERATION, Table(2, here.clock.utc_ms() // 1000, entries))
            for place in made.values():
                place.office.records.cache.take(table)
            number = there.member("zoe")
            await here.office.works.guest_rounds.once()

            assert "done=in" in await typed(here, "record", token, number=number)
            year = 2018
            who = there.keys.who("zoe", GUEST, year)
            await until(lambda: visits_at(there) == [(GUEST, THERE, who, "desk")])

            guest = here.office.works.guests.of(GUEST)
            assert guest is not None
            tap = guest.today()[0].tap
            assert "done=cancel" in await typed(here, "cancel", token, tap=str(tap))
            await until(lambda: len(visits_at(there, cancelled=True)) == 1)

            assert "done=enter" in await typed(here, "enter", token, name="Anne Martin")
            (member,) = guest.subscribers()
            (card,) = guest.register.cards(member.id)
            await there.office.works.rounds.once()
            shown: Showing = there.show(card.number, home=GUEST)
            assert (shown.state, shown.reason, shown.direction) == ("accepted", "", "in")
            who = guest.keys.who(member.id, THERE, year)
            await until(lambda: (THERE, GUEST, who, "card") in visits_at(here))

    asyncio.run(scene())
