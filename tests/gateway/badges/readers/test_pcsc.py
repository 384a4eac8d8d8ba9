"""PC/SC readers by pyscard, on the real pcscd with an emulated reader: cards, refusals, the buzzer. No real reader."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from balise_gateway.badges.readers import Chip
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import BadgeError, CardLost, CardRefused
from balise_sim.nfc import vpcd
from balise_sim.nfc.cards import desfire, mifare_classic, ntag21x, ntag424
from gateway.badges.readers.card_benches import PcscBench, reading, uri_message
from gateway.support import played, until

UID = bytes.fromhex("04a1b2c3d4e5f6")
URL = "https://b.example/t?c=1&m=2"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., PcscBench]]:
    with contextlib.ExitStack() as stack:

        def made(**options: object) -> PcscBench:
            bench = PcscBench(tmp_path, **options)
            stack.callback(bench.close)
            bench.plug()
            return bench

        yield made


def seen_of(bench: PcscBench, card: Any) -> Seen:
    async def scene() -> None:
        async with reading(bench) as seen:
            bench.slot.lay(card)
            await until(lambda: seen)
            await bench.keep()
            assert len(seen) == 1
            found.extend(seen)
            bench.slot.take_away()

    found: list[Seen] = []
    played(scene)
    return found[0]


def tag(product: str = "NTAG215") -> ntag21x.Model:
    card = ntag21x.Model(UID, product, signature=bytes(range(32)))
    card.set_ndef(uri_message(URL))
    return card


def test_a_tag_is_read_with_product_and_signature_by_a_reader_that_passes_commands_on(make: Any) -> None:
    seen = seen_of(make(originality=True), tag())
    assert (seen.uid, seen.uri, seen.chip, seen.originality) == (UID, URL, "NTAG215", bytes(range(32)))


def test_a_tag_is_read_without_them_by_a_reader_that_does_not(make: Any) -> None:
    assert seen_of(make(originality=True, direct=False), tag()) == Seen("card", "door", UID, URL)


def test_whether_commands_are_passed_on_is_known_by_the_name_of_an_acr122(make: Any) -> None:
    assert seen_of(make(direct=None), tag()).chip == "", "this reader's name is another"


def test_an_ntag_424_is_read_with_its_fresh_message(make: Any) -> None:
    card = ntag424.Model(UID, signature=bytes(range(56)))
    card.set_sun("https://b.example/t?picc_data={picc}&cmac={cmac}")
    seen = seen_of(make(originality=True), card)
    assert (seen.uid, seen.chip, seen.originality) == (UID, "NTAG424", bytes(range(56)))
    assert seen.uri.startswith("https://b.example/t?picc_data=")
    assert card.ndef_file.counter == 1


def test_classic_and_desfire_are_their_uids(make: Any) -> None:
    bench = make()
    assert seen_of(bench, desfire.Model(UID)) == Seen("card", "door", UID, chip="DESFire")
    classic = mifare_classic.Model(bytes.fromhex("a1b2c33d"))
    assert seen_of(bench, classic) == Seen("card", "door", classic.uid, chip="MIFARE Classic")


@pytest.mark.parametrize("exchanges", [1, 3])
def test_a_card_torn_away_early_is_said_to_be_unreadable_and_no_uid_passes_for_it(make: Any, exchanges: int) -> None:
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.slot.lay(tag())
            await until(lambda: seen)
            await bench.take_away()
            seen.clear()
            bench.slot.lay(_Torn(bench, exchanges))
            await until(lambda: seen)
            assert seen == [Seen(via="card", reader="door")]
            assert bench.counter("unreadable") == 1

    played(scene)


class _Torn(ntag21x.Model):
    """A tag that is torn away after so many commands: from the first one on."""

    def __init__(self, bench: PcscBench, exchanges: int) -> None:
        super().__init__(UID)
        self._bench, self._count = bench, exchanges
        self.set_ndef(uri_message(URL))

    def exchange(self, frame: bytes) -> bytes | None:
        self._bench.slot.tear_away_after(self._count)
        self._count = 0
        return super().exchange(frame)


def test_a_reader_of_another_name_is_not_taken_and_those_that_are_there_are_told(make: Any) -> None:
    bench = make(reader="ACR122U")

    async def scene() -> None:
        task = asyncio.create_task(bench.reader.run(lambda *_: None))
        await until(lambda: str(bench.reader.status()["state"]).startswith("away: no such device"))
        assert "'Virtual PCD 00 00'" in bench.reader.status()["state"]
        task.cancel()
        await asyncio.wait([task])

    played(scene)


def test_of_two_readers_one_must_be_named(make: Any) -> None:
    bench = make(reader="")

    async def scene() -> None:
        task = asyncio.create_task(bench.reader.run(lambda *_: None))
        await until(lambda: str(bench.reader.status()["state"]).startswith("away: several readers"))
        task.cancel()
        await asyncio.wait([task])

    played(scene)


def test_the_buzzer_is_silenced_once(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the words of ACS; the emulated reader is taught them here."""
    said: list[bytes] = []
    answers = vpcd.Presented.exchange

    def exchange(card: vpcd.Presented, apdu: bytes) -> bytes:
        if apdu[:3] == b"\xff\x00\x52":
            said.append(apdu)
            return b"\x90\x00"
        return answers(card, apdu)

    monkeypatch.setattr(vpcd.Presented, "exchange", exchange)
    bench = make(buzzer=False)

    async def scene() -> None:
        async with reading(bench) as seen:
            for taps in (1, 2):
                bench.slot.lay(tag())
                await until(lambda taps=taps: len(seen) == taps)  # type: ignore[misc]
                await bench.take_away()

    played(scene)
    assert said == [bytes.fromhex("ff00520000")]
    assert bench.counter("buzzer not silenced") == 0


