"""Cards are written: NTAG21x plain and signed, NTAG 424 DNA with its keys, whenever the card is torn away."""

import json
from pathlib import Path

import pytest

from balise_gateway.badges.cards import ev2, ntag21x, sun
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.originality import is_original
from balise_gateway.badges.cards.personalise import address_on, personalise
from balise_gateway.badges.cards.recognise import Own, Places, recognise
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import CardLost, CardRefused
from balise_sim.nfc.cards.ntag21x import Model as Ntag21x
from balise_sim.nfc.cards.ntag424 import Model as Ntag424
from balise_wire import card
from gateway.badges.cards.lying_chip import LyingChip

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/nxp.json").read_text(encoding="utf-8"))
HOME, NUMBER, OTHER = "coroutine.example", card.make_number(bytes(range(6))), card.make_number(bytes([9] * 6))
KEYS, UID = HomeKeys(bytes([1] * 32), bytes([2] * 32)), bytes.fromhex("04a1b2c3d4e5f6")
URL = card.home_url(HOME, NUMBER)


def on_reader(model: Ntag424, goes_at: int | None = None, is_heard: bool = True) -> LyingChip:
    return LyingChip(model, "NTAG424", goes_at, is_heard)


def shown(model: Ntag424) -> str:
    """What a phone reads."""
    return card.read_message(on_reader(model).read_ndef())[0]


def test_authentication_gives_the_session_keys_of_the_example() -> None:
    told = {name: bytes.fromhex(value) for name, value in VECTORS["D"].items() if name != "what"}
    model = Ntag424(UID, chance=lambda size: told["rnd_b"][:size])
    session = ev2.authenticate(on_reader(model), 0, bytes(16), lambda size: told["rnd_a"])
    assert (session.enc_key, session.mac_key) == (told["enc_key"], told["mac_key"])


def test_a_chip_becomes_a_card_whose_messages_the_home_accepts() -> None:
    model, steps = Ntag424(UID), []
    made = personalise(on_reader(model), KEYS, HOME, NUMBER, steps.append)
    assert (made.number, made.uid, made.was_begun) == (NUMBER, UID, False)
    assert steps == ["address", "key 1", "key 2", "key 3", "key 4", "messages", "master key", "check"]
    assert model.keys == list(KEYS.card_keys(NUMBER, UID).keys)
    counters: list[int] = []
    own = Own(HOME, KEYS, lambda number, uid, counter: counters.append(counter) or "")  # type: ignore[func-returns-value]
    for _ in range(2):
        seen = Seen("card", "door", UID, shown(model))
        claim = recognise(seen, Places(lambda home: []), own, 20_000)
        assert (claim.home, claim.number, claim.uid, claim.grade, claim.wrong) == (HOME, NUMBER, UID, 2, "")
    assert counters == [made.counter + 1, made.counter + 2]


def test_nobody_else_can_write_to_the_card_afterwards() -> None:
    model = Ntag424(UID)
    personalise(on_reader(model), KEYS, HOME, NUMBER)
    with pytest.raises(CardRefused, match="may not be written"):
        on_reader(model).write_ndef(card.message("https://elsewhere.example/b/0000000000"))
    with pytest.raises(ev2.ChipStatus, match="wrong key"):
        ev2.authenticate(on_reader(model), 0, bytes(16))


def commands_of_a_whole_run() -> int:
    chip = on_reader(Ntag424(UID))
    personalise(chip, KEYS, HOME, NUMBER)
    return chip.sent


@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize("goes_at", range(commands_of_a_whole_run()))
def test_a_card_torn_away_at_any_command_is_finished_by_the_next_run(goes_at: int, is_heard: bool) -> None:
    """With another number at hand, as a second try would have: the chip keeps the one that stands on it."""
    model = Ntag424(UID)
    with pytest.raises(CardLost):
        personalise(on_reader(model, goes_at, is_heard), KEYS, HOME, NUMBER)
    made = personalise(on_reader(model), KEYS, HOME, OTHER)
    assert made.number == (NUMBER if made.was_begun else OTHER)
    assert model.keys == list(KEYS.card_keys(made.number, UID).keys)
    address = card.parse_address(shown(model))
    tap = sun.open_picc_data(KEYS.sun_meta_key(made.number), address.picc_data)
    sun.check(KEYS.card_keys(made.number, UID).file, tap, address.cmac)


def test_a_card_torn_away_again_and_again_is_finished_in_the_end() -> None:
    model, taken = Ntag424(UID), 0
    for goes_at in range(2, 2 * commands_of_a_whole_run(), 3):
        try:
            made = personalise(on_reader(model, goes_at), KEYS, HOME, NUMBER)
        except CardLost:
            taken += 1
            continue
        break
    assert taken > 4
    assert (made.number, model.keys) == (NUMBER, list(KEYS.card_keys(NUMBER, UID).keys))


def test_a_finished_card_stays_as_it_is() -> None:
    model = Ntag424(UID)
    first = personalise(on_reader(model), KEYS, HOME, NUMBER)
    steps: list[str] = []
    again = personalise(on_reader(model), KEYS, HOME, OTHER, steps.append)
    assert (again.number, again.was_begun, steps) == (NUMBER, True, ["check"])
    assert again.counter > first.counter


