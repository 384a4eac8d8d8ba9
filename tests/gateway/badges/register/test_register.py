"""The register: whose a card is, what becomes of it, and what is never in the file."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from balise_gateway.badges.federation.home_lists import Card, HomeLists
from balise_gateway.badges.register import Blank, Member, Register
from balise_gateway.badges.register.listing import ForLists
from balise_gateway.errors import BadgeError, CardRefused
from balise_wire import card as wire
from balise_wire.card_list import open_list
from balise_wire.places import Place, PlaceKeys, Table, number_token, uid_card_token

KEYS = PlaceKeys(bytes([1] * 32), bytes([2] * 32))
ONE, TWO, THREE = (wire.make_number(bytes([n] * 6)) for n in (1, 2, 3))
UID, OTHER_UID = bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("a1b2c3d4")
DAY, HOME, HOST = 20_800, "coroutine.example", "mappemonde.example"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path, KEYS.uid_token) as made:
        made.put_member(Member("ada"))
        made.put_member(Member("bob", client="MEL", name="Bob"))
        yield made


def state(register: Register, number: str) -> str:
    found = register.by_number(number)
    assert found is not None
    return found.state


def test_a_card_is_found_by_number_and_by_chip(register: Register) -> None:
    card = register.issue(ONE, "bob", DAY, grade=1, last_day=DAY + 365, uid=UID)
    assert (card.member, card.client, card.state, card.grade) == ("bob", "MEL", "active", 1)
    assert register.by_number(ONE) == register.by_uid(UID) == card
    assert register.by_number(TWO) is None
    assert register.by_uid(OTHER_UID) is None


def test_a_member_may_have_several_cards(register: Register) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    register.issue(TWO, "ada", DAY, uid=OTHER_UID)
    assert [card.number for card in register.cards("ada")] == sorted([ONE, TWO])
    assert list(register.cards("bob")) == []


def test_the_file_is_private_and_holds_no_uid(register: Register, tmp_path: Path) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert UID not in path.read_bytes()
        assert UID.hex().encode() not in path.read_bytes().lower()
    register.close()
    assert KEYS.uid_token(UID) in (tmp_path / "register.db").read_bytes()


def test_what_was_written_is_there_after_the_program_was_killed(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys\n"
        "from balise_gateway.badges.register import Member, Register\n"
        "book = Register(pathlib.Path(sys.argv[1]), lambda uid: uid * 4)\n"
        "book.open(); book.put_member(Member('ada')); book.issue(sys.argv[2], 'ada', 1, uid=b'abcd')\n"
        "assert book.take_counter(sys.argv[2], b'abcd', 7) == ''\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path), ONE], check=False).returncode == -9
    with Register(tmp_path, lambda uid: uid * 4) as register:
        found = register.by_uid(b"abcd")
        assert found is not None
        assert found.member == "ada"
        assert register.take_counter(ONE, b"abcd", 7) == "replay"


def test_a_printed_number_is_bound_to_a_member_later(register: Register) -> None:
    register.add_blanks([ONE, TWO], DAY)
    assert state(register, ONE) == "blank"
    assert register.issue(ONE, "ada", DAY + 30).member == "ada"
    assert state(register, TWO) == "blank"


def test_a_batch_with_a_number_that_is_taken_adds_nothing(register: Register) -> None:
    register.issue(TWO, "ada", DAY)
    with pytest.raises(BadgeError, match="there already"):
        register.add_blanks([ONE, TWO], DAY)
    assert register.by_number(ONE) is None


def test_a_card_of_somebody_cannot_be_given_to_another(register: Register) -> None:
    register.issue(ONE, "ada", DAY)
    with pytest.raises(BadgeError, match="somebody's") as refused:
        register.issue(ONE, "bob", DAY)
    assert "ada" not in str(refused.value)


def test_a_card_that_came_back_never_shows_the_former_bearer(register: Register) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    register.revoke(ONE, "ended", DAY)
    card = register.issue(ONE, "bob", DAY + 1)
    assert card.member == "bob"
    assert register.by_uid(UID) == card
    assert list(register.cards("ada")) == []


def test_a_chip_with_a_new_number_is_the_new_card_alone(register: Register) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    register.revoke(ONE, "ended", DAY)
    card = register.issue(TWO, "bob", DAY, uid=UID)
    assert register.by_uid(UID) == card
    old = register.by_number(ONE)
    assert old is not None
    assert (old.state, old.uid_token) == ("replaced", None)


@pytest.mark.parametrize("reason", ["active", "lost"])
def test_the_chip_of_a_card_in_use_or_lost_cannot_become_another(register: Register, reason: str) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    if reason == "lost":
        register.revoke(ONE, "lost", DAY)
    with pytest.raises(BadgeError, match=f"card that is {reason}"):
        register.issue(TWO, "bob", DAY, uid=UID)
    assert register.by_number(TWO) is None  # nothing of it was done


def test_a_new_card_replaces_the_old_one(register: Register) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    register.issue(TWO, "ada", DAY, uid=OTHER_UID, replaces=ONE)
    assert (state(register, ONE), state(register, TWO)) == ("replaced", "active")
    with pytest.raises(BadgeError, match="none of 'bob'"):
        register.issue(THREE, "bob", DAY, replaces=TWO)
    assert state(register, TWO) == "active"


def test_a_lost_card_comes_back_by_its_own_command_only(register: Register) -> None:
    register.issue(ONE, "ada", DAY)
    register.revoke(ONE, "lost", DAY)
    for again in (lambda: register.issue(ONE, "ada", DAY), lambda: register.revoke(ONE, "ended", DAY)):
        with pytest.raises(BadgeError, match="found"):
            again()
    assert register.found(ONE, DAY).state == "active"
    with pytest.raises(BadgeError, match="not lost, it is active"):
        register.found(ONE, DAY)


def test_a_card_that_is_found_after_its_bearer_left_stays_revoked(register: Register) -> None:
    register.issue(ONE, "ada", DAY)
    register.revoke(ONE, "lost", DAY)
    register.end_member("ada", DAY)
    assert register.found(ONE, DAY).state == "ended"


def test_a_member_who_leaves_takes_their_cards_with_them(register: Register) -> None:
    register.issue(ONE, "ada", DAY)
    register.issue(TWO, "ada", DAY)
    register.revoke(TWO, "lost", DAY)
    assert register.end_member("ada", DAY) == [ONE]
    assert (state(register, ONE), state(register, TWO)) == ("ended", "lost")
    with pytest.raises(BadgeError, match="no member any more"):
        register.issue(THREE, "ada", DAY)
    register.put_member(Member("ada"))
    assert register.issue(ONE, "ada", DAY).state == "active"


def test_a_member_who_is_forgotten_leaves_a_revoked_card_without_a_name(register: Register, tmp_path: Path) -> None:
    register.issue(ONE, "bob", DAY)
    with pytest.raises(BadgeError, match="still has a card"):
        register.forget_member("bob")
    register.end_member("bob", DAY)
    register.forget_member("bob")
    assert register.member("bob") is None
    card = register.by_number(ONE)
    assert card is not None
    assert (card.state, card.member, card.client) == ("ended", None, "")


def test_a_card_that_is_not_here_cannot_be_revoked(register: Register) -> None:
    with pytest.raises(BadgeError, match="no card"):
        register.revoke(TWO, "lost", DAY)


def test_a_card_made_in_advance_that_was_stolen_is_revoked_and_nobodys_again_when_found(register: Register) -> None:
    register.add_blanks([ONE], DAY)
    assert register.revoke(ONE, "lost", DAY).state == "lost"
    with pytest.raises(BadgeError, match="found"):
        register.issue(ONE, "ada", DAY)
    assert register.found(ONE, DAY).state == "blank"
    assert register.issue(ONE, "ada", DAY).state == "active"


def test_a_card_on_a_chip_made_in_advance_keeps_its_grade_chip_and_last_day_when_it_is_given_out(
    register: Register,
) -> None:
    register.make_blank(Blank(ONE, 1, DAY + 9), UID, DAY)
    register.make_blank(Blank(TWO, 2, DAY + 5), OTHER_UID, DAY)
    first, second = (register.issue(number, "ada", DAY + 1) for number in (ONE, TWO))
    assert (first.grade, first.last_day, first.state) == (1, DAY + 9, "active")
    assert (second.grade, second.last_day, second.state) == (2, DAY + 5, "active")
    assert [register.by_uid(uid) for uid in (UID, OTHER_UID)] == [first, second]


def test_a_chip_that_comes_back_keeps_its_grade_and_a_printed_card_loses_its_last_day(register: Register) -> None:
    register.issue(ONE, "ada", DAY, grade=2, uid=UID, last_day=DAY)
    register.issue(TWO, "ada", DAY, last_day=DAY)
    for number, grade in ((ONE, 2), (TWO, 0)):
        register.revoke(number, "ended", DAY)
        card = register.issue(number, "bob", DAY + 1)
        assert (card.grade, card.last_day) == (grade, None)


@pytest.mark.parametrize("reason", ["active", "lost"])
def test_nothing_is_made_of_a_card_that_is_somebodys(register: Register, reason: str) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    if reason == "lost":
        register.revoke(ONE, "lost", DAY)
    for number in (ONE, TWO):  # by its number, and by its chip
        with pytest.raises(CardRefused, match=r"somebody's|lost|active"):
            register.make_blank(Blank(number, 1), UID, DAY)
    with pytest.raises(CardRefused):
        register.make_blank(Blank(ONE, 1), OTHER_UID, DAY)
    assert state(register, ONE) == reason
    assert register.by_number(TWO) is None


def test_the_number_of_a_card_made_in_advance_is_not_made_on_another_chip(register: Register) -> None:
    register.make_blank(Blank(ONE, 1), UID, DAY)
    with pytest.raises(CardRefused, match="a copy"):
        register.make_blank(Blank(ONE, 1), OTHER_UID, DAY)
    register.make_blank(Blank(TWO, 2), UID, DAY)  # the chip itself may become another card
    assert (state(register, ONE), state(register, TWO)) == ("replaced", "blank")


def test_hosts_are_told_that_a_signed_card_which_is_nobodys_does_not_count(register: Register) -> None:
    register.make_blank(Blank(ONE, 1, DAY + 9), UID, DAY)
    register.add_blanks([TWO], DAY)  # printed numbers are on no list: nobody takes them anyway
    said = ForLists(register, lambda: DAY)
    assert list(said.active()) == []
    assert [(card.number, why) for card, why in said.revoked()] == [(ONE, 2)]
    register.issue(ONE, "ada", DAY)
    assert [card.number for card in said.active()] == [ONE]
    assert list(said.revoked()) == []


@pytest.mark.parametrize("member", ["carl", "", " ", "a\0b"])
def test_a_card_is_given_to_members_only(register: Register, member: str) -> None:
    with pytest.raises(BadgeError, match="member"):
        register.issue(ONE, member, DAY)


@pytest.mark.parametrize("member", ["", " ", "a\0b"])
def test_a_member_needs_an_id(register: Register, member: str) -> None:
    with pytest.raises(BadgeError, match="member id"):
        register.put_member(Member(member))


def test_a_counter_is_accepted_once_and_only_when_it_rises(register: Register) -> None:
    answers = [register.take_counter(ONE, UID, counter) for counter in (0, 5, 5, 4, 6, 0)]
    assert answers == ["", "", "replay", "replay", "", "replay"]
    assert register.take_counter(TWO, UID, 1) == ""


def test_a_card_fits_its_chip_and_a_card_without_one_fits_any(register: Register) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    register.issue(TWO, "ada", DAY)
    assert [register.fits(ONE, uid) for uid in (UID, OTHER_UID, b"")] == [True, False, True]
    assert register.fits(TWO, OTHER_UID)
    assert register.fits(THREE, UID)


def test_an_old_chip_whose_number_lives_on_in_another_is_refused(register: Register) -> None:
    register.issue(ONE, "ada", DAY, grade=2, uid=UID)
    assert register.take_counter(ONE, UID, 1) == ""
    register.issue(ONE, "ada", DAY, grade=2, uid=bytes(7))
    assert register.take_counter(ONE, UID, 2) == "revoked"
    register.forget_counter(ONE)
    assert register.take_counter(ONE, bytes(7), 1) == ""


def test_of_many_who_show_one_counter_at_once_one_is_right(tmp_path: Path) -> None:
    Register(tmp_path, KEYS.uid_token).open()

    def show(_: int) -> str:
        with Register(tmp_path, KEYS.uid_token) as book:
            return book.take_counter(ONE, UID, 9)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(show, range(16))) == [""] + ["replay"] * 15


def test_lists_have_the_cards_that_are_good_today_and_those_that_are_not(register: Register) -> None:
    register.add_blanks([wire.make_number(bytes([9] * 6))], DAY)
    register.issue(ONE, "ada", DAY, uid=UID)
    register.issue(TWO, "bob", DAY, last_day=DAY)
    register.issue(THREE, "bob", DAY, last_day=DAY - 1)
    said = ForLists(register, lambda: DAY, {"ada": 3}.get)
    good = [Card(ONE, "ada", KEYS.uid_token(UID), "", 3), Card(TWO, "bob", None, "MEL")]
    assert sorted(said.active(), key=lambda card: card.number) == sorted(good, key=lambda card: card.number)
    assert list(said.revoked()) == [(Card(THREE, "bob", None, "MEL"), 2)]
    without_clock = ForLists(register, lambda: None)
    assert len(list(without_clock.active())) == 3
    assert list(without_clock.revoked()) == []


def test_lists_have_what_was_revoked_with_its_reason(register: Register) -> None:
    register.issue(ONE, "ada", DAY, uid=UID)
    register.revoke(ONE, "lost", DAY)
    register.issue(TWO, "ada", DAY)
    register.issue(THREE, "ada", DAY, replaces=TWO)
    found = {card.number: (card.uid_token, why) for card, why in ForLists(register, lambda: DAY).revoked()}
    assert found == {ONE: (KEYS.uid_token(UID), 1), TWO: (None, 3)}


def test_a_chip_that_lives_on_as_another_card_is_not_revoked(register: Register, tmp_path: Path) -> None:
    """Through the list itself, as its host opens it."""
    register.issue(ONE, "ada", DAY, uid=UID)
    register.revoke(ONE, "ended", DAY)
    register.issue(TWO, "bob", DAY, uid=UID)
    host = PlaceKeys(bytes([3] * 32), bytes([4] * 32))
    place = Place(HOST, HOST, "map", (host.signer.public_key,), host.box_public, ())
    pair_key = host.pair_key(HOME, HOST, KEYS.box_public)
    lists = HomeLists(tmp_path, HOME, KEYS, ForLists(register, lambda: DAY), lambda: Table(1, 1, (place,)))
    sealed = lists.message(HOST, 0, DAY * 86_400, ZoneInfo("Europe/Paris"))
    lists.close()
    found = open_list(sealed, {KEYS.signer.kid: KEYS.signer.public_key}, pair_key)
    assert found.revoked == {number_token(pair_key, ONE): 3}
    tokens = {number_token(pair_key, TWO), uid_card_token(pair_key, KEYS.uid_token(UID))}
    assert {entry.token for entry in found.entries} == tokens
    assert {entry.client for entry in found.entries} == {"MEL"}


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "register.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE other (x)")
    db.close()
    with pytest.raises(BadgeError, match="not a file of Balise"):
        Register(tmp_path, KEYS.uid_token).open()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("other",)]
    db.close()


def test_a_register_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    Register(tmp_path, KEYS.uid_token).open()
    with sqlite3.connect(tmp_path / "register.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(BadgeError, match="newer Balise"):
        Register(tmp_path, KEYS.uid_token).open()


@pytest.mark.parametrize("data", [b"no database", bytes(4096)])
def test_a_damaged_file_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "register.db").write_bytes(data)
    with pytest.raises(BadgeError, match=r"register\.db"):
        Register(tmp_path, KEYS.uid_token).open()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadgeError, match="is the folder there"):
        Register(tmp_path / "file", KEYS.uid_token).open()
