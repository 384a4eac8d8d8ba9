"""A batch of cards on a reader (the emulated PN532): torn away, and refused."""

import asyncio

import pytest

from balise_gateway.badges.cards.sheet import csv_of
from balise_gateway.badges.register import Member
from balise_gateway.errors import BadgeError
from balise_sim.nfc.cards import Card
from balise_sim.nfc.cards.mifare_classic import Model as Classic
from balise_sim.nfc.cards.ntag21x import Model as Ntag21x
from balise_tools.badge_cards import new_number, today
from balise_wire import card as wire
from gateway.badges.cards.lying_chip import LyingChip
from gateway.badges.cards.series_bench import HOME, Hand, Scene, cards


@pytest.mark.parametrize("grade", [1, 2])
def test_cards_are_made_one_after_the_other_and_their_numbers_said_aloud(scene: Scene, grade: int) -> None:
    pile = cards(grade, 3)
    hand = Hand(scene.chip, list(pile))
    scene.make(grade, 3, hand)
    scene.check(pile, grade)
    told = [text for text in hand.heard if "written and read back" in text]
    assert len(told) == 3
    for n, (number, text) in enumerate(zip(scene.numbers(), told, strict=True), 1):
        assert f"card {n} of 3 is {wire.printed(number)}" in text
    assert [text for text in hand.heard if "lay it on" in text][2].startswith("card 3 of 3")


@pytest.mark.parametrize("grade", [1, 2])
def test_a_card_that_stays_on_the_reader_is_one_card(scene: Scene, grade: int) -> None:
    (model,) = cards(grade, 1)
    hand = Hand(scene.chip, [])
    hand._lay = lambda card: None  # type: ignore[method-assign]
    scene.chip.lay(model)
    with pytest.raises(TimeoutError):
        asyncio.run(_until_away(scene, grade, hand))
    scene.check([model], grade)


async def _until_away(scene: Scene, grade: int, hand: Hand) -> None:
    """The card lies there for many looks after it was made, then it is taken away and nobody lays down another."""
    work = asyncio.create_task(asyncio.to_thread(scene.make, grade, 2, hand, patience_s=0.3))
    while not any("written and read back" in text for text in hand.heard):
        await asyncio.sleep(0.01)
    seen = scene.chip.commands
    while scene.chip.commands < seen + 40:
        await asyncio.sleep(0.01)
    scene.chip.take_away()
    await work


# A card that is torn away before work on it began is waited for without a word: the readers' tests.
@pytest.mark.parametrize(("grade", "torn"), [(1, [1, 3, 6, 9, 13, 20, 30, 34]), (2, [8, 10, 12, 17, 22, 26, 30, 34])])
def test_a_card_torn_away_again_and_again_is_finished_by_laying_it_down_again(
    scene: Scene, grade: int, torn: list[int]
) -> None:
    pile = cards(grade, 2)
    hand = Hand(scene.chip, list(pile), list(torn))
    scene.make(grade, 2, hand)
    scene.check(pile, grade)
    assert any("went away" in text and "lay it down again" in text for text in hand.heard)


def test_two_cards_of_which_one_was_torn_away_get_two_numbers(scene: Scene) -> None:
    torn, other = cards(2, 2)
    hand = Hand(scene.chip, [torn], [20])
    hand._held = other  # laid down in the place of the one that was torn away
    lay = hand._lay

    def swapped(card: Card | None) -> None:
        lay(other if card is torn and "went away" in hand.heard[-1] else card)
        hand._pile = [torn]

    hand._lay = swapped  # type: ignore[method-assign]
    scene.make(2, 2, hand)
    scene.check([torn, other], 2)


@pytest.mark.parametrize("before_the_end", range(1, 12))
def test_a_card_torn_away_while_it_is_locked_is_locked_by_laying_it_down_again(
    scene: Scene, before_the_end: int
) -> None:
    pile = [model for model in cards(1, 2) if isinstance(model, Ntag21x)]
    scene.make(1, 1, Hand(scene.chip, pile[:1]), lock=True)
    hand = Hand(scene.chip, pile[1:], [scene.chip.exchanges - before_the_end])
    scene.make(1, 2, hand, lock=True)
    assert any("lay it down again" in text for text in hand.heard)
    scene.check(pile, 1)
    for model in pile:
        assert bytes(model.memory[10:16])[:2] == b"\xff\xff"
        writable = [page for page in range(3, model.size.user_end) if takes(model, page)]
        assert writable == []


def takes(model: Ntag21x, page: int) -> bool:
    """Whether a page can be written, by writing what stands there."""
    return LyingChip(model, "NTAG213").send(bytes([0xA2, page]) + model.page(page)) == b"\x0a"


