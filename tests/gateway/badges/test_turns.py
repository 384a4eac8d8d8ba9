"""What takes long lets others have their turn: in steps on the loop, or beside it in a thread; no clock is asked."""

import asyncio
import sys
import threading
from pathlib import Path

from balise_gateway.badges.connectors import Usage
from balise_gateway.badges.daily import Daily, signers
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.badges.federation.home_lists import CARDS_A_MESSAGE, Card
from balise_gateway.badges.turns import Steps, at_once, in_turns
from balise_wire.cose import kid_of
from balise_wire.envelope import Signer, split_sequence
from balise_wire.places import Table
from gateway.badges.federation.places import HOME, NOW_S, THIRD, cache, place, table
from gateway.badges.federation.test_exchange import envelope, visit
from gateway.badges.federation.test_lists import Pair
from gateway.badges.places import places
from gateway.badges.test_daily import DAY_MS, HERE, THERE, a_day_there


def counting(log: list[str], steps: int) -> Steps[str]:
    for step in range(steps):
        log.append(f"step {step}")
        yield
    return "done"


def test_between_two_steps_the_loop_does_what_else_is_due() -> None:
    async def scene() -> list[str]:
        log: list[str] = []

        async def other() -> None:
            while log[-1:] != ["end"]:
                log.append("other")
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        await asyncio.sleep(0)
        assert await in_turns(counting(log, 3)) == "done"
        log.append("end")
        await beside
        return log

    assert asyncio.run(scene()) == ["other", "step 0", "other", "step 1", "other", "step 2", "other", "end"]
    log: list[str] = []
    assert at_once(counting(log, 2)) == "done"
    assert log == ["step 0", "step 1"]


def test_a_partners_envelopes_are_verified_one_at_a_time_and_then_written_together(tmp_path: Path) -> None:
    held = cache(tmp_path / "table")
    exchange = Exchange(tmp_path, lambda: held.table)
    taking, seen = exchange.taking(b"".join(envelope(seq) for seq in range(1, 6)), NOW_S), list[int]()
    for _ in taking:
        seen.append(len(list(exchange.envelopes())))
    assert seen == [0] * 5 + [5]
    assert len(list(exchange.envelopes())) == 5
    exchange.close()


def test_a_request_that_is_given_up_half_way_keeps_nothing_and_harms_nothing(tmp_path: Path) -> None:
    held = cache(tmp_path / "table")
    exchange = Exchange(tmp_path, lambda: held.table)
    taking = exchange.taking(b"".join(envelope(seq, visit(tap=seq)) for seq in (1, 2)), NOW_S)
    next(taking)
    taking.close()
    assert list(exchange.envelopes()) == []
    assert not exchange.take(envelope(1), NOW_S).refused
    exchange.close()


def test_a_long_list_is_opened_one_message_at_a_time_and_taken_whole(tmp_path: Path) -> None:
    cards = [Card(f"{number:010}", f"member {number}") for number in range(1, 2 * CARDS_A_MESSAGE + 2)]
    pair = Pair(tmp_path, *cards)
    data = pair.message(0, NOW_S)
    assert len(list(split_sequence(data))) == 3
    steps = pair.host.taking(data, NOW_S)
    known = [pair.host.by_number(HOME, cards[0].number) for _ in steps]
    assert known == [None] * 3
    assert all(pair.host.by_number(HOME, card.number) for card in (cards[0], cards[-1]))


def test_the_figures_of_a_day_are_made_beside_the_loop(tmp_path: Path) -> None:
    """By the thread that opens the partners' visits: Python tells who opens a database (sqlite3, audit events)."""
    opened: list[tuple[str, int]] = []
    listening = True

    def hook(name: str, told: tuple[object, ...]) -> None:
        if listening and name == "sqlite3.connect":
            opened.append((Path(str(told[0])).name, threading.get_ident()))

    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await a_day_there(here, there)
            here.clock.now_ms += DAY_MS
            opened.clear()
            told: list[Usage] = []
            await Daily(here.office.records, here.folder, told.append).look()
            assert [usage.member for usage in told] == ["zacharie"]

    sys.addaudithook(hook)  # for good: Python has no way to take one back
    asyncio.run(scene())
    listening = False
    by = {thread for name, thread in opened if name == "exchange.db"}
    assert by
    assert threading.get_ident() not in by


def test_gateways_that_speak_for_one_place_are_counted_together() -> None:
    first, second, third = (Signer(bytes([number]) * 32).public_key for number in (1, 2, 3))
    rotated, guest = place(HOME), place(THIRD)
    object.__setattr__(rotated, "gateways", (first, second))  # two keys of one place, after a rotation
    object.__setattr__(guest, "gateways", (second, third))  # and one of them speaks for a guest place too
    found = signers(Table(1, NOW_S, (rotated, guest)), kid_of(third))
    assert found == [{kid_of(key) for key in (first, second, third)}]
    apart = signers(table(), b"ours")
    assert len(apart) == 1 + len(table().places)
    assert {b"ours"} in apart
    assert signers(None, b"ours") == [{b"ours"}]


def test_a_thread_that_computes_gives_way_to_readers_at_once(tmp_path: Path) -> None:
    """A reader's thread and a commit wait for the interpreter at every byte: 2 ms each time made a card take 0.43 s."""

    async def scene() -> None:
        async with places(tmp_path, HERE):
            await asyncio.sleep(0)
            assert sys.getswitchinterval() <= 0.001

    before_s = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        asyncio.run(scene())
        assert sys.getswitchinterval() == 0.005, "a place that has ended changes nothing any more"
    finally:
        sys.setswitchinterval(before_s)
