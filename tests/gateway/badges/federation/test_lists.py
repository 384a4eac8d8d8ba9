"""Lists of cards, from a home's register to a host's answer, with real files and seals."""

import asyncio
import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.federation.home_lists import CARDS_A_MESSAGE, LOOK_S, REDATE_S, STEP, Card, HomeLists
from balise_gateway.badges.federation.lists import DAY_S, FILE_NAME, CardLists
from balise_gateway.badges.register import Member, Register
from balise_gateway.badges.register.listing import ForLists
from balise_gateway.errors import PaperError
from balise_wire.card_list import ENDED, LOST, open_list, peek_list
from balise_wire.cose import kid_of
from balise_wire.envelope import split_sequence
from balise_wire.places import PlaceKeys, number_token
from gateway.badges.federation.places import HOME, HOST, KEYS, NAMES, NOW_S, PARIS, THIRD, Cards, cache, place, signed

UID = bytes.fromhex("04a1b2c3d4e5f6")
ONE = Card("0000000001", "anne", KEYS[HOME].uid_token(UID), "metropole", 7)
TWO = Card("0000000002", "bob")
LATER_S = NOW_S + LOOK_S


class Pair:
    """A home and a host, each with its own folder."""

    def __init__(self, folder: Path, *cards: Card, cards_a_message: int = CARDS_A_MESSAGE) -> None:
        self.register = Cards(*cards)
        self.table = cache(folder / "table")
        self.folder = folder
        parts = (folder / "home", HOME, KEYS[HOME], self.register, lambda: self.table.table)
        self.home = HomeLists(*parts, cards_a_message=cards_a_message)
        self.host = self.opened()

    def opened(self) -> CardLists:
        return CardLists(self.folder / "host", HOST, KEYS[HOST], lambda: self.table.table)

    def message(self, base: int, utc_s: int) -> bytes:
        return self.home.message(HOST, base, utc_s, PARIS)

    def sync(self, utc_s: int) -> bool:
        data = self.message(self.host.number_of(HOME), utc_s)
        return bool(data) and self.host.take(data, utc_s)


def refusal(host: CardLists, data: bytes, utc_s: int = NOW_S) -> str:
    with pytest.raises(PaperError) as refused:
        host.take(data, utc_s)
    return refused.value.reason


def utc_s(year: int, month: int, day: int) -> int:
    return int(datetime.datetime(year, month, day, 12, tzinfo=PARIS).timestamp())


def test_a_card_is_found_by_its_number_and_by_its_uid(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE, TWO)
    assert pair.sync(NOW_S)
    found = pair.host.by_number(HOME, ONE.number)
    assert found is not None
    assert found.who == {2026: KEYS[HOME].who("anne", HOST, 2026)}
    assert (found.credit, found.client, found.revoked, found.list_utc_s) == (7, "metropole", "", NOW_S)
    by_uid = pair.host.by_uid(UID)
    assert by_uid is not None
    assert by_uid.who == found.who
    assert pair.host.by_number(HOME, "0000000003") is None
    assert pair.host.by_number("nobody.example", ONE.number) is None
    assert pair.host.by_uid(bytes(7)) is None


def test_what_changes_is_told_as_a_change_and_survives_a_restart(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE, TWO, *(Card(f"00000000{at}", f"m{at}") for at in range(10, 40)))
    pair.sync(NOW_S)
    pair.register.cards[0] = Card(ONE.number, ONE.member, ONE.uid_token, ONE.client, 3)
    pair.register.revoke(TWO.number, LOST)
    change = pair.message(STEP, LATER_S)
    assert len(change) < len(pair.message(0, LATER_S))
    assert peek_list(change)[2:4] == (2 * STEP, STEP)
    assert pair.host.take(change, LATER_S)
    pair.host.close()
    again = pair.opened()
    found, gone = again.by_number(HOME, ONE.number), again.by_number(HOME, TWO.number)
    assert found is not None
    assert found.credit == 3
    assert gone is not None
    assert (gone.revoked, gone.who) == ("lost", {})


def test_a_revoked_card_that_is_given_out_again_counts_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path, TWO)
    pair.sync(NOW_S)
    pair.register.revoke(TWO.number, ENDED)
    pair.sync(LATER_S)
    pair.register.gone.clear()
    pair.register.cards.append(TWO)
    pair.sync(LATER_S + LOOK_S)
    found = pair.host.by_number(HOME, TWO.number)
    assert found is not None
    assert not found.revoked