def test_a_plain_card_of_ours_is_raised_to_grade_2_with_its_number() -> None:
    model = Ntag424(UID)
    model.set_ndef(card.message(URL))
    made = personalise(on_reader(model), KEYS, HOME, OTHER)
    assert made.number == NUMBER
    assert card.parse_address(shown(model)).has_sun


def test_a_chip_of_another_system_is_refused_and_left_alone() -> None:
    for which in range(5):
        model = Ntag424(UID)
        model.keys[which], model.key_versions[which] = bytes([7] * 16), 1
        before = (list(model.keys), bytes(model.files[0xE104].content))
        with pytest.raises(CardRefused, match="another system"):
            personalise(on_reader(model), KEYS, HOME, NUMBER)
        assert (model.keys, bytes(model.files[0xE104].content)) == before


def test_a_card_made_with_another_home_key_is_refused() -> None:
    model = Ntag424(UID)
    personalise(on_reader(model), HomeKeys(bytes([1] * 32), bytes([8] * 32)), HOME, NUMBER)
    with pytest.raises(CardRefused, match=r"home\.key"):
        personalise(on_reader(model), KEYS, HOME, NUMBER)


def test_another_kind_of_card_is_refused_by_name() -> None:
    with pytest.raises(CardRefused, match="NTAG 424 DNA"):
        ev2.authenticate(LyingChip(Ntag21x(UID), "NTAG424"), 0, bytes(16))


def test_a_chip_that_answers_for_another_is_noticed() -> None:
    """It lets everything pass and signs nothing."""

    class Forger(LyingChip):
        def send(self, command: bytes) -> bytes:
            answer = super().send(command)
            return bytes(9) + b"\x91\x00" if command[1] == ev2.KEY_VERSION else answer

    with pytest.raises(CardRefused, match="not the chip that was authenticated"):
        personalise(Forger(Ntag424(UID), "NTAG424"), KEYS, HOME, NUMBER)


def test_a_chip_that_cannot_prove_its_key_is_noticed() -> None:
    class Copy(LyingChip):
        def send(self, command: bytes) -> bytes:
            super().send(command)
            return {0xA4: b"\x90\x00", 0x71: bytes(16) + b"\x91\xaf"}.get(command[1], bytes(32) + b"\x91\x00")

    with pytest.raises(CardRefused, match="is it a copy"):
        ev2.authenticate(Copy(Ntag424(UID), "NTAG424"), 0, bytes(16))


@pytest.mark.parametrize("product", ["NTAG213", "NTAG215", "NTAG216"])
@pytest.mark.parametrize("lock", [False, True])
def test_an_ntag21x_is_written_and_locked_if_wanted(product: str, lock: bool) -> None:
    model = Ntag21x(UID, product)
    record = card.sign_record(KEYS.signer, HOME, NUMBER, 20_000, UID)
    message = card.message(URL, record)
    ntag21x.write(LyingChip(model, product), message, lock=lock)
    chip = LyingChip(model, product)
    assert chip.read_ndef() == message
    writable = [page for page in range(4, model.size.user_end) if chip_takes(model, product, page)]
    assert writable == ([] if lock else list(range(4, model.size.user_end)))


def chip_takes(model: Ntag21x, product: str, page: int) -> bool:
    """Whether a page can be written, by writing what stands there."""
    return LyingChip(model, product).send(bytes([0xA2, page]) + model.page(page)) == b"\x0a"


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_card_torn_away_at_any_command_is_written_and_locked_by_the_next_run(is_heard: bool) -> None:
    whole = LyingChip(Ntag21x(UID), "NTAG213")
    ntag21x.write(whole, card.message(URL), lock=True)
    for goes_at in range(whole.sent):
        model = Ntag21x(UID)
        with pytest.raises(CardLost):
            ntag21x.write(LyingChip(model, "NTAG213", goes_at, is_heard), card.message(URL), lock=True)
        ntag21x.write(LyingChip(model, "NTAG213"), card.message(URL), lock=True)
        assert LyingChip(model, "NTAG213").read_ndef() == card.message(URL)
        assert not any(chip_takes(model, "NTAG213", page) for page in range(4, model.size.user_end))


def test_a_locked_card_cannot_be_written_again() -> None:
    model = Ntag21x(UID)
    ntag21x.write(LyingChip(model, "NTAG213"), card.message(URL), lock=True)
    with pytest.raises(CardRefused, match="locked"):
        ntag21x.write(LyingChip(model, "NTAG213"), card.message(card.home_url(HOME, OTHER)), lock=False)


def test_the_makers_signature_is_read_from_both_chips() -> None:
    uid, signature = (bytes.fromhex(text) for text in VECTORS["F"]["cases"][0])
    assert is_original(uid, ntag21x.signature(LyingChip(Ntag21x(uid, signature=signature), "NTAG213")))
    assert not is_original(UID, ntag21x.signature(LyingChip(Ntag21x(UID, signature=signature), "NTAG213")))
    uid, signature = (bytes.fromhex(text) for text in VECTORS["G"]["cases"][0])
    assert is_original(uid, ev2.signature(on_reader(Ntag424(uid, signature=signature))))


def test_what_stands_on_a_card_of_another_home_is_not_ours() -> None:
    model = Ntag424(UID)
    model.set_ndef(card.message(card.home_url("mappemonde.example", NUMBER)))
    assert address_on(on_reader(model), HOME) is None
