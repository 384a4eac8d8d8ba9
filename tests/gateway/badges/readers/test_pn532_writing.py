"""Writing to cards on a PN532: the job's card, what it refuses, and what happens when it goes away."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from balise_gateway.badges.readers import Chip
from balise_gateway.errors import BadgeError, CardLost, CardRefused
from balise_sim.nfc.cards import mifare_classic, ntag21x, ntag424
from gateway.badges.readers.card_benches import Pn532Bench, uri_message
from gateway.support import played

UID = bytes.fromhex("04a1b2c3d4e5f6")
URL = "https://b.example/t?c=2"


def tag(product: str = "NTAG213") -> ntag21x.Model:
    card = ntag21x.Model(UID, product)
    card.set_ndef(uri_message("https://old.example"))
    return card


def with_card(bench: Pn532Bench, job: Callable[[Chip], Any], timeout_s: float = 20.0) -> Any:
    made = []

    async def scene() -> None:
        made.append(await bench.reader.with_card(job, timeout_s))

    bench.plug()
    played(scene)
    return made[0]


@pytest.mark.parametrize("card", [tag("NTAG215"), ntag424.Model(UID)], ids=["NTAG215", "NTAG424"])
def test_a_card_is_written_and_read_back(make: Any, card: Any) -> None:
    new = uri_message(URL)

    def job(chip: Chip) -> tuple[bytes, bytes, str]:
        chip.write_ndef(new)
        return chip.read_ndef(), chip.uid, chip.kind

    bench = make()
    bench.chip.lay(card)
    assert with_card(bench, job) == (new, UID, "NTAG215" if isinstance(card, ntag21x.Model) else "NTAG424")
    assert with_card(bench, lambda chip: chip.read_ndef()) == new


def test_a_job_waits_for_its_card(make: Any) -> None:
    bench = make()

    async def scene() -> None:
        job = asyncio.create_task(bench.reader.with_card(lambda chip: chip.uid, 20.0))
        await bench.looks(60)
        bench.chip.lay(tag())
        assert await job == UID

    bench.plug()
    played(scene)


def test_commands_go_to_the_card_as_they_are(make: Any) -> None:
    bench = make()
    bench.chip.lay(tag())
    assert with_card(bench, lambda chip: chip.send(b"\x60")) == bytes.fromhex("0004040201000f03")
    bench.chip.take_away()
    bench.chip.lay(ntag424.Model(UID))
    assert with_card(bench, lambda chip: chip.send(bytes.fromhex("00a4040007d276000085010100"))) == b"\x90\x00"


def test_no_card_in_time(make: Any) -> None:
    with pytest.raises(TimeoutError, match="no card was laid"):
        with_card(make(), lambda chip: chip.uid, 0.1)


def test_no_reader_to_write_with(make: Any) -> None:
    async def scene() -> None:
        with pytest.raises(BadgeError, match="is the reader plugged in"):
            await make().reader.with_card(lambda chip: chip.uid, 1.0)

    played(scene)


def test_a_classic_is_not_written(make: Any) -> None:
    bench = make()
    bench.chip.lay(mifare_classic.Model(bytes.fromhex("a1b2c33d")))
    with pytest.raises(CardRefused, match="MIFARE Classic"):
        with_card(bench, lambda chip: chip.write_ndef(b""))


def test_a_card_that_goes_away_while_it_is_written_is_lost(make: Any) -> None:
    bench = make()
    bench.chip.lay(tag())

    def job(chip: Chip) -> None:
        bench.chip.tear_away_after(5)
        chip.write_ndef(uri_message(URL + "0" * 60))

    with pytest.raises(CardLost, match="lay it down again"):
        with_card(bench, job)


def test_what_a_job_raises_comes_out_and_the_reader_can_be_used_again(make: Any) -> None:
    bench = make()
    bench.chip.lay(tag())

    def job(chip: Chip) -> None:
        raise LookupError("nobody of this name")

    with pytest.raises(LookupError, match="nobody of this name"):
        with_card(bench, job)
    assert with_card(bench, lambda chip: chip.uid) == UID
