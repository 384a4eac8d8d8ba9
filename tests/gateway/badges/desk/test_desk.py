"""One place's desk, whole: a real register, real lists, a real journal; only the card is handed in."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from balise_gateway.badges.desk.finding import Bearer
from balise_gateway.badges.register import Member
from balise_gateway.badges.seen import Seen
from balise_gateway.clock import UNKNOWN_MS
from balise_gateway.journal import tables
from balise_wire import card
from gateway.badges.places import PlaceAt, places

HERE, THERE = "coroutine.example", "mappemonde.example"
Scene = Callable[[dict[str, PlaceAt]], Coroutine[Any, Any, None]]


def played(folder: Path, scene: Scene, *names: str) -> None:
    async def whole() -> None:
        async with places(folder, *(names or (HERE, THERE))) as made:
            await scene(made)

    asyncio.run(whole())


async def exchange_lists(made: dict[str, PlaceAt]) -> None:
    for place in made.values():
        place.office.records.home_lists.look_again()
    for place in made.values():
        await place.office.works.rounds.once()
        assert place.office.works.rounds.away == {} or place.roads.cut


def test_a_member_comes_in_and_leaves(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        number = here.member("anne")
        assert (here.show(number).state, here.show(number).direction) == ("accepted", "in")
        here.clock.now_ms += 4 * 3_600_000
        assert here.show(number).direction == "out"

    played(tmp_path, scene)


def test_whoever_nobody_knows_is_unknown_and_counted(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        stranger = card.make_number(b"nobody")
        assert here.show(stranger).state == "unknown"
        assert here.show(stranger, home="elsewhere.example").state == "unknown"
        assert here.show(uid=bytes.fromhex("deadbeef")).state == "unknown"
        assert here.office.take(Seen("card", "door")).showing.reason == "unreadable"
        assert here.office.records.book.counts() == {"unknown: not listed": 3, "unknown: unreadable": 1}

    played(tmp_path, scene)


def test_a_number_that_anybody_could_print_is_not_taken_where_the_list_is_new(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        await exchange_lists(made)
        shown = made[HERE].show(card.make_number(b"nobody"), home=THERE)
        assert (shown.state, shown.reason) == ("unknown", "not listed")

    played(tmp_path, scene)


def test_a_card_whose_last_day_is_over_has_expired_and_was_not_revoked(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        register, today = here.office.records.register, here.clock.utc_ms() // 86_400_000
        number = card.make_number(b"anne~~")
        register.put_member(Member("anne"))
        register.issue(number, "anne", today, grade=0, last_day=today)
        assert here.show(number).state == "accepted"
        here.clock.now_ms += 86_400_000
        assert here.show(number).reason == "expired"
        register.revoke(number, "lost", today)
        assert here.show(number).reason == "revoked"

    played(tmp_path, scene)


def test_a_clock_that_was_set_back_does_not_pair_with_taps_that_are_still_to_come(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        number = here.member("anne")
        here.show(number)
        here.clock.now_ms += 3_600_000
        assert here.show(number).direction == "out"
        here.clock.now_ms -= 2 * 3_600_000
        assert here.show(number).direction == "in"

    played(tmp_path, scene)


def test_a_guest_of_a_year_that_the_list_does_not_have_is_named_by_the_next_list(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here, there = made[HERE], made[THERE]
        number = there.member("bea")
        await exchange_lists(made)
        here.clock.now_ms += 420 * 86_400_000  # this December's list has this year and the next, and then it is 2020
        assert here.show(number, home=THERE).state == "desk"
        here.office.works.sayer.say()
        (waiting,) = here.office.records.book.provisional()
        assert waiting.year == 2020
        assert here.office.works.sayer.resolve(here.office.records.lists) == 0
        await exchange_lists(made)
        here.office.works.sayer.resolve(here.office.records.lists)
        assert here.office.records.book.provisional() == []
        (tap,) = here.office.records.book.visits_since(0)
        assert tap.who == there.keys.who("bea", HERE, 2020)

    played(tmp_path, scene)


def test_a_guest_is_known_by_the_list_of_their_home_by_number_and_by_uid(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here, there = made[HERE], made[THERE]
        number = there.member("zoe", uid=bytes.fromhex("04a1b2c3d4e5f6"))
        await exchange_lists(made)
        assert here.show(number, home=THERE).state == "accepted"
        assert here.show(uid=bytes.fromhex("04a1b2c3d4e5f6")).state == "accepted"
        (first, second) = here.office.verdicts[-2:]
        assert isinstance(first.bearer, Bearer)
        assert isinstance(second.bearer, Bearer)
        assert first.bearer.who == second.bearer.who == there.keys.who("zoe", HERE, 2018)
        there.office.records.register.revoke(number, "lost", 17_874)
        await exchange_lists(made)
        assert here.show(number, home=THERE).reason == "revoked"
        assert here.show(uid=bytes.fromhex("04a1b2c3d4e5f6")).reason == "revoked"

    played(tmp_path, scene)


def test_a_guest_s_code_with_a_bare_number_is_known_by_the_lists(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here, there = made[HERE], made[THERE]
        number = there.member("zoe")
        await exchange_lists(made)
        verdict = here.office.take(Seen("qr", "scanner", uri=card.printed(number)))
        assert verdict.showing.state == "accepted"
        assert verdict.bearer is not None
        assert (verdict.bearer.home, verdict.bearer.who) == (THERE, there.keys.who("zoe", HERE, 2018))
        there.office.records.register.revoke(number, "lost", 17_874)
        await exchange_lists(made)
        assert here.office.take(Seen("qr", "scanner", uri=number)).showing.reason == "revoked"
        assert here.office.take(Seen("qr", "scanner", uri=card.make_number(b"nobody"))).showing.reason == "not listed"

    played(tmp_path, scene)


def test_without_a_list_a_guest_is_recorded_and_named_later(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here, there = made[HERE], made[THERE]
        made[HERE].roads.cut.add(THERE)
        number = there.member("zoe")
        shown = here.show(number, home=THERE)
        assert (shown.state, shown.reason) == ("desk", "no list")
        here.office._say()
        assert len(here.office.records.book.provisional()) == 1
        here.roads.cut.clear()
        await exchange_lists(made)
        here.office._say()
        assert here.office.records.book.provisional() == []
        kinds = [row[3] for row in tables.ENTRY.read(here.gateway._parts.journal.db)]  # type: ignore[union-attr]
        assert sorted(kinds) in ([4, 8], [8])  # the visit may be in an envelope already

    played(tmp_path, scene)


def test_an_old_list_is_said_to_be_old_and_a_new_one_is_not(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here, there = made[HERE], made[THERE]
        number = there.member("zoe")
        await exchange_lists(made)
        here.roads.cut.add(THERE)
        here.clock.now_ms += 8 * 86_400_000
        shown = here.show(number, home=THERE)
        assert (shown.state, shown.reason, shown.list_age_days) == ("desk", "stale list", 8)
        here.roads.cut.clear()
        await exchange_lists(made)
        assert here.show(number, home=THERE).state == "accepted"

    played(tmp_path, scene)


def test_without_a_clock_the_visit_counts_and_the_desk_is_told(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        number = here.member("anne")
        here.clock.unsure_ms = UNKNOWN_MS
        shown = here.show(number)
        assert (shown.state, shown.reason, shown.direction) == ("desk", "no clock", "")

    played(tmp_path, scene)


def test_what_cannot_be_written_down_is_not_green(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        number = here.member("anne")
        here.office.records.book.db.execute("PRAGMA query_only = ON")
        shown = here.show(number)
        assert (shown.state, shown.reason) == ("desk", "not kept")
        here.office.records.book.db.execute("PRAGMA query_only = OFF")
        assert here.show(number).state == "accepted"

    played(tmp_path, scene)


def test_no_uid_number_or_member_is_in_the_book_of_taps(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        uid = bytes.fromhex("04a1b2c3d4e5f6")
        number = here.member("zacharie@coroutine.example", uid=uid)
        here.show(number, uid=uid)
        here.show(uid=uid)
        here.office.records.book.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    played(tmp_path, scene)
    for name in ("badges.db", "journal.db"):
        found = (tmp_path / HERE / name).read_bytes()
        assert sqlite3.connect(tmp_path / HERE / name).execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        for secret in (
            bytes.fromhex("04a1b2c3d4e5f6"),
            b"04a1b2c3d4e5f6",
            b"zacharie",
            card.make_number(b"xample").encode(),
        ):
            assert secret not in found


def test_the_status_says_how_the_place_is_and_nobody_who_was_there(tmp_path: Path) -> None:
    async def scene(made: dict[str, PlaceAt]) -> None:
        here = made[HERE]
        here.show(here.member("anne"))
        assert here.gateway is not None
        told = here.gateway.status()["badge"]
        assert isinstance(told, dict)
        assert told["place"] == HERE
        assert told["taps"] == {"accepted": 1}
        assert "anne" not in str(told)

    played(tmp_path, scene)
