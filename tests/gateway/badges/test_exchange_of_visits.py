"""Visits from one place's door to every other place's copy: through the real uplink, whatever the link does."""

import asyncio
from pathlib import Path

from balise_gateway.badges.billing import agreement, settlement
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit, VisitMapping
from balise_wire.visits import visit_of
from gateway.badges.places import PlaceAt, places
from gateway.support import until

HERE, THERE, ELSEWHERE = "coroutine.example", "mappemonde.example", "labaux.example"


def visits_at(place: PlaceAt) -> list[tuple[str, int]]:
    """(host, tap) of every visit of other places that this one holds."""
    items = [item for cose in place.office.records.exchange.envelopes() for item in read_envelope(cose).items]
    return sorted((r.host, r.tap) for item in items if isinstance(item, Visit) for r in [visit_of(item.map)])


def mappings_at(place: PlaceAt) -> int:
    items = [item for cose in place.office.records.exchange.envelopes() for item in read_envelope(cose).items]
    return sum(isinstance(item, VisitMapping) for item in items)


def test_every_place_gets_every_visit_once_although_links_are_cut_answers_lost_and_power_gone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE, ELSEWHERE) as made:
            here, there, elsewhere = made.values()
            number = here.member("anne")
            here.show(number)
            await until(lambda: visits_at(there) == visits_at(elsewhere) == [(HERE, 1)])
            here.roads.cut.add(THERE)
            here.clock.now_ms += 3_600_000
            here.show(number)
            await until(lambda: len(visits_at(elsewhere)) == 2)
            assert len(visits_at(there)) == 1
            here.roads.cut.clear()
            here.roads.lose_answers_of.add(THERE)
            here.clock.now_ms += 3_600_000
            here.show(number)
            await until(lambda: len(visits_at(there)) == 3)
            here.roads.lose_answers_of.clear()
            here.show(number)
            await here.crash()
            await here.start(here.config({p.name: p.keys.signer.public_key for p in (there, elsewhere)}))
            await until(lambda: len(visits_at(there)) == len(visits_at(elsewhere)) == 4)
            assert visits_at(there) == [(HERE, tap) for tap in (1, 2, 3, 4)]

    asyncio.run(scene())


def test_a_mapping_follows_its_visit_to_the_partners(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            here.roads.cut.add(THERE)
            number = there.member("zoe")
            assert here.show(number, home=THERE).reason == "no list"
            here.roads.cut.clear()
            await here.office.works.rounds.once()
            await until(lambda: visits_at(there) == [(HERE, 1)] and mappings_at(there) == 1)

    asyncio.run(scene())


def test_a_place_cannot_speak_for_another(tmp_path: Path) -> None:
    """The envelope of a stranger, or of a partner about somebody else's door, is refused by name and counted."""

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            there.office.works.sayer._place = "labaux.example"  # a gateway that was tampered with
            there.show(there.member("zoe"))
            there.office._say()
            await until(lambda: here.office.records.exchange.status()["refused"])
            assert "foreign host" in str(here.office.records.exchange.status()["refused"])
            assert visits_at(here) == []

    asyncio.run(scene())


def test_the_agreement_of_these_places_can_be_read(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE):
            told = agreement.load(tmp_path / "agreement.toml")
            assert set(told.places) == {HERE, THERE}
            assert settlement.check_period("2018-12") == "2018-12"

    asyncio.run(scene())
