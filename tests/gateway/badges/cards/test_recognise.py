"""From what a reader saw to a claim: each grade, and each way in which a card can lie."""

from typing import Literal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.cards import sun
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.recognise import Claim, Own, Places, TakeCounter, recognise, verify_sun
from balise_gateway.badges.seen import Seen, Via
from balise_gateway.errors import BadgeError, PaperError
from balise_wire import card
from balise_wire.envelope import Signer

HERE, ELSEWHERE = "coroutine.example", "mappemonde.example"
NUMBER, UID, TODAY = card.make_number(bytes(range(6))), bytes.fromhex("04a1b2c3d4e5f6"), 20_800
KEYS, SIGNER = HomeKeys(bytes([1] * 32), bytes([2] * 32)), Signer(bytes([3] * 32))
PLACES = Places(lambda home: [SIGNER.public_key] if home == ELSEWHERE else [], {"map": ELSEWHERE})


def only_once() -> TakeCounter:
    """Counters that rise, as the register keeps them."""
    highest: dict[str, int] = {}

    def take(number: str, uid: bytes, counter: int) -> Literal["", "replay", "revoked"]:
        newer = counter > highest.get(number, -1)
        highest[number] = max(counter, highest.get(number, -1))
        return "" if newer else "replay"

    return take


def seen(uri: str, *records: bytes, uid: bytes = UID, via: Via = "card") -> Seen:
    return Seen(via, "door", uid, uri, [(card.RECORD_TYPE, record) for record in records])


def sun_url(counter: int, *, home: str = HERE, number: str = NUMBER, uid: bytes = UID, keys: HomeKeys = KEYS) -> str:
    """What the chip of this card says at its `counter`-th reading."""
    tap = sun.Tap(uid, counter)
    encryptor = Cipher(AES(keys.sun_meta_key(number)), CBC(bytes(16))).encryptor()
    plain = b"\xc7" + uid + counter.to_bytes(3, "little") + bytes(5)
    picc_data = (encryptor.update(plain) + encryptor.finalize()).hex()
    cmac = sun.cmac_of(keys.card_keys(number, uid).file, tap).hex()
    return f"{card.home_url(home, number)}?picc_data={picc_data}&cmac={cmac}"


def own() -> Own:
    return Own(HERE, KEYS, only_once())


def test_a_bare_card_is_its_uid() -> None:
    assert recognise(seen(""), PLACES, own(), TODAY) == Claim(None, uid=UID)


@pytest.mark.parametrize("uri", ["https://example.org/menu", "tel:+33320", "https://coroutine.example/b/1234567890"])
def test_a_card_of_something_else_is_its_uid_too(uri: str) -> None:
    assert recognise(seen(uri), PLACES, own(), TODAY) == Claim(None, uid=UID)
    assert recognise(seen(uri, uid=b"", via="qr"), PLACES, own(), TODAY) == Claim(None, via="qr", wrong="unreadable")


def test_nothing_at_all_is_unreadable() -> None:
    assert recognise(seen("", uid=b""), PLACES, own(), TODAY).wrong == "unreadable"


@pytest.mark.parametrize(
    ("uri", "home"),
    [
        (card.home_url(ELSEWHERE, NUMBER), ELSEWHERE),
        (card.broker_url("badge.example", "map", NUMBER), ELSEWHERE),
        (card.broker_url("badge.example", "nobody", NUMBER), None),
        (card.printed(NUMBER).lower(), None),
    ],
)
def test_a_printed_code_says_whose_and_which_and_proves_nothing(uri: str, home: str | None) -> None:
    assert recognise(seen(uri, uid=b"", via="qr"), PLACES, own(), TODAY) == Claim(home, NUMBER, via="qr")


def test_a_signed_card_is_grade_1_until_its_last_day() -> None:
    record = card.sign_record(SIGNER, ELSEWHERE, NUMBER, TODAY, UID)
    shown = seen(card.home_url(ELSEWHERE, NUMBER), record)
    wanted = Claim(ELSEWHERE, NUMBER, UID, 1, last_day=TODAY)
    assert recognise(shown, PLACES, None, TODAY) == wanted
    assert recognise(shown, PLACES, None, TODAY + 1).wrong == "expired"


def test_without_a_clock_the_last_day_is_told_and_not_judged() -> None:
    record = card.sign_record(SIGNER, ELSEWHERE, NUMBER, 0, UID)
    claim = recognise(seen(card.home_url(ELSEWHERE, NUMBER), record), PLACES, None, None)
    assert (claim.grade, claim.wrong, claim.last_day, claim.is_day_known) == (1, "", 0, False)


def test_a_record_copied_to_another_card_is_refused() -> None:
    record = card.sign_record(SIGNER, ELSEWHERE, NUMBER, TODAY, UID)
    claim = recognise(seen(card.home_url(ELSEWHERE, NUMBER), record, uid=bytes(7)), PLACES, None, TODAY)
    assert (claim.grade, claim.wrong, claim.last_day) == (0, "signature", None)


@given(st.binary(max_size=80))
def test_any_record_that_nobody_signed_is_refused(record: bytes) -> None:
    claim = recognise(seen(card.home_url(ELSEWHERE, NUMBER), record), PLACES, None, TODAY)
    assert (claim.grade, claim.wrong) == (0, "signature")


def test_a_record_of_a_stranger_proves_nothing_and_is_no_fault() -> None:
    record = card.sign_record(SIGNER, "unknown.example", NUMBER, TODAY, UID)
    claim = recognise(seen(card.home_url("unknown.example", NUMBER), record), PLACES, None, TODAY)
    assert claim == Claim("unknown.example", NUMBER, UID)


