"""Numbers, URLs and records on cards (wire/BADGES.md sections 1 and 6)."""

from collections.abc import Callable
from typing import Any

import ndef
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire import card
from balise_wire.envelope import Signer
from balise_wire.errors import WireError

Load = Callable[[str], Any]
HOME, UID = "coroutine.example", bytes.fromhex("04a1b2c3d4e5f6")
numbers = st.binary(min_size=6, max_size=6).map(card.make_number)


def test_numbers_are_those_of_the_vectors(vectors: Load) -> None:
    content = vectors("cards.json")
    for case in content["numbers"]:
        assert card.make_number(bytes.fromhex(case["chance"])) == case["number"]
    for case in content["misread"]:
        assert card.parse_number(case["typed"]) == case["number"], case["typed"]


def test_addresses_are_those_of_the_vectors(vectors: Load) -> None:
    for case in vectors("cards.json")["addresses"]:
        wanted = card.Address(
            case["number"],
            *(case.get(name, "") for name in ("home", "broker", "prefix")),
            *(bytes.fromhex(case.get(name, "")) for name in ("picc_data", "cmac")),
        )
        assert card.parse_address(case["text"]) == wanted


def test_what_is_no_address_of_a_card_is_refused(vectors: Load) -> None:
    for text in vectors("cards.json")["refused"]:
        with pytest.raises(WireError):
            card.parse_address(text)


def test_the_signed_record_is_that_of_the_vectors(vectors: Load) -> None:
    case = vectors("cards.json")["record"]
    signer, uid = Signer(bytes.fromhex(case["seed"])), bytes.fromhex(case["uid"])
    record = card.sign_record(signer, case["home"], case["number"], case["last_day"], uid)
    assert record.hex() == case["payload"]
    assert card.verify_record(record, [signer.public_key], case["home"], case["number"], uid) == case["last_day"]
    assert len(record) == card.RECORD_BYTES


def test_messages_are_those_of_the_vectors(vectors: Load) -> None:
    content = vectors("cards.json")
    url = card.home_url(HOME, content["record"]["number"])
    record, told = bytes.fromhex(content["record"]["payload"]), content["messages"]
    assert card.message(url).hex() == told["level_0"]
    assert card.message(url, record).hex() == told["level_1"]
    made = card.sun_template(url)
    assert made.message.hex() == told["level_2"]
    assert (made.picc_data_offset, made.cmac_offset) == (told["picc_data_offset"], told["cmac_offset"])
    assert len(card.message(url, record)) - len(card.message(url)) == 78
    assert len(card.message(url, record)) <= 137  # what an NTAG213 holds


@given(numbers)
def test_any_wrong_character_is_noticed(number: str) -> None:
    for place in range(card.NUMBER_CHARS):
        for other in set(card.ALPHABET) - {number[place]}:
            with pytest.raises(WireError):
                card.parse_number(number[:place] + other + number[place + 1 :])


@given(numbers, st.integers(0, card.NUMBER_CHARS - 2))
def test_neighbours_that_changed_places_are_noticed(number: str, at: int) -> None:
    first, second = number[at], number[at + 1]
    if first != second and {first, second} != {"0", "Z"}:
        with pytest.raises(WireError):
            card.parse_number(number[:at] + second + first + number[at + 2 :])


@given(numbers)
def test_what_is_printed_and_built_is_read_again(number: str) -> None:
    assert card.parse_number(card.printed(number)) == number
    assert card.parse_address(card.home_url(HOME, number)) == card.Address(number, home=HOME)
    poster = card.broker_url("badge.example", "cor", number)
    assert card.parse_address(poster) == card.Address(number, broker="badge.example", prefix="cor")


@given(st.text(max_size=600) | st.text("https:/b#?.-=&cmacpicdt0123456789ABCDEF", max_size=120))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = card.parse_address(text)
    except WireError:
        return
    assert card.parse_number(found.number) == found.number


@given(st.sampled_from(["home", "number", "uid", "record", "key"]), st.integers(0, 8 * card.RECORD_BYTES - 1))
def test_a_record_proves_nothing_about_another_card(changed: str, bit: int) -> None:
    signer, number = Signer(bytes(32)), card.make_number(bytes(6))
    record = card.sign_record(signer, HOME, number, 20000, UID)
    flipped = (int.from_bytes(record, "big") ^ 1 << bit).to_bytes(card.RECORD_BYTES, "big")
    with pytest.raises(WireError) as refused:
        card.verify_record(
            flipped if changed == "record" else record,
            [Signer(bytes([1] * 32)).public_key if changed == "key" else signer.public_key],
            "mappemonde.example" if changed == "home" else HOME,
            card.make_number(bytes([7] * 6)) if changed == "number" else number,
            bytes(7) if changed == "uid" else UID,
        )
    assert refused.value.reason in ("signature", "malformed")


def test_a_record_holds_under_an_older_key_too() -> None:
    old, new = Signer(bytes(32)), Signer(bytes([1] * 32))
    record = card.sign_record(old, HOME, card.make_number(bytes(6)), 20000, UID)
    assert card.verify_record(record, [new.public_key, old.public_key], HOME, card.make_number(bytes(6)), UID) == 20000


@pytest.mark.parametrize("day", [-1, card.MAX_DAY + 1])
def test_a_day_that_does_not_fit_is_refused(day: int) -> None:
    with pytest.raises(WireError, match="does not fit"):
        card.sign_record(Signer(bytes(32)), HOME, card.make_number(bytes(6)), day, UID)


@pytest.mark.parametrize("size", [0, 3, 5, 8, 11])
def test_a_record_for_a_uid_that_no_chip_has_is_refused(size: int) -> None:
    with pytest.raises(WireError, match=f"UID of {size} bytes"):
        card.sign_record(Signer(bytes(32)), HOME, card.make_number(bytes(6)), 0, bytes(size))


def test_a_message_that_is_cut_short_anywhere_is_refused() -> None:
    first = len(card.message(card.home_url(HOME, card.make_number(bytes(6)))))
    whole = card.message(card.home_url(HOME, card.make_number(bytes(6))), bytes(67))
    for end in set(range(1, len(whole))) - {first}:  # between its records it is a whole one
        with pytest.raises(WireError, match=r"cut short|are there"):
            card.read_message(whole[:end])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        uri, records = card.read_message(data)
    except WireError:
        return
    assert len(uri) + sum(len(payload) for _, payload in records) <= len(data) + len("https://www.")


@given(numbers, st.binary(min_size=1, max_size=200), st.booleans())
def test_a_message_is_what_another_library_reads(number: str, record: bytes, is_signed: bool) -> None:
    """ndeflib writes it, ours reads it; ours writes it, ndeflib reads it."""
    url = card.home_url(HOME, number)
    others = [ndef.Record(card.RECORD_TYPE, "", record)] if is_signed else []
    data = b"".join(ndef.message_encoder([ndef.UriRecord(url), *others]))
    assert card.read_message(data) == (url, [(card.RECORD_TYPE, record)] if is_signed else [])
    found = list(ndef.message_decoder(card.message(url, record if is_signed else b"")))
    assert [found[0].iri, *(r.data for r in found[1:])] == [url, *([record] if is_signed else [])]
