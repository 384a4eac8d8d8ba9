"""What is on a card, read and written over any link: our cards of balise_sim, and cards that answer anything."""

from typing import Any

import ndef
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.readers import _cards
from balise_gateway.badges.readers._cards import Card
from balise_gateway.badges.readers._ndef import opened
from balise_gateway.errors import CardLost, CardRefused
from balise_sim.nfc.cards import ntag21x, ntag424
from gateway.badges.readers.card_benches import message, uri_message

UID = bytes.fromhex("04a1b2c3d4e5f6")
OLD, NEW = uri_message("https://old.example/t?c=1"), uri_message("https://new.example/t?c=2&m=" + "x" * 60)


class Near:
    """A link to a simulated card, without a reader between. The card goes away after so many exchanges."""

    has_raw = True

    def __init__(self, card: Any, exchanges: int = 10_000) -> None:
        self.card, self.left, self.uid, self.is_iso = card, exchanges, card.uid, card.ats is not None
        card.activate()

    def exchange(self, command: bytes) -> bytes:
        self.left -= 1
        answer = self.card.exchange(command) if self.left >= 0 else None
        if answer is None:
            raise CardLost("away")
        return bytes(answer)

    def reselect(self) -> None:
        if self.left < 0:
            raise CardLost("away")
        self.card.activate()


class Stranger:
    """A card that answers anything, and never tires."""

    uid = UID

    def __init__(self, answers: list[bytes | None], is_iso: bool, has_raw: bool = True) -> None:
        self.answers, self.is_iso, self.has_raw, self.exchanges = answers, is_iso, has_raw, 0

    def exchange(self, command: bytes) -> bytes:
        self.exchanges += 1
        answer = self.answers[self.exchanges % len(self.answers)]
        if answer is None:
            raise CardLost("silent")
        return answer

    def reselect(self) -> None:
        pass


CARDS = [lambda: ntag21x.Model(UID, "NTAG213"), lambda: ntag21x.Model(UID, "NTAG216"), lambda: ntag424.Model(UID)]
NAMES = ["NTAG213", "NTAG216", "NTAG424"]


@pytest.mark.parametrize("make", CARDS, ids=NAMES)
@settings(deadline=None, max_examples=30)
@given(length=st.integers(0, 130), byte=st.integers(0, 255), looks=st.booleans())
def test_what_is_written_is_read(make: Any, length: int, byte: int, looks: bool) -> None:
    card = Card(Near(make()))
    if looks:
        card.look()
    wanted = bytes([byte]) * length
    card.write_ndef(wanted)
    assert card.read_ndef() == wanted
    card.write_ndef(OLD)
    assert card.read_ndef() == OLD


@pytest.mark.parametrize("length", [254, 255, 256, 257, 600, 860])
def test_lengths_of_one_byte_and_of_three(length: int) -> None:
    card = Card(Near(ntag21x.Model(UID, "NTAG216")))
    for size in (length, 3, length):
        card.write_ndef(b"\xd5" * size)
        assert card.read_ndef() == b"\xd5" * size


def factory_fresh() -> ntag21x.Model:
    """NTAG213 come with a TLV that says where their lock bits are (rev. 3.2, 8.5.6): the message's begins at byte 5."""
    model = ntag21x.Model(UID, "NTAG213")
    model.memory[16:24] = bytes.fromhex("0103a00c340300fe")
    return model


@pytest.mark.parametrize("make", [*CARDS, factory_fresh], ids=[*NAMES, "fresh"])
def test_a_card_torn_away_while_it_is_written_holds_the_old_the_new_or_no_message(make: Any) -> None:
    outcomes = set()
    for exchanges in range(80):
        model = make()
        Card(Near(model)).write_ndef(OLD)
        try:
            Card(Near(model, exchanges)).write_ndef(NEW)
        except CardLost:
            pass
        outcomes.add(left := Card(Near(model)).read_ndef())
        assert left in (OLD, NEW, b"")
    assert outcomes == {OLD, NEW, b""}


def test_what_stands_before_the_message_stays() -> None:
    model = factory_fresh()
    Card(Near(model)).write_ndef(NEW)
    assert model.memory[16:22] == bytes.fromhex("0103a00c3403")
    assert Card(Near(model)).read_ndef() == NEW


def test_a_message_far_behind_other_tlvs_is_found() -> None:
    model = ntag21x.Model(UID, "NTAG215")
    block = b"\x00\x00\xfd\x20" + bytes(32) + b"\x03" + bytes([len(OLD)]) + OLD + b"\xfe"
    model.memory[16 : 16 + len(block)] = block
    assert Card(Near(model)).read_ndef() == OLD


def test_a_message_that_has_no_room_is_refused_and_the_old_one_stays() -> None:
    model = ntag21x.Model(UID, "NTAG213")
    model.set_ndef(OLD)
    with pytest.raises(CardRefused, match=r"no room: the message needs 15. bytes, the card has 144"):
        Card(Near(model)).write_ndef(bytes(150))
    assert Card(Near(model)).read_ndef() == OLD
    with pytest.raises(CardRefused, match="no room"):
        Card(Near(ntag424.Model(UID))).write_ndef(bytes(300))
    with pytest.raises(CardRefused, match="too long for any card"):
        Card(Near(model)).write_ndef(bytes(5000))


def test_a_locked_card_is_refused() -> None:
    by_capabilities, by_lock_bits = ntag21x.Model(UID), ntag21x.Model(UID)
    by_capabilities.set_page(3, bytes.fromhex("e110120f"))
    by_lock_bits.set_page(2, by_lock_bits.page(2)[:2] + b"\xff\xff")
    for model in (by_capabilities, by_lock_bits):
        with pytest.raises(CardRefused, match="locked"):
            Card(Near(model)).write_ndef(NEW)