def test_a_chip_of_ours_is_grade_2_once_for_each_message() -> None:
    here = own()
    assert recognise(seen(sun_url(5)), PLACES, here, TODAY) == Claim(HERE, NUMBER, UID, 2)
    again = recognise(seen(sun_url(5)), PLACES, here, TODAY)
    assert (again.grade, again.wrong) == (0, "replay")
    assert recognise(seen(sun_url(4)), PLACES, here, TODAY).wrong == "replay"
    assert recognise(seen(sun_url(6)), PLACES, here, TODAY).grade == 2


def test_a_message_that_may_be_an_old_one_counts_as_a_number_that_was_typed() -> None:
    mine = Own(HERE, KEYS, lambda number, uid, counter: "unsure", lambda number, uid: True)
    claim = recognise(seen(sun_url(4)), PLACES, mine, TODAY)
    assert (claim.home, claim.number, claim.grade, claim.wrong) == (HERE, NUMBER, 0, "")
    with pytest.raises(PaperError, match="restored from a backup"):
        verify_sun(mine, NUMBER, *(bytes.fromhex(part.split("=")[1]) for part in sun_url(4).split("?")[1].split("&")))


def test_a_chip_that_hides_its_uid_is_known_by_its_message() -> None:
    assert recognise(seen(sun_url(1), uid=b"\x08abc"), PLACES, own(), TODAY) == Claim(HERE, NUMBER, UID, 2)


@pytest.mark.parametrize(
    "url",
    [
        sun_url(1, keys=HomeKeys(bytes([1] * 32), bytes([9] * 32))),
        sun_url(1, uid=bytes.fromhex("04ffffffffffff")),  # replayed by another chip
        sun_url(1)[:-1] + ("0" if sun_url(1)[-1] != "0" else "1"),
        sun_url(1).replace(NUMBER, card.make_number(bytes(6))),
    ],
)
def test_a_message_that_no_chip_of_ours_made_is_refused(url: str) -> None:
    claim = recognise(seen(url), PLACES, own(), TODAY)
    assert (claim.grade, claim.wrong, claim.sun) == (0, "signature", None)


def test_a_refused_message_does_not_use_up_the_counter() -> None:
    here = own()
    assert recognise(seen(sun_url(9), uid=bytes(7)), PLACES, here, TODAY).wrong == "signature"
    assert recognise(seen(sun_url(2)), PLACES, here, TODAY).grade == 2


def test_an_old_chip_of_a_number_that_lives_on_is_refused() -> None:
    here = Own(HERE, KEYS, lambda number, uid, counter: "revoked")
    claim = recognise(seen(sun_url(1)), PLACES, here, TODAY)
    assert (claim.grade, claim.wrong) == (0, "revoked")


def test_the_number_of_a_card_of_ours_on_another_chip_is_refused() -> None:
    here = Own(HERE, KEYS, only_once(), lambda number, uid: uid == UID)
    uri = card.home_url(HERE, NUMBER)
    assert recognise(seen(uri), PLACES, here, TODAY) == Claim(HERE, NUMBER, UID)
    assert recognise(seen(uri, uid=bytes(7)), PLACES, here, TODAY).wrong == "signature"
    assert recognise(seen(uri, uid=b"", via="qr"), PLACES, here, TODAY) == Claim(HERE, NUMBER, via="qr")
    elsewhere = card.home_url(ELSEWHERE, NUMBER)
    assert recognise(seen(elsewhere, uid=bytes(7)), PLACES, here, TODAY).wrong == ""


def test_a_counter_that_the_disk_does_not_take_leaves_a_number_that_anybody_could_type() -> None:
    def full(number: str, uid: bytes, counter: int) -> Literal[""]:
        raise BadgeError("nothing was written: database or disk is full; check the disk")

    assert recognise(seen(sun_url(1)), PLACES, Own(HERE, KEYS, full), TODAY) == Claim(HERE, NUMBER, UID)


def test_a_message_of_another_home_is_handed_on() -> None:
    url = sun_url(1, home=ELSEWHERE)
    claim = recognise(seen(url), PLACES, own(), TODAY)
    assert (claim.home, claim.grade, claim.wrong) == (ELSEWHERE, 0, "")
    assert claim.sun == card.parse_address(url)
    at_home = Own(ELSEWHERE, KEYS, only_once())
    assert verify_sun(at_home, claim.sun.number, claim.sun.picc_data, claim.sun.cmac) == sun.Tap(UID, 1)
    with pytest.raises(PaperError, match="replay"):
        verify_sun(at_home, claim.sun.number, claim.sun.picc_data, claim.sun.cmac)


def test_a_picture_of_a_fresh_message_proves_nothing() -> None:
    claim = recognise(seen(sun_url(1), uid=b"", via="qr"), PLACES, own(), TODAY)
    assert claim == Claim(HERE, NUMBER, via="qr")


@given(st.text(max_size=80), st.binary(max_size=12), st.sampled_from(["card", "qr", "desk"]))
def test_nothing_that_is_shown_makes_it_fail(uri: str, uid: bytes, via: Via) -> None:
    claim = recognise(seen(uri, uid, uid=uid, via=via), PLACES, own(), TODAY)
    assert claim.grade == 0


def test_a_claim_shows_neither_uid_nor_number() -> None:
    told = repr(recognise(seen(sun_url(1, home=ELSEWHERE)), PLACES, own(), TODAY))
    assert NUMBER not in told
    assert UID.hex() not in told
    assert repr(UID) not in told
