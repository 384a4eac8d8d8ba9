"""Cards against their data sheets: NTAG21x, MIFARE Classic, DESFire, and the blocks of ISO 14443-4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_sim.nfc.cards import desfire, kinds, make, mifare_classic, ntag21x, ntag424
from balise_sim.nfc.isodep import Picc

UID = bytes.fromhex("04a1b2c3d4e5f6")
# pages, the page of the dynamic lock bits, eights of bytes in the capability container
MEMORY = {"NTAG213": (45, 0x28, 0x12), "NTAG215": (135, 0x82, 0x3E), "NTAG216": (231, 0xE2, 0x6D)}


def tag(product: str = "NTAG213") -> ntag21x.Model:
    card = ntag21x.Model(UID, product)
    card.activate()
    return card


def ask(card: ntag21x.Model, command: str) -> str:
    """In hexadecimal; selected again after a refusal, "" for silence."""
    answer = card.exchange(bytes.fromhex(command))
    if answer is None or (len(answer) == 1 and answer != ntag21x.ACK):
        card.activate()
    return "" if answer is None else answer.hex()


def test_cards_are_found_by_name_and_a_wrong_name_says_which_there_are() -> None:
    assert kinds() == ["desfire", "mifare_classic", "ntag21x", "ntag424"]
    assert make("mifare_classic", b"\x01\x02\x03\x04").sak == 0x08
    with pytest.raises(KeyError, match="ntag424"):
        make("ntag", UID)


@pytest.mark.parametrize("kind", ["desfire", "mifare_classic", "ntag21x", "ntag424"])
def test_a_uid_of_another_length_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="bytes, not 5"):
        make(kind, bytes(5))


@pytest.mark.parametrize("product", MEMORY)
def test_a_fresh_tag_has_the_memory_of_its_data_sheet(product: str) -> None:
    card, (pages, lock, eights) = tag(product), MEMORY[product]
    head = bytes.fromhex(ask(card, "3000"))
    assert head[:3] + head[4:8] == UID
    assert head[3] == 0x88 ^ UID[0] ^ UID[1] ^ UID[2]
    assert head[8] == UID[3] ^ UID[4] ^ UID[5] ^ UID[6]
    assert head[12:] == bytes([0xE1, 0x10, eights, 0])
    assert len(bytes.fromhex(ask(card, f"3a00{pages - 1:02x}"))) == pages * 4
    assert ask(card, f"30{pages:02x}") == "00"
    assert ask(card, f"3a00{pages:02x}") == "00"
    assert ask(card, "3a0500") == "00"
    assert ask(card, f"30{lock + 1:02x}") == "040000ff" + "00050000" + "00" * 8, "password and PACK read as zero"


def test_reading_over_the_end_goes_on_at_the_beginning() -> None:
    card = tag()
    assert ask(card, "302b")[16:] == ask(card, "3000")[:16]


def test_a_command_that_is_not_taken_silences_the_tag_until_it_is_selected() -> None:
    card = tag()
    assert card.exchange(b"\x1a\x00") == b"\x00"
    assert card.exchange(b"\x30\x00") is None
    card.activate()
    assert card.exchange(b"\x30\x00") is not None
    assert card.exchange(b"\x50\x00") is None
    assert card.exchange(b"\x30\x00") is None
    card.activate()
    card.away()
    assert card.exchange(b"\x30\x00") is None


def test_lock_bits_only_ever_close() -> None:
    card = tag()
    assert ask(card, "a20401020304") == "0a"
    assert ask(card, "a202ffff1000") == "0a"
    assert card.page(2)[2:] == b"\x10\x00", "the first two bytes of the page are no lock bits and stay"
    assert ask(card, "a20409090909") == "00"
    assert ask(card, "a20509090909") == "0a"
    assert ask(card, "a20200000000") == "0a"
    assert card.page(2)[2:] == b"\x10\x00"
    assert ask(card, "a22801000000") == "0a"
    assert ask(card, "a21009090909") == "00"
    assert ask(card, "a21209090909") == "0a"
    assert ask(card, "a200ffffffff") == "00"


def test_the_capability_container_can_only_gain_bits() -> None:
    card = tag()
    assert ask(card, "a2030000000f") == "0a"
    assert card.page(3) == b"\xe1\x10\x12\x0f"


def test_a_password_guards_what_lies_behind_auth0_and_wrong_ones_are_counted() -> None:
    card = tag()
    ask(card, "a22b11223344")
    ask(card, "a22caabb0000")
    ask(card, "a22a83050000")  # PROT, three tries
    ask(card, "a22904000006")
    assert ask(card, "3006") == "00"
    assert ask(card, "a20609090909") == "00"
    assert ask(card, "3004")[16:] == ask(card, "3000")[:16], "rolls over before the guarded pages"
    assert ask(card, "1b00000000") == "00"
    assert ask(card, "1b11223344") == "aabb"
    assert ask(card, "a20609090909") == "0a"
    assert ask(card, "3006")[:8] == "09090909"
    card.activate()
    for _ in range(3):
        assert ask(card, "1b00000000") == "00"
    assert ask(card, "1b11223344") == "04"


def test_the_counter_rises_once_each_time_the_tag_gets_power() -> None:
    card = tag()
    assert ask(card, "3902") == "00"
    ask(card, "a22a10050000")
    for expected in ("010000", "020000"):
        ask(card, "3000")
        ask(card, "3a0004")
        assert ask(card, "3902") == expected
        card.away()
        card.activate()


def test_a_compatibility_write_takes_the_first_four_of_sixteen_bytes() -> None:
    card = tag()
    assert ask(card, "a006") == "0a"
    assert ask(card, "01020304" + "ff" * 12) == "0a"
    assert card.page(6) + card.page(7) == b"\x01\x02\x03\x04" + bytes(4)
    assert ask(card, "a006") == "0a"
    assert ask(card, "01020304") == "00"


def test_a_message_that_does_not_fit_is_refused() -> None:
    card = tag()
    card.set_ndef(bytes(137))
    assert ask(card, "3004")[:4] == "0389"
    with pytest.raises(ValueError, match="NTAG213"):
        card.set_ndef(bytes(142))


@pytest.mark.parametrize(
    ("uid", "signature"),
    [
        ("04E10CDA993C80", "8B76052EE42F5567BEB53238B3E3F9950707C0DCC956B5C5EFCFDB709B2D82B3"),
        ("04DB0BDA993C80", "6048EFD9417CD10F6B7F1818D471A7FE5B46868D2EABDC6307A1E0AAE139D8D0"),
    ],
)
def test_read_sig_tells_the_signature_that_was_given(uid: str, signature: str) -> None:
    """Vectors F are NXP's signatures of real tags, on a curve that `cryptography` does not have."""
    card = ntag21x.Model(bytes.fromhex(uid), signature=bytes.fromhex(signature))
    card.activate()
    assert ask(card, "3c00") == signature.lower()
    assert ask(card, "3c01") == "00"