def test_a_card_of_somebody_is_left_as_it_is_and_the_batch_goes_on(scene: Scene) -> None:
    theirs, by_uid, foreign, *pile = [*cards(1, 4), Classic(bytes.fromhex("a1b2c33d"))]
    pile, foreign = [foreign], pile[-1]  # type: ignore[assignment]
    scene.make(1, 1, Hand(scene.chip, [theirs]))
    with scene.register() as register:
        register.put_member(Member("ada"))
        register.issue(scene.numbers()[0], "ada", today())
        register.issue(new_number(), "ada", today(), uid=by_uid.uid)
    scene.csv.unlink()
    assert isinstance(theirs, Ntag21x)
    assert isinstance(by_uid, Ntag21x)
    before = bytes(theirs.memory), bytes(by_uid.memory)
    hand = Hand(scene.chip, [theirs, by_uid, foreign, *pile])
    scene.make(1, 1, hand)
    assert (bytes(theirs.memory), bytes(by_uid.memory)) == before
    refused = [text for text in hand.heard if "left out" in text]
    assert [what in text for what, text in zip(("somebody's", "active", "MIFARE"), refused, strict=True)] == [True] * 3
    scene.check(pile, 1)  # type: ignore[arg-type]
    assert "ada" not in " ".join(hand.heard)


def test_a_card_that_is_made_already_is_told_so_and_not_counted_twice(scene: Scene) -> None:
    first, second, third = cards(2, 3)
    hand = Hand(scene.chip, [first, second, first, third])
    scene.make(2, 3, hand)
    scene.check([first, second, third], 2)
    assert f"made already: {wire.printed(scene.numbers()[0])}" in " ".join(hand.heard)


def test_a_chip_that_shows_the_number_of_another_is_refused(scene: Scene) -> None:
    first, copy, last = cards(1, 3)
    scene.make(1, 1, Hand(scene.chip, [first]))
    assert isinstance(copy, Ntag21x)
    copy.set_ndef(LyingChip(first, "NTAG213").read_ndef())
    hand = Hand(scene.chip, [copy, last])
    scene.make(1, 2, hand)
    assert any("a copy?" in text for text in hand.heard)
    scene.check([first, last], 1)


def test_a_batch_goes_on_after_a_line_that_a_power_cut_left_unfinished(scene: Scene) -> None:
    first, second = cards(1, 2)
    scene.make(1, 1, Hand(scene.chip, [first]))
    whole = scene.csv.read_bytes()
    scene.csv.write_bytes(whole + b"https://coroutine.exa")
    scene.make(1, 2, Hand(scene.chip, [second]))
    assert scene.csv.read_text(encoding="utf-8") == csv_of(HOME, scene.numbers())
    assert scene.csv.read_bytes().startswith(whole)
    scene.check([first, second], 1)


def test_a_card_that_is_in_the_register_and_not_in_the_table_is_added_when_it_is_laid_down(scene: Scene) -> None:
    """What a power cut leaves between the two."""
    for grade in (1, 2):
        (model,) = cards(grade, 1)
        scene.make(grade, 1, Hand(scene.chip, [model]))
        number = scene.numbers()
        scene.csv.unlink()
        scene.make(grade, 1, Hand(scene.chip, [model]))
        assert scene.numbers() == number
        scene.csv.unlink()


def test_the_table_of_another_batch_is_refused(scene: Scene) -> None:
    scene.make(1, 1, Hand(scene.chip, list(cards(1, 1))))
    with pytest.raises(BadgeError, match="name another --out"):
        scene.make(2, 2, Hand(scene.chip, []))
    scene.csv.write_text("name,address\nAda,Lille\n", encoding="utf-8")
    with pytest.raises(BadgeError, match="not the table of a batch"):
        scene.make(1, 2, Hand(scene.chip, []))
    assert "Lille" in scene.csv.read_text(encoding="utf-8")


@pytest.mark.parametrize("grade", [1, 2])
def test_a_card_that_was_not_given_out_is_unknown_at_the_door_and_its_bearers_afterwards(
    scene: Scene, grade: int
) -> None:
    pile = cards(grade, 2)
    scene.make(grade, 2, Hand(scene.chip, list(pile)))
    assert [scene.verdict(model) for model in pile] == ["not listed"] * 2
    given = scene.claim(pile[0]).number
    with scene.register() as register:
        register.put_member(Member("ada"))
        register.issue(given, "ada", today())
        register.revoke(scene.claim(pile[1]).number, "lost", today())
    assert not isinstance(scene.verdict(pile[0]), str)
    assert scene.verdict(pile[1]) == "not listed"


def test_the_message_that_was_read_to_check_a_card_is_used_up(scene: Scene) -> None:
    (model,) = cards(2, 1)
    scene.make(2, 1, Hand(scene.chip, [model]))
    with scene.register() as register:
        assert register.take_counter(scene.numbers()[0], model.uid, 1) == "replay"
