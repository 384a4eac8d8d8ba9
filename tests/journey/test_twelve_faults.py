"""The twelve faults of the first system of badges, each played on whole places, ending where it would have shown."""

import asyncio
import base64
import hashlib
import re
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from balise_gateway.badges.billing import agreement, signatures
from balise_gateway.badges.billing.sessions import Session
from balise_gateway.badges.billing.settlement import settle
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.showing import Showing
from balise_gateway.clock import UNKNOWN_MS
from balise_wire import card
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit
from balise_wire.places import Table
from gateway.badges.places import PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
ROOT = Path(__file__).parents[2]
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
Scene = Callable[[PlaceAt, PlaceAt], Coroutine[Any, Any, None]]


def played(folder: Path, scene: Scene) -> None:
    async def whole() -> None:
        async with places(folder, HERE, THERE) as made:
            await scene(*made.values())

    asyncio.run(whole())


async def lists_told(*made: PlaceAt) -> None:
    for place in made:
        place.office.records.home_lists.look_again()
    for place in made:
        await place.office.works.rounds.once()


def visits_at(place: PlaceAt) -> list[Visit]:
    envelopes = place.office.records.exchange.envelopes()
    return [item for cose in envelopes for item in read_envelope(cose).items if isinstance(item, Visit)]


async def all_said(place: PlaceAt, visits: int) -> None:
    """So many visits of this place are signed in its home log."""

    def signed() -> bool:
        items = [item for cose in own_visits(place.folder) for item in read_envelope(cose).items]
        return sum(isinstance(item, Visit) for item in items) >= visits

    await until(signed)


def sessions_from(place: PlaceAt, table: Table) -> list[Session]:
    """As this place's own copy has them."""
    inputs = Inputs(Trust.of([], table))
    for cose in (*own_visits(place.folder), *place.office.records.exchange.envelopes()):
        inputs.add_envelope(cose)
    told = agreement.load(place.folder.parent / "agreement.toml")
    return list(settle(inputs, told, signatures.check(told.path, told.raw, told.places, {}), None).sessions)


def table_of(*made: PlaceAt) -> Table:
    return Table(1, 0, tuple(place.entry() for place in made))


def test_1_no_secret_lies_in_the_repository() -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    token = re.compile(rb"(?:api_key|api_secret|password)\s*=\s*[\"'][0-9a-f]{15}[\"']")
    found = [
        n.decode()
        for n in names
        if n and (ROOT / n.decode()).is_file() and token.search((ROOT / n.decode()).read_bytes())
    ]
    assert found == []