def test_a_chip_whose_earlier_card_was_revoked_counts_as_the_new_one(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.register.revoke(ONE.number, LOST)
    pair.register.cards.append(replace(TWO, uid_token=ONE.uid_token))
    pair.sync(NOW_S)
    by_uid, by_number = pair.host.by_uid(UID), pair.host.by_number(HOME, ONE.number)
    assert by_uid is not None
    assert by_uid.who == {2026: KEYS[HOME].who("bob", HOST, 2026)}
    assert by_number is not None
    assert by_number.revoked == "lost"


def test_pseudonyms_of_years_that_are_over_go_from_the_hosts_disk_too(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.sync(utc_s(2026, 6, 1))
    pair.sync(utc_s(2028, 6, 1))
    found = pair.host.by_number(HOME, ONE.number)
    assert found is not None
    assert set(found.who) == {2028}


def test_a_card_that_was_erased_is_forgotten_by_a_whole_list(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE, TWO)
    pair.sync(NOW_S)
    pair.register.cards.remove(TWO)
    data = pair.message(STEP, LATER_S)
    assert peek_list(data)[3] == 0
    pair.host.take(data, LATER_S)
    assert pair.host.by_number(HOME, TWO.number) is None


def test_a_card_that_was_issued_or_lost_just_now_is_in_the_very_next_list(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    with Register(tmp_path, KEYS[HOME].uid_token) as register, Register(tmp_path, KEYS[HOME].uid_token) as beside:
        listed = ForLists(register, lambda: NOW_S // DAY_S)
        home = HomeLists(tmp_path / "real", HOME, KEYS[HOME], listed, lambda: pair.table.table)
        pair.host.take(home.message(HOST, 0, NOW_S, PARIS), NOW_S)
        register.put_member(Member("anne"))
        register.issue(ONE.number, "anne", 20_000)
        pair.host.take(home.message(HOST, STEP, NOW_S, PARIS), NOW_S)
        assert pair.host.by_number(HOME, ONE.number) is not None
        beside.revoke(ONE.number, "lost", 20_000)  # a command, while the gateway runs
        pair.host.take(home.message(HOST, 2 * STEP, NOW_S, PARIS), NOW_S)
        assert pair.host.by_number(HOME, ONE.number).revoked == "lost"  # type: ignore[union-attr]
        assert home.message(HOST, 3 * STEP, NOW_S, PARIS) == b""


def test_a_list_that_has_not_changed_is_dated_anew_but_not_each_time(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.sync(NOW_S)
    assert pair.message(STEP, LATER_S) == b""
    assert pair.sync(NOW_S + REDATE_S)
    assert pair.host.list_utc_s(HOME) == NOW_S + REDATE_S
    assert pair.host.by_number(HOME, ONE.number) is not None


def statements(pair: Pair, base: int, utc_s: int) -> tuple[bytes, list[str]]:
    """The message, and what was asked of the file of lists for it."""
    asked: list[str] = []
    pair.home._db.set_trace_callback(asked.append)
    message = pair.message(base, utc_s)
    pair.home._db.set_trace_callback(None)
    return message, asked


def test_where_nothing_has_changed_no_card_is_gone_through_again(tmp_path: Path) -> None:
    """Sixteen hosts ask every quarter of an hour, and each time thousands of tokens were made."""
    pair = Pair(tmp_path, ONE, TWO)
    pair.sync(NOW_S)
    message, asked = statements(pair, STEP, NOW_S + REDATE_S)
    assert message
    assert not [each for each in asked if "FROM said WHERE host" in each and "number >" not in each]
    pair.register.revoke(TWO.number, LOST)
    _, asked = statements(pair, STEP, NOW_S + REDATE_S + LOOK_S)
    assert [each for each in asked if "FROM said WHERE host" in each and "number >" not in each]


def test_a_host_with_a_new_box_key_gets_tokens_of_the_new_pair(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.sync(NOW_S)
    new = PlaceKeys(b"n" * 32, b"h" * 32)
    changed = [replace(place(name), box=new.box_public) if name == HOST else place(name) for name in NAMES]
    pair.table.take(signed(2, changed))
    message = pair.message(STEP, LATER_S)
    pair_key, signer = new.pair_key(HOME, HOST, place(HOME).box), KEYS[HOME].signer
    opened = open_list(message, {signer.kid: signer.public_key}, pair_key)
    assert number_token(pair_key, ONE.number) in {each.token for each in opened.entries}


def test_a_host_that_was_away_gets_all_changes_at_once(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.sync(NOW_S)
    first = pair.host.number_of(HOME)
    pair.register.cards.append(TWO)
    pair.message(first, LATER_S)
    pair.register.revoke(ONE.number, LOST)
    assert pair.host.take(pair.message(first, LATER_S + LOOK_S), LATER_S + LOOK_S)
    assert pair.host.by_number(HOME, TWO.number) is not None
    assert pair.host.by_number(HOME, ONE.number).revoked == "lost"  # type: ignore[union-attr]


def test_a_change_without_the_list_before_it_is_a_gap(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.message(0, NOW_S)
    pair.register.cards.append(TWO)
    assert refusal(pair.host, pair.message(STEP, LATER_S)) == "gap"
    assert pair.host.by_number(HOME, TWO.number) is None
    assert pair.host.take(pair.message(0, LATER_S), LATER_S)


def test_an_old_list_is_a_rollback_and_a_revoked_card_stays_revoked(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    old = pair.message(0, NOW_S)
    pair.host.take(old, NOW_S)
    pair.register.revoke(ONE.number, LOST)
    pair.sync(LATER_S)
    assert refusal(pair.host, old) == "rollback"
    assert pair.host.by_uid(UID).revoked == "lost"  # type: ignore[union-attr]
    (told,) = (told for told in pair.host.ages(LATER_S, DAY_S) if told["home"] == HOME)
    assert told["refused"] == {"rollback": 1}


def test_a_place_that_is_brought_its_own_list_does_not_wait_for_one_of_itself(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    own = HomeLists(tmp_path / "own", HOST, KEYS[HOST], pair.register, lambda: pair.table.table)
    assert refusal(pair.host, own.message(THIRD, 0, NOW_S, PARIS)) == "not for us"
    assert HOST not in [told["home"] for told in pair.host.ages(NOW_S, DAY_S)]


def test_a_list_for_another_host_by_another_home_or_with_changed_bytes_is_refused(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    assert refusal(pair.host, pair.home.message(THIRD, 0, NOW_S, PARIS)) == "not for us"
    liar = HomeLists(tmp_path / "liar", HOME, KEYS[THIRD], pair.register, lambda: pair.table.table)
    assert refusal(pair.host, liar.message(HOST, 0, NOW_S, PARIS)) == "unknown key"
    bent = bytearray(pair.message(0, NOW_S))
    bent[-1] ^= 1
    assert refusal(pair.host, bytes(bent)) == "signature"
    stranger = HomeLists(tmp_path / "stranger", "x.example", KEYS[THIRD], pair.register, lambda: pair.table.table)
    assert refusal(pair.host, stranger.message(HOST, 0, NOW_S, PARIS)) == "unknown place"
    assert pair.host.number_of(HOME) == 0


def test_a_list_from_the_future_would_never_look_old_and_is_refused(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    assert refusal(pair.host, pair.message(0, NOW_S + 2 * DAY_S)) == "from the future"
    assert pair.host.take(pair.message(0, NOW_S + 2 * DAY_S), None)  # nobody knows what time it is


def test_another_host_cannot_read_a_list_nor_find_its_pseudonyms(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    data = pair.message(0, NOW_S)
    key, own = KEYS[HOME].signer.public_key, KEYS[THIRD].pair_key(HOME, HOST, KEYS[HOME].box_public)
    with pytest.raises(Exception, match="tag"):
        open_list(data, {kid_of(key): key}, own)
    assert b"metropole" not in data
    assert KEYS[HOME].who("anne", HOST, 2026) not in data


def test_next_years_pseudonyms_come_in_december_and_last_years_go_in_february(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    seen = []
    for moment in (utc_s(2026, 11, 30), utc_s(2026, 12, 1), utc_s(2027, 1, 31), utc_s(2027, 2, 1)):
        pair.sync(moment)
        messages = list(split_sequence(pair.message(0, moment)))
        pair_key = KEYS[HOST].pair_key(HOME, HOST, KEYS[HOME].box_public)
        key = KEYS[HOME].signer.public_key
        opened = [open_list(data, {kid_of(key): key}, pair_key) for data in messages]
        seen.append(sorted({entry.year for cards in opened for entry in cards.entries}))
    assert seen == [[2026], [2026, 2027], [2026, 2027], [2027]]
    assert sorted(pair.host.by_number(HOME, ONE.number).who) == [2026, 2027]  # type: ignore[union-attr]


def test_a_home_with_many_cards_sends_several_messages(tmp_path: Path) -> None:
    pair = Pair(tmp_path, *(Card(f"00000000{at:02}", f"m{at}") for at in range(8)), cards_a_message=3)
    data = pair.message(0, NOW_S)
    parts = list(split_sequence(data))
    assert len(parts) == 3
    assert pair.host.take(data, NOW_S)
    assert pair.host.number_of(HOME) == STEP
    assert all(pair.host.by_number(HOME, card.number) for card in pair.register.cards)
    half = CardLists(tmp_path / "half", HOST, KEYS[HOST], lambda: pair.table.table)
    assert half.take(parts[0], NOW_S)  # the rest was lost on the way
    assert half.take(pair.message(half.number_of(HOME), NOW_S), NOW_S)
    assert all(half.by_number(HOME, card.number) for card in pair.register.cards)


def test_half_a_sequence_that_does_not_hold_changes_nothing(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    assert refusal(pair.host, pair.message(0, NOW_S) + b"\x01") == "malformed"
    assert pair.host.by_uid(UID) is None
    assert pair.host.number_of(HOME) == 0


def test_an_old_list_is_called_stale_and_a_home_without_one_too(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.sync(NOW_S)
    told = {each["home"]: (each["age_s"], each["stale"]) for each in pair.host.ages(NOW_S + DAY_S, DAY_S)}
    assert told == {HOME: (DAY_S, False), THIRD: (None, True)}
    told = {each["home"]: (each["age_s"], each["stale"]) for each in pair.host.ages(NOW_S + DAY_S + 1, DAY_S)}
    assert told[HOME] == (DAY_S + 1, True)


def test_a_question_is_a_look_into_an_index_and_not_a_walk_through_all_cards(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE, *(Card(f"{at:010}", f"m{at}") for at in range(100, 3_100)))
    pair.sync(NOW_S)
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    pair.host._db.set_progress_handler(count, 1)  # one call for each step of SQLite's own machine
    assert pair.host.by_uid(UID) is not None
    assert pair.host.by_uid(bytes(7)) is None
    assert pair.host.by_any_number(ONE.number) is not None
    assert 0 < steps[0] < 1_000


def test_the_file_is_its_owners_and_holds_no_uid(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE)
    pair.sync(NOW_S)
    pair.host.close()
    file = tmp_path / "host" / FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    assert UID not in file.read_bytes()
    assert ONE.number.encode() not in file.read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=120), at=st.integers(0, 2_000), flip=st.integers(1, 255))
def test_hostile_bytes_are_refused_and_nothing_else_happens(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, flip: int
) -> None:
    pair = Pair(tmp_path_factory.mktemp("lists"), ONE)
    bent = bytearray(pair.message(0, NOW_S))
    bent[at % len(bent)] ^= flip
    for hostile in (data or b"\0", bytes(bent)):
        refusal(pair.host, hostile)
    assert pair.host.number_of(HOME) == 0
    pair.home.close()
    pair.host.close()


def test_lists_that_are_asked_for_at_once_are_made_one_after_the_other(tmp_path: Path) -> None:
    pair = Pair(tmp_path, *(Card(f"{at:010}", f"m{at}") for at in range(200)))

    async def asked() -> list[bytes]:
        wanted = [(host, base) for host in (HOST, THIRD) for base in (0, 0, STEP)]
        return await asyncio.gather(*(pair.home.message_beside(*each, NOW_S, PARIS) for each in wanted))

    told = asyncio.run(asked())
    assert pair.host.take(told[0], NOW_S)
    assert not pair.host.take(told[1], NOW_S)
    assert pair.host.by_number(HOME, "0000000199") is not None
    numbers = {peek_list(data)[1:4] for data in told if data}
    assert numbers == {(HOST, STEP, 0), (THIRD, STEP, 0)}
