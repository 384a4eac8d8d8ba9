"""The twelve faults of the first system of badges, each played on whole places, ending where it would have shown.

`gateway/BADGES.md` names them in the same order, and the last test holds that table to these names.
"""

import datetime
import logging
import re
from pathlib import Path

import pytest

from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.log import LOGGER
from balise_sim.nfc.cards import Card
from balise_sim.nfc.cards.mifare_classic import Model as Classic
from balise_sim.nfc.cards.ntag21x import Model as Ntag21x
from balise_sim.nfc.cards.ntag424 import Model as Ntag424
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_wire import card
from contracts.connector_ends import MEMBER, OTHER, dokos
from gateway.badges.places import PlaceAt
from gateway.support import until
from journey import fault_scenes as scenes
from journey.fault_scenes import DAY_MS, HERE, HOUR_MS, THERE

FAST = {"batch_s": 0.1, "home_batch_s": 0.1}


def test_1_no_secret_lies_in_the_repository_or_is_told_by_a_running_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key of the administrator stood in the published configuration file, for all to use."""
    assert scenes.secrets_in(Path("a.py"), b'api_secret = "' + b"0123456789abcde" + b'"')
    assert scenes.secrets_in(Path("a.toml"), b'#  password = "' + b'raspberry"')
    assert [
        (path.name, found) for path in scenes.tracked() if (found := scenes.secrets_in(path, path.read_bytes()))
    ] == []

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        await here.stop()
        await scenes.again(here, there, scenes.with_dokos(tmp_path) + scenes.with_screen())
        site = here.roads.ends["erp.example"] = dokos.End(tmp_path, here.clock)
        site.answer = "401"  # it says all that it was told in its refusal
        here.show(here.member(MEMBER))
        await until(lambda: site.requests and here.office.runner.status()[0]["state"] != "up")
        told = await scenes.told_by(here) + caplog.text.encode()
        assert [each for each in site.secrets if each.encode() in told] == []

    with caplog.at_level(logging.INFO, LOGGER):
        scenes.played(tmp_path, scene)


@pytest.mark.parametrize("way", ["cut", *scenes.NONSENSE])
def test_2_a_card_that_is_not_good_is_never_green_whatever_others_answer(tmp_path: Path, way: str) -> None:
    """Without a link, or with a wrong answer, every card got the green screen."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        lost, good, ended = there.member("lost"), there.member("good"), here.member("ended")
        there.office.records.register.revoke(lost, "lost", here.clock.now_ms // DAY_MS)
        here.office.records.register.revoke(ended, "ended", here.clock.now_ms // DAY_MS)
        over = card.make_number(b"over~~")
        here.member("over")
        here.office.records.register.issue(over, "over", 17_000, last_day=17_001)
        await scenes.lists_told(here, there)
        if way == "cut":
            here.roads.cut |= {THERE, "erp.example"}
        else:
            here.roads.ends |= dict.fromkeys((THERE, "erp.example"), scenes.Nonsense(way))
        await scenes.lists_told(here)
        strange, homeless = card.make_number(b"nobody"), "nowhere.example"
        shown = {
            "unknown at home": here.show(strange),
            "unknown elsewhere": here.show(strange, home=THERE),
            "unknown home": here.show(strange, home=homeless),
            "unknown UID": here.show(uid=b"\xde\xad\xbe\xef"),
            "lost": here.show(lost, home=THERE),
            "ended": here.show(ended),
            "expired": here.show(over),
        }
        assert {name for name, each in shown.items() if each.state != "unknown"} == set()
        assert here.show(good, home=THERE).state == "accepted"
        here.clock.now_ms += 8 * DAY_MS  # the link has been down for so long
        old = here.show(good, home=THERE)
        assert (old.state, old.reason) == ("desk", "stale list")
        await scenes.all_said(here, 2)
        assert len(scenes.visits_in(own_visits(here.folder))) == 2

    scenes.played(tmp_path, scene, scenes.with_dokos(tmp_path))


def test_3_neither_a_crash_at_any_step_nor_a_lost_answer_loses_or_doubles_a_visit(tmp_path: Path) -> None:
    """The log was deleted before it was sent: a crash lost the visits, and a lost answer doubled them."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number, slow = here.member("anne"), {"batch_s": 600.0, "home_batch_s": 600.0}

        async def power_goes(disk: bool = False) -> None:
            await here.crash()
            if disk:
                scenes.forget_that_it_was_said(here.folder)
            here.clock.now_ms += HOUR_MS

        here.show(number)  # only the book has it
        await power_goes()
        await scenes.again(here, there, **slow)
        here.show(number)  # the journal has it, and the book does not know that yet
        await until(lambda: scenes.said(here))
        await power_goes(disk=True)
        await scenes.again(here, there, **slow)
        here.show(number)  # both have it, nothing is signed
        await until(lambda: scenes.said(here))
        await power_goes()
        here.roads.cut.add(THERE)
        await scenes.again(here, there, **FAST)
        here.show(number)  # it is signed, and cannot be sent
        await scenes.all_said(here, 4)
        await power_goes()
        here.roads.cut.clear()
        await scenes.again(here, there, **FAST)
        await until(lambda: scenes.visits_at(there) == [1, 2, 3, 4])
        here.roads.lose_answers_of.add(THERE)
        here.show(number)  # the partner has it, and its answer was lost
        await until(lambda: scenes.visits_at(there) == [1, 2, 3, 4, 5])
        await power_goes()
        here.roads.lose_answers_of.clear()
        await scenes.again(here, there, **FAST)
        here.show(number)  # behind all that, a tap that goes as it should
        await until(lambda: 6 in scenes.visits_at(there))
        assert scenes.visits_at(there) == [1, 2, 3, 4, 5, 6]
        status = there.office.records.exchange.status()
        assert (status["conflicts"], status["refused"]) == (0, {})
        await scenes.all_said(here, 6)
        bill = scenes.bill_from(there, scenes.table_of(here, there))
        assert bill.document["flags"]["double_names"] == 0  # type: ignore[index]
        assert [(s.half_days, s.flags) for s in bill.sessions] == [(1, ())]  # 9 to 10, 11 to 12, 13 to 14

    scenes.played(tmp_path, scene)


def test_4_four_taps_within_a_minute_are_one_arrival(tmp_path: Path) -> None:
    """One card stood four times in the log within fifty seconds, another twice within twenty: visits of seconds."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        first, second = here.member("anne"), here.member("bilal")
        after_h = [seconds / 3600 for seconds in (0, 16, 17, 17)]
        assert [each.direction for each in scenes.tapped(here, first, *after_h)] == ["in"] * 4
        assert [each.direction for each in scenes.tapped(here, second, 0, 20 / 3600)] == ["in"] * 2
        assert scenes.tapped(here, first, 3)[0].direction == "out"
        await scenes.all_said(here, 7)
        found = scenes.sessions_from(here, scenes.table_of(here, there))
        stayed_s = [0 if s.leave_utc is None else s.leave_utc - s.arrive_utc for s in found]
        assert sorted(zip(stayed_s, (s.half_days for s in found), strict=True)) == [(0, 1), (3 * 3_600 + 70, 1)]

    scenes.played(tmp_path, scene)


def test_5_two_colleagues_of_one_client_on_one_day_are_two(tmp_path: Path) -> None:
    """Visits were paired by client: two colleagues who came in became one who had come and gone."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        numbers = [there.member("anne", client="MEL"), there.member("bilal", client="MEL")]
        await scenes.lists_told(here, there)
        assert [here.show(number, home=THERE).direction for number in numbers] == ["in", "in"]
        here.clock.now_ms += 3 * HOUR_MS
        assert [here.show(number, home=THERE).direction for number in numbers] == ["out", "out"]
        await until(lambda: scenes.visits_at(there) == [1, 2, 3, 4])
        bill = scenes.bill_from(there, scenes.table_of(here, there))
        assert [(s.client, s.half_days, s.flags) for s in bill.sessions] == [("MEL", 1, ())] * 2
        assert bill.document["gross"] == [{"from": THERE, "to": HERE, "half_days": 2, "cents": 1_600}]

    scenes.played(tmp_path, scene)


def test_6_a_third_tap_does_not_block_the_day(tmp_path: Path) -> None:
    """Pairs were made of exactly two: a third tap left everybody's whole day unpaired."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number, other = here.member("anne"), here.member("bilal")
        assert [each.direction for each in scenes.tapped(here, number, 0, 1, 1)] == ["in", "out", "in"]
        assert [each.direction for each in scenes.tapped(here, other, 0, 5)] == ["in", "out"]
        assert scenes.tapped(here, number, 0)[0].direction == "out"
        await scenes.all_said(here, 6)
        found = scenes.sessions_from(here, scenes.table_of(here, there))
        # anne: 1 h and 5 h of a half-day of 4 h are two; bilal: 5 h
        assert [(s.half_days, s.flags) for s in found] == [(2, ())] * 2

    scenes.played(tmp_path, scene)


def test_7_what_was_stored_off_line_and_sent_after_midnight_pairs_in_any_order(tmp_path: Path) -> None:
    """A visit belonged to the day on which it reached the server, and visits that came late ended before they began."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        day, night = there.member("zoe"), there.member("yan")
        await scenes.lists_told(here, there)
        await here.stop()
        await scenes.again(here, there, home_batch_s=0.05, batch_s=0.1)
        here.roads.cut.add(THERE)
        for number, after_h in ((day, 0.0), (day, 3.0), (night, 10.0), (night, 3.0)):  # 9:00, 12:00; 22:00, 1:00
            before = len(scenes.visits_in(own_visits(here.folder)))
            scenes.tapped(here, number, after_h, home=THERE)
            await scenes.all_said(here, before + 1)
        here.clock.now_ms += 30 * HOUR_MS
        here.roads.cut.clear()
        await until(lambda: scenes.visits_at(there) == [1, 2, 3, 4])
        for place, order in ((there, 0), *((here, order) for order in range(6))):  # here each has its envelope
            found = scenes.sessions_from(place, scenes.table_of(here, there), order)
            assert [(s.day.isoformat(), s.half_days, s.flags) for s in found] == [("2018-12-09", 1, ())] * 2
            assert all(s.leave_utc is not None and s.leave_utc - s.arrive_utc == 3 * 3_600 for s in found)

    scenes.played(tmp_path, scene)


def test_8_a_forgotten_exit_is_billed_and_the_next_day_begins_anew(tmp_path: Path) -> None:
    """An arrival without an exit stayed unpaired for ever, and nothing was billed."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number = there.member("zoe")
        await scenes.lists_told(here, there)
        assert [each.direction for each in scenes.tapped(here, number, 0, 24, 3, home=THERE)] == ["in", "in", "out"]
        await until(lambda: scenes.visits_at(there) == [1, 2, 3])
        bill = scenes.bill_from(there, scenes.table_of(here, there))
        assert [(s.day.day, s.half_days, s.flags) for s in bill.sessions] == [(9, 1, ("no_exit",)), (10, 1, ())]
        assert bill.document["gross"] == [{"from": THERE, "to": HERE, "half_days": 2, "cents": 1_600}]

    scenes.played(tmp_path, scene)


def test_9_what_is_left_is_shown_with_its_date_and_nobody_is_sent_away(tmp_path: Path) -> None:
    """The credit was never shown, and "no credit" was a picture that was never loaded."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        site = here.roads.ends["erp.example"] = dokos.End(tmp_path, here.clock)
        site.credit(MEMBER, 3)
        some, none = here.member(MEMBER), here.member(OTHER, number=card.make_number(b"other~"))
        asked_s = here.clock.now_ms // 1000
        await until(lambda: here.show(some).credit_half_days == 3 and here.show(none).credit_half_days == 0)
        site.answer = "no connection"
        here.clock.now_ms += 5 * HOUR_MS  # two half-days, but one where the exit was not written down
        shown = [here.show(number) for number in (some, none)]
        assert [(s.state, s.credit_half_days, s.credit_utc_s) for s in shown] == [
            ("accepted", 3, asked_s),
            ("no_credit", 0, asked_s),
        ]
        assert {s.direction for s in shown} == {"out"}  # welcome all the same, and written down
        await until(lambda: scenes.said(here))
        site.answer = "ok"
        here.clock.now_ms += DAY_MS
        await here.stop()  # a night later: the place is switched on scenes.again, and closes the day
        await scenes.again(here, there, scenes.with_dokos(tmp_path))
        await until(lambda: sum(d["quantity"] for d in site.documents.values()) == 4)
        used = {d["customer"]: d["quantity"] for d in site.documents.values()}
        assert used == dict.fromkeys((dokos.CUSTOMERS[MEMBER], dokos.CUSTOMERS[OTHER]), 2)

    scenes.played(tmp_path, scene, scenes.with_dokos(tmp_path))


@pytest.mark.parametrize(
    ("came", "stayed_h", "half_days"),
    [
        ("2018-12-09T09:00:00Z", 3.0, 1),
        ("2019-03-30T21:00:00Z", 25 / 6, 1),  # 22:00 to 3:10: the clocks say 5 h 10 min
        ("2019-10-26T21:30:00Z", 4.5, 2),  # 23:30 to 3:00: the clocks say 3 h 30 min
    ],
)
def test_10_a_clock_that_nobody_set_is_not_trusted_and_its_visits_count_later(
    tmp_path: Path, came: str, stayed_h: float, half_days: int
) -> None:
    """The clock of a computer without a battery was believed, and local times were compared as they stood."""
    came_s = round(datetime.datetime.fromisoformat(came).timestamp())

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        await here.stop()
        clock = here.clock = scenes.PiClock(came_s * 1000)
        number, day = card.make_number(b"anne~~"), came_s // 86_400
        await scenes.again(here, there)
        here.member("anne")
        await until(lambda: here.office.records.book.last_known_utc_s() == came_s)
        clock.set_wrong()  # 1970-01-01
        assert here.show(number).reason == "no clock"
        clock.now_ms += round(stayed_h * HOUR_MS)
        clock.set_right()
        assert here.show(number).state == "accepted"
        here.office.wake()
        await scenes.all_said(here, 2)
        (session,) = scenes.sessions_from(here, scenes.table_of(here, there))
        assert (session.half_days, session.flags) == (half_days, ())
        assert abs(session.arrive_utc - came_s) <= 2
        assert session.day == datetime.date(1970, 1, 1) + datetime.timedelta(days=day)

    scenes.played(tmp_path, scene)


def test_11_no_file_and_no_word_holds_a_uid_or_a_bare_hash_of_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each visit and the log had the UID in clear, beside the client and the user."""
    uids = [bytes.fromhex(uid) for uid in ("a1b2c33d", "04a1b2c3d4e5f6", "0491b2c3d4e5f7", "0481b2c3d4e5f8")]
    classic, plain, signed, sun = Classic(uids[0]), Ntag21x(uids[1]), Ntag21x(uids[2]), Ntag424(uids[3])
    cards: list[Card] = [classic, plain, signed, sun]

    async def scene(here: PlaceAt, there: PlaceAt, chip: Pn532Tty) -> None:
        for number, uid in enumerate(uids[:2]):
            there.member(f"plain {number}", uid=uid)  # read by their UIDs alone, as guests' old cards are
        scenes.issued(here, signed, "NTAG213", 1)
        scenes.issued(here, sun, "NTAG424", 2)
        await scenes.lists_told(here, there)
        await here.stop()
        reader = f'[[reader]]\nkind = "pn532"\nname = "door"\npath = "{chip.path}"\n'
        await scenes.again(here, there, reader + scenes.with_screen())
        told = b"\n".join([await scenes.laid(chip, model, here) for model in [*cards, Classic(b"\xde\xad\xbe\xef")]])
        verdicts = here.office.verdicts
        assert [v.showing.state for v in verdicts] == ["accepted"] * 4 + ["unknown"]
        assert [v.showing.grade for v in verdicts[:4]] == [0, 0, 1, 2]
        await until(lambda: scenes.visits_at(there) == [1, 2, 3, 4])
        forms = [form for uid in [*uids, b"\xde\xad\xbe\xef"] for form in scenes.forms_of(uid)]
        words = told + caplog.text.encode() + repr(verdicts).encode()
        assert [form for form in forms if form in words] == []
        assert scenes.found_in(tmp_path, forms) == []  # while it runs: what waits in a write-ahead log is a file too

    with caplog.at_level(logging.INFO, LOGGER), Pn532Tty(tmp_path / "reader", pace=0.0) as chip:
        scenes.played(tmp_path, lambda here, there: scene(here, there, chip))
    assert scenes.found_in(tmp_path, [form for uid in uids for form in scenes.forms_of(uid)]) == []


def test_11_times_that_are_too_old_are_in_no_file_any_more_and_the_bill_is(tmp_path: Path) -> None:
    """Nothing was ever deleted: who had come when could be read for ever."""
    times: list[bytes] = []

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        number = there.member("zoe")
        await scenes.lists_told(here, there)
        for after_ms in (777_777, 3 * HOUR_MS):
            here.clock.now_ms += after_ms
            assert here.show(number, home=THERE).state == "accepted"
            times.append(round(here.clock.now_ms / 1000).to_bytes(4, "big"))  # as SQLite and CBOR have it
            here.clock.now_ms += 60_000
        await until(lambda: scenes.visits_at(there) == [1, 2])
        await scenes.all_said(here, 2)
        names = {name for name, _ in scenes.found_in(tmp_path, times)}
        assert any(name.startswith("badges.db") for name in names)
        assert any(name.startswith("exchange.db") for name in names)
        here.clock.now_ms += 40 * DAY_MS
        for place in (here, there):
            await place.office.works.daily.look()  # the lines of December are kept in January
        scenes.tapped(here, number, 80 * 24, home=THERE)
        await scenes.tap_said(here, 3)  # a home log keeps its last envelope: now it is this one
        here.clock.now_ms += DAY_MS
        for place in (here, there):  # which forgot yesterday, as every day
            place.office.records.book.note_forgot(here.clock.now_ms // DAY_MS - 1)
            place.office.works.forgetting.look(here.clock.now_ms // 1000)
        await until(lambda: scenes.found_in(tmp_path, times) == [], "no file holds the times")
        for place in (here, there):
            assert [(line.day, line.half_days) for line in scenes.lines_of(place)] == [("2018-12-09", 1)]

    scenes.played(tmp_path, scene)


@pytest.mark.parametrize("bytes_of_uid", [4, 7, 10])
def test_12_long_uids_work_late_visits_count_and_each_copy_gives_the_bill(tmp_path: Path, bytes_of_uid: int) -> None:
    """The successor knew UIDs of four bytes only, refused late visits, and kept one store for all."""

    async def scene(here: PlaceAt, there: PlaceAt) -> None:
        uid = bytes(range(8, 8 + bytes_of_uid))
        there.member("zoe", uid=uid)
        number = here.member("anne")
        await scenes.lists_told(here, there)
        here.roads.cut.add(HERE)
        assert here.show(uid=uid).state == "accepted"  # on Sunday; known on Tuesday
        here.clock.now_ms += 5 * HOUR_MS
        assert here.show(uid=uid).state == "accepted"
        assert here.show(uid=uid[:-1] + b"\xff").state == "unknown"
        here.clock.now_ms += DAY_MS
        there.show(uid=uid)
        there.show(number, home=HERE)
        here.clock.now_ms += DAY_MS
        here.roads.cut.clear()
        await until(lambda: scenes.visits_at(there) == [1, 2] and scenes.visits_at(here) == [1, 2])
        await scenes.all_said(here, 2)
        await scenes.all_said(there, 2)
        table = scenes.table_of(here, there)
        bills = [scenes.bill_from(place, table, shuffle) for place in (here, there) for shuffle in (0, 1)]
        assert all(bill.document == bills[0].document for bill in bills)
        assert bills[0].document["gross"] == [
            {"from": HERE, "to": THERE, "half_days": 1, "cents": 900},
            {"from": THERE, "to": HERE, "half_days": 2, "cents": 1_600},
        ]

    scenes.played(tmp_path, scene)


def test_the_table_of_what_went_wrong_names_these_scenarios() -> None:
    text = (scenes.ROOT / "gateway/BADGES.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## What went wrong before\n")
    rows = re.findall(r"^\| (\d+) \| .+ \| `(test_\w+)` \|$", section.partition("\n## ")[0], re.MULTILINE)
    here = [name for name in globals() if re.match(r"test_\d", name)]
    assert [name for _, name in rows] == here
    assert [int(number) for number, _ in rows] == [int(name.split("_")[1]) for name in here]
    assert {int(number) for number, _ in rows} == set(range(1, 13))