def test_a_reader_that_does_not_know_the_word_is_counted_and_reads_on(make: Any) -> None:
    bench = make(buzzer=False)
    assert seen_of(bench, tag()).uri == URL
    assert bench.counter("buzzer not silenced") == 1


def with_card(bench: PcscBench, job: Callable[[Chip], Any], timeout_s: float = 20.0) -> Any:
    made = []

    async def scene() -> None:
        made.append(await bench.reader.with_card(job, timeout_s))

    played(scene)
    return made[0]


@pytest.mark.parametrize("card", [tag(), ntag424.Model(UID)], ids=["NTAG215", "NTAG424"])
@pytest.mark.parametrize("direct", [True, False])
def test_a_card_is_written_and_read_back(make: Any, card: Any, direct: bool) -> None:
    new = uri_message("https://b.example/t?c=2")

    def job(chip: Chip) -> tuple[bytes, bytes]:
        chip.write_ndef(new)
        return chip.read_ndef(), chip.uid

    bench = make(direct=direct)
    bench.slot.lay(card)
    assert with_card(bench, job) == (new, UID)
    bench.slot.take_away()
    assert seen_of(bench, card).uri == "https://b.example/t?c=2"


def test_commands_go_to_the_card_as_they_are(make: Any) -> None:
    bench = make()
    bench.slot.lay(tag())
    assert with_card(bench, lambda chip: chip.send(b"\x60")) == bytes.fromhex("0004040201001103")
    bench.slot.take_away()
    bench.slot.lay(ntag424.Model(UID))
    assert with_card(bench, lambda chip: chip.send(bytes.fromhex("00a4040007d276000085010100"))) == b"\x90\x00"


def test_what_is_refused_is_not_taken_for_lost(make: Any) -> None:
    bench, card = make(), tag()
    card.set_page(2, card.page(2)[:2] + b"\xff\xff")  # locked
    bench.slot.lay(card)
    with pytest.raises(CardRefused, match="locked"):
        with_card(bench, lambda chip: chip.write_ndef(b"\xd0\x00\x00"))


def test_a_card_that_goes_away_while_it_is_written_is_lost(make: Any) -> None:
    bench = make()
    bench.slot.lay(tag())

    def job(chip: Chip) -> None:
        bench.slot.tear_away_after(3)
        chip.write_ndef(uri_message(URL + "0" * 60))

    with pytest.raises(CardLost, match="lay it down again"):
        with_card(bench, job)


def test_no_card_in_time_and_no_pcscd(make: Any) -> None:
    bench = make()
    with pytest.raises(TimeoutError, match="no card was laid"):
        with_card(bench, lambda chip: chip.uid, 0.1)
    bench.unplug()
    with pytest.raises(BadgeError, match=r"systemctl enable --now pcscd\.socket"):
        with_card(bench, lambda chip: chip.uid, 0.1)