def test_a_card_that_is_not_formatted_is_refused_and_has_no_message() -> None:
    model = ntag21x.Model(UID)
    model.memory[12:16] = bytes(4)
    assert Card(Near(model)).read_ndef() == b""
    with pytest.raises(CardRefused, match="not formatted"):
        Card(Near(model)).write_ndef(NEW)


def test_a_card_that_forgets_what_was_written_is_refused() -> None:
    model = ntag21x.Model(UID)
    model._write = lambda page, data: ntag21x.ACK  # type: ignore[method-assign]
    with pytest.raises(CardRefused, match="does not hold what was written"):
        Card(Near(model)).write_ndef(NEW)


def test_a_tag_without_get_version_is_selected_again_and_read() -> None:
    """MIFARE Ultralight (MF0ICU1) falls silent at a command that it does not know."""
    model = ntag21x.Model(UID)
    model.set_ndef(OLD)
    answer = model._answer
    model._answer = lambda frame: None if frame[0] in (0x60, 0x3C, 0x3A) else answer(frame)  # type: ignore[method-assign]
    card = Card(Near(model))
    card.look()
    assert (card.kind, card.read_ndef(), card.originality()) == ("", OLD, b"")


def test_a_card_has_no_uid_in_its_repr() -> None:
    card = Card(Near(ntag21x.Model(UID)))
    assert UID.hex() not in repr(card)


ANSWERS = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=128, max_size=128),
    st.binary(max_size=20).map(lambda data: data + b"\x90\x00"),
    st.binary(max_size=20).map(lambda data: data + b"\x91\xaf"),
    st.sampled_from([b"\x0a", b"\x00", bytes.fromhex("0004040201000f03"), bytes.fromhex("e1106d00") + b"\x03" * 12]),
    st.just(bytes.fromhex("000f20000100010406e10410000000") + b"\x90\x00"),
)


@settings(deadline=None)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=12), is_iso=st.booleans(), has_raw=st.booleans())
def test_whatever_a_card_answers_the_work_ends_with_a_message_or_a_named_error(
    answers: list[bytes | None], is_iso: bool, has_raw: bool
) -> None:
    stranger = Stranger(answers, is_iso, has_raw)
    card = Card(stranger)
    for work in (card.look, card.read_ndef, card.originality, lambda: card.write_ndef(NEW)):
        before, told = stranger.exchanges, ""
        try:
            work()
        except (CardLost, CardRefused) as error:
            told = str(error)
        assert UID.hex() not in told
        assert stranger.exchanges - before <= 2 * _cards.MOST_BYTES + 600


@pytest.mark.parametrize("version", [b"", bytes.fromhex("0004040201000f03")])
def test_a_tag_that_claims_more_memory_than_a_page_number_can_name_is_no_fault(version: bytes) -> None:
    """Whoever plays a card with a computer can claim 2,040 bytes; the 257th page has no number."""

    class Boaster:
        uid, is_iso, has_raw = UID, False, True

        def __init__(self) -> None:
            memory = bytearray(2_100)
            memory[12:16], memory[16:20] = b"\xe1\x10\xff\x00", b"\x03\xff\x07\x00"
            self.memory = bytes(memory)

        def exchange(self, command: bytes) -> bytes:
            if command[0] == 0x60:
                return version
            last = command[2] if command[0] == 0x3A else command[1] + 3
            return self.memory[command[1] * 4 : last * 4 + 4]

        def reselect(self) -> None: ...

    card = Card(Boaster())
    card.look()
    assert card.read_ndef() == b""


def test_a_card_that_gives_its_message_in_crumbs_is_refused() -> None:
    class Crumbs:
        uid, is_iso, has_raw = UID, True, True
        exchanges = 0

        def exchange(self, command: bytes) -> bytes:
            self.exchanges += 1
            if command[1] != 0xB0:
                return b"\x90\x00"
            if command[4] == 15:
                return bytes.fromhex("000f20000100010406e10410000000") + b"\x90\x00"
            return (b"\x0f\x00" if command[3] == 0 and command[4] == 2 else b"x") + b"\x90\x00"

        def reselect(self) -> None: ...

    crumbs = Crumbs()
    with pytest.raises(CardRefused, match="crumbs"):
        Card(crumbs).read_ndef()
    assert crumbs.exchanges < 150


@given(st.binary(max_size=400))
def test_whatever_a_message_holds_it_is_opened(data: bytes) -> None:
    uri, records = opened(data)
    assert uri.isprintable()
    assert len(records) <= 16


@given(st.lists(st.sampled_from([ndef.UriRecord("https://b.example/?a=1&b=2"), ndef.TextRecord("é"), ndef.Record()])))
def test_a_message_that_is_cut_off_anywhere_is_opened(records: list[Any]) -> None:
    data = message(*records)
    for end in range(len(data)):
        opened(data[:end])


def test_the_first_uri_counts_and_the_others_are_kept() -> None:
    first, second = ndef.UriRecord("https://b.example/?a=1&b=2"), ndef.UriRecord("tel:1")
    extra = ndef.Record("urn:nfc:ext:balise:c", "", b"\x01\x02")
    uri, records = opened(message(ndef.TextRecord("hello"), first, extra, second))
    assert uri == "https://b.example/?a=1&b=2"
    assert [name for name, _ in records] == ["urn:nfc:wkt:T", "urn:nfc:ext:balise:c"]
    assert records[1] == ("urn:nfc:ext:balise:c", b"\x01\x02")