@given(st.lists(st.binary(max_size=20), max_size=12))
def test_whatever_a_tag_is_sent_its_uid_stays_and_answers_are_short(frames: list[bytes]) -> None:
    card = tag("NTAG216")
    for frame in frames:
        answer = card.exchange(frame)
        card.activate()
        assert answer is None or 1 <= len(answer) <= 231 * 4
    assert card.memory[:9] == ntag21x.with_check_bytes(UID)


def test_a_classic_refuses_the_commands_of_tags_and_challenges_who_would_authenticate() -> None:
    card = mifare_classic.Model(UID[:4])
    assert card.exchange(b"\x30\x00") is None
    for command in ("3000", "60", "3a0004", "a20400000000"):
        card.activate()
        assert card.exchange(bytes.fromhex(command)) == b"\x04"
        assert card.exchange(b"\x30\x00") is None
    card.activate()
    assert len(card.exchange(b"\x60\x04") or b"") == 4


def test_a_desfire_tells_its_version_in_three_frames_and_knows_no_ndef() -> None:
    card = desfire.Model(UID)
    card.activate()
    first, second, third = (card.exchange(bytes([0x90, code, 0, 0, 0])) for code in (0x60, 0xAF, 0xAF))
    assert (first or b"")[-2:] == (second or b"")[-2:] == b"\x91\xaf"
    assert third == UID + desfire.BATCH + b"\x91\x00"
    assert card.exchange(bytes.fromhex("00a4040007d276000085010100")) == b"\x6a\x82"
    assert card.exchange(bytes.fromhex("90af000000")) == b"\x91\x1c"
    assert card.exchange(bytes.fromhex("9060000000")) != card.exchange(bytes.fromhex("906a000000")) == b"\x91\xca"
    assert card.exchange(bytes.fromhex("906a000000")) == b"\x91\x00"


# ISO 14443-4


def in_blocks(frame_code: int) -> Picc:
    card = ntag424.Model(UID)
    card.activate()
    picc = Picc(card)
    assert picc.exchange(bytes([0xE0, frame_code << 4])) == card.ats
    return picc


SELECT = bytes.fromhex("00a4040c07d276000085010100")


def test_before_rats_a_card_with_blocks_is_silent_and_after_deselect_again() -> None:
    picc = Picc(ntag424.Model(UID))
    assert picc.exchange(b"\x02" + SELECT) is None
    assert picc.exchange(b"\xe0\x80") is not None
    assert picc.exchange(b"\xd0\x11\x00") == b"\xd0"
    assert picc.exchange(b"\x02" + SELECT) == b"\x02\x90\x00"
    assert picc.exchange(b"\xc2") == b"\xc2"
    assert picc.exchange(b"\x03" + SELECT) is None


def test_a_long_answer_comes_in_blocks_of_the_size_that_was_agreed_and_can_be_asked_again() -> None:
    picc = in_blocks(2)  # 32 bytes
    picc.exchange(b"\x02" + SELECT)
    picc.exchange(b"\x03" + bytes.fromhex("00a4000c02e103"))
    block = picc.exchange(b"\x02" + bytes.fromhex("00b0000020")) or b""
    assert (block[0], len(block)) == (0x12, 30)
    assert picc.exchange(b"\xb2") == block, "a NAK with the same number: the last block again"
    assert picc.exchange(b"\xb3") == b"\xa2", "with the other: what had come was heard"
    rest = picc.exchange(b"\xa3") or b""
    assert rest[0] == 0x03
    assert (block[1:] + rest[1:])[-2:] == b"\x90\x00"
    assert len(block[1:] + rest[1:]) == 34


def test_a_command_in_two_blocks_is_put_together() -> None:
    picc = in_blocks(8)
    assert picc.exchange(b"\x12" + SELECT[:6]) == b"\xa2"
    assert picc.exchange(b"\x03" + SELECT[6:]) == b"\x03\x90\x00"


def test_a_card_that_is_given_a_number_answers_with_it() -> None:
    picc = in_blocks(8)
    assert picc.exchange(b"\x0a\x01" + SELECT) == b"\x0a\x01\x90\x00"


@given(st.lists(st.binary(max_size=20), max_size=12))
def test_whatever_blocks_come_the_card_stays_itself(blocks: list[bytes]) -> None:
    picc = in_blocks(8)
    for block in blocks:
        picc.exchange(block)
    picc.exchange(b"\xc2")
    assert picc.exchange(b"\xe0\x80") is not None
