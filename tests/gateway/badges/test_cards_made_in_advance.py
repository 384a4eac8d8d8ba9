"""A signed card made in advance, at its home's door and at another place's: before and after it is given out."""

import asyncio
from pathlib import Path

from balise_gateway.badges.register import Blank, Member
from balise_gateway.badges.showing import Showing
from balise_wire import card
from gateway.badges.places import PlaceAt, places

HERE, THERE = "coroutine.example", "mappemonde.example"
UID, NUMBER = bytes.fromhex("04a1b2c3d4e5f6"), card.make_number(bytes([5] * 6))


def test_a_card_that_is_nobodys_is_never_green_and_its_bearers_everywhere_afterwards(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            today = here.clock.utc_ms() // 86_400_000
            record = card.sign_record(here.keys.signer, HERE, NUMBER, today + 300, UID)

            def shown(place: PlaceAt) -> Showing:
                here.clock.now_ms += 600_000
                return place.show(NUMBER, home=HERE, uid=UID, records=((card.RECORD_TYPE, record),))

            await there.office.works.rounds.once()
            here.office.records.register.make_blank(Blank(NUMBER, 1, today + 300), UID, today)
            assert (shown(here).state, shown(here).reason) == ("unknown", "not listed")
            assert shown(there).state == "desk"  # its list is older than the card
            await there.office.works.rounds.once()
            visits = there.office.records.book.visits_since(0)
            assert (shown(there).state, shown(there).reason) == ("unknown", "revoked")
            assert there.office.records.book.visits_since(0) == visits
            here.office.records.register.put_member(Member("ada"))
            here.office.records.register.issue(NUMBER, "ada", today)
            assert shown(here).state == "accepted"
            here.clock.now_ms += 600_000
            await there.office.works.rounds.once()
            assert (shown(there).state, shown(there).grade) == ("accepted", 1)

    asyncio.run(scene())