def test_2_without_a_link_a_stranger_is_not_green(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        lost = there.member("lost")
        there.office.records.register.revoke(lost, "lost", 17_874)
        await lists_told(here, there)
        here.roads.cut.add(THERE)
        strange = card.make_number(b"nobody")
        shown = [here.show(strange), here.show(lost, home=THERE), here.show(uid=b"\xde\xad\xbe\xef")]
        assert {each.state for each in shown} == {"unknown"}

    played(tmp_path, scene)


def test_3_neither_a_crash_nor_a_lost_answer_loses_or_doubles_a_visit(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number, partners = here.member("anne"), {THERE: there.keys.signer.public_key}
        for _ in range(4):  # the power goes right behind each tap
            here.show(number)
            await here.crash()
            here.clock.now_ms += HOUR_MS
            await here.start(here.config(partners))
        here.roads.lose_answers_of.add(THERE)
        here.show(number)
        await until(lambda: len(visits_at(there)) == 5)
        here.roads.lose_answers_of.clear()
        here.show(number)
        await until(lambda: len(visits_at(there)) >= 6)
        assert sorted(visit.map["tap"] for visit in visits_at(there)) == [1, 2, 3, 4, 5, 6]

    played(tmp_path, scene)


def test_4_four_taps_within_a_minute_are_one_arrival(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number = here.member("anne")
        for _ in range(4):
            assert here.show(number).direction == "in"
            here.clock.now_ms += 12_000
        await all_said(here, 4)
        (session,) = sessions_from(here, table_of(here, there))
        assert (session.leave_utc, session.flags) == (None, ("no_exit",))

    played(tmp_path, scene)


def test_5_two_colleagues_on_one_day_are_two(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        numbers = [here.member("anne", client="MEL"), here.member("bilal", client="MEL")]
        assert [here.show(number).direction for number in numbers] == ["in", "in"]
        here.clock.now_ms += 5 * HOUR_MS
        assert [here.show(number).direction for number in numbers] == ["out", "out"]
        await all_said(here, 4)
        assert len(sessions_from(here, table_of(here, there))) == 2

    played(tmp_path, scene)


def test_6_a_third_tap_does_not_block_the_day(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number = here.member("anne")
        told = []
        for _ in range(4):
            told.append(here.show(number).direction)
            here.clock.now_ms += HOUR_MS
        assert told == ["in", "out", "in", "out"]
        await all_said(here, 4)
        (session,) = sessions_from(here, table_of(here, there))
        assert (session.half_days, session.flags) == (1, ())

    played(tmp_path, scene)


def test_7_what_was_stored_off_line_and_sent_after_midnight_pairs_all_the_same(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number = there.member("zoe")
        await lists_told(here, there)
        here.roads.cut.add(THERE)
        here.clock.now_ms += 13 * HOUR_MS  # 22:00 in Paris
        here.show(number, home=THERE)
        here.clock.now_ms += 3 * HOUR_MS  # behind midnight
        here.show(number, home=THERE)
        here.clock.now_ms += 30 * HOUR_MS
        here.roads.cut.clear()
        await until(lambda: len(visits_at(there)) == 2)
        (session,) = sessions_from(there, table_of(here, there))
        assert (session.day.isoformat(), session.half_days, session.flags) == ("2018-12-09", 1, ())

    played(tmp_path, scene)


def test_8_a_forgotten_exit_is_billed_and_the_next_day_begins_anew(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number = here.member("anne")
        here.show(number)
        here.clock.now_ms += 24 * HOUR_MS
        assert here.show(number).direction == "in"
        await all_said(here, 2)
        assert [s.half_days for s in sessions_from(here, table_of(here, there))] == [1, 1]

    played(tmp_path, scene)


def test_9_what_is_left_is_shown_with_its_date_and_nobody_is_sent_away(tmp_path: Path) -> None:
    credit = tmp_path / "credit.csv"
    credit.write_text("member;half_days;as_of\nanne;3;2018-12-08\nbilal;0;2018-12-08\n", encoding="utf-8")
    extra = f'[[connector]]\nkind = "credit_file"\nfile = "{credit}"'

    async def scene() -> None:
        async with places(tmp_path, HERE, extra=extra) as made:
            here = made[HERE]
            numbers = {who: here.member(who) for who in ("anne", "bilal")}

            def shown(who: str) -> Showing:
                return here.show(numbers[who])

            await until(lambda: shown("anne").credit_half_days == 3 and shown("bilal").credit_half_days == 0)
            assert shown("anne").credit_utc_s == 1_544_270_400  # 2018-12-08T12:00:00Z
            assert (shown("bilal").state, shown("bilal").direction) == ("no_credit", "in")

    asyncio.run(scene())


def test_10_a_clock_that_nobody_set_is_not_trusted_and_its_visits_count_later(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number, came_s = here.member("anne"), here.clock.utc_ms() // 1_000
        here.clock.unsure_ms = UNKNOWN_MS
        assert here.show(number).reason == "no clock"
        here.clock.now_ms += HOUR_MS
        here.clock.unsure_ms = 20
        here.office.wake()
        await all_said(here, 1)
        (session,) = sessions_from(here, table_of(here, there))
        assert abs(session.arrive_utc - came_s) <= 2

    played(tmp_path, scene)


def test_11_no_file_holds_a_uid_or_a_bare_hash_of_one(tmp_path: Path) -> None:
    uids = [bytes.fromhex("a1b2c33d"), bytes.fromhex("04a1b2c3d4e5f6")]

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        for number, uid in enumerate(uids):
            there.member(f"member {number}", uid=uid)
        await lists_told(here, there)
        for uid in uids:
            assert here.show(uid=uid).state == "accepted"
            there.show(uid=uid)
        await until(lambda: len(visits_at(there)) == 2)
        assert not any(uid.hex() in str(place.gateway.status()) for place in (here, there) for uid in uids)  # type: ignore[union-attr]

    played(tmp_path, scene)
    forms = [form for uid in uids for form in _forms_of(uid)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [(path.name, form) for path in files for form in forms if form in path.read_bytes()] == []


def _forms_of(uid: bytes) -> list[bytes]:
    hashes = [hashlib.new(name, uid).digest() for name in ("sha256", "sha1", "md5")]
    text = [uid.hex(), uid.hex().upper(), uid.hex(":"), base64.b64encode(uid).decode()]
    return [uid, *(each.encode() for each in text), *hashes, *(digest.hex().encode() for digest in hashes)]


def test_12_long_uids_work_late_visits_count_and_each_copy_gives_the_bill(tmp_path: Path) -> None:
    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        uids = [bytes(range(1, 8)), bytes(range(1, 11))]
        for number, uid in enumerate(uids):
            there.member(f"member {number}", uid=uid)
        await lists_told(here, there)
        here.roads.cut.add(THERE)
        for uid in uids:
            assert here.show(uid=uid).state == "accepted"
        there.show(uid=uids[0])
        here.clock.now_ms += 48 * HOUR_MS
        here.roads.cut.clear()
        await until(lambda: len(visits_at(there)) == 2 and len(visits_at(here)) == 1)
        await all_said(here, 2)
        await all_said(there, 1)
        table = table_of(here, there)
        assert [s.document() for s in sessions_from(here, table)] == [s.document() for s in sessions_from(there, table)]

    played(tmp_path, scene)
