"""A PN532 by nfcpy, on the emulated chip: kinds of cards, speeds, faults of the line, cards torn away. No real chip."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import ndef
import pytest

from balise_gateway import settings
from balise_gateway.badges.readers import pn532 as kind
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import ConfigError
from balise_sim.nfc import isodep
from balise_sim.nfc.cards import desfire, mifare_classic, ntag21x, ntag424
from gateway.badges.readers.card_benches import Pn532Bench, message, reading
from gateway.badges.readers.code_benches import SerialBench
from gateway.support import played, until

UID = bytes.fromhex("04a1b2c3d4e5f6")
SUN_URL = "https://b.example/t?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086"
TORN = Seen(via="card", reader="door")


def seen_of(bench: Pn532Bench, card: Any) -> Seen:
    """What is handed over when this card is laid down, once."""

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.chip.lay(card)
            await until(lambda: seen)
            await bench.keep()
            assert len(seen) == 1
            found.extend(seen)

    found: list[Seen] = []
    bench.plug()
    played(scene)
    return found[0]


def tag(product: str = "NTAG213", uri: str = SUN_URL, *more: Any) -> ntag21x.Model:
    card = ntag21x.Model(UID, product, signature=bytes(range(32)))
    card.set_ndef(message(ndef.UriRecord(uri), *more))
    return card


@pytest.mark.parametrize("product", ["NTAG213", "NTAG215", "NTAG216"])
def test_a_tag_is_read_with_its_uri_its_other_records_and_its_product(make: Any, product: str) -> None:
    record = ndef.Record("urn:nfc:ext:balise:c", "", bytes(range(70)))
    seen = seen_of(make(), tag(product, "https://b.example/t?c=1&m=2", record))
    assert (seen.uid, seen.uri, seen.chip) == (UID, "https://b.example/t?c=1&m=2", product)
    assert list(seen.records) == [("urn:nfc:ext:balise:c", bytes(range(70)))]
    assert seen.originality == b""


def test_a_uri_stands_as_on_the_card(make: Any) -> None:
    """ndeflib's `.uri` would have turned the & between parameters into %26."""
    assert seen_of(make(), tag()).uri == SUN_URL


def test_a_long_message_is_read_whole(make: Any) -> None:
    record = ndef.Record("urn:nfc:ext:balise:c", "", bytes(range(256)) * 2)
    assert list(seen_of(make(), tag("NTAG216", SUN_URL, record)).records) == [(record.type, record.data)]


def test_nxps_signature_is_read_when_asked_for(make: Any) -> None:
    assert seen_of(make(originality=True), tag()).originality == bytes(range(32))


def test_an_ntag_424_gives_a_fresh_message_at_each_tap(make: Any) -> None:
    card = ntag424.Model(UID, signature=bytes(range(56)))
    card.set_sun("https://b.example/t?picc_data={picc}&cmac={cmac}")
    bench = make(originality=True)

    async def scene() -> None:
        async with reading(bench) as seen:
            for taps in (1, 2):
                bench.chip.lay(card)
                await until(lambda taps=taps: len(seen) == taps)  # type: ignore[misc]
                await bench.take_away()
        assert [(one.uid, one.chip, one.originality) for one in seen] == [(UID, "NTAG424", bytes(range(56)))] * 2
        assert seen[0].uri != seen[1].uri
        assert all(one.uri.startswith("https://b.example/t?picc_data=") for one in seen)
        assert card.ndef_file.counter == 2

    bench.plug()
    played(scene)


def test_registers_are_set_once_for_a_card_and_not_before_each_command(make: Any) -> None:
    """At 115,200 baud the three commands that nfcpy puts before each one take 10 ms."""
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            commands, exchanges = bench.chip.commands, bench.chip.exchanges
            bench.chip.lay(tag())
            await until(lambda: seen)
            assert seen[0].uri == SUN_URL
            await bench.looks(40)
            assert bench.chip.commands - commands < 1.5 * (bench.chip.exchanges - exchanges)

    bench.plug()
    played(scene)


def test_a_mifare_classic_is_its_uid(make: Any) -> None:
    seen = seen_of(make(originality=True), mifare_classic.Model(bytes.fromhex("a1b2c33d")))
    assert seen == Seen("card", "door", bytes.fromhex("a1b2c33d"), chip="MIFARE Classic")


def test_a_desfire_without_a_message_is_its_uid(make: Any) -> None:
    assert seen_of(make(), desfire.Model(UID)) == Seen("card", "door", UID, chip="DESFire")


def test_an_empty_tag_is_its_uid(make: Any) -> None:
    assert seen_of(make(), ntag21x.Model(UID)) == Seen("card", "door", UID, chip="NTAG213")


def test_a_tag_with_a_broken_message_is_its_uid_and_is_counted(make: Any) -> None:
    bench = make()
    card = ntag21x.Model(UID)
    card.set_ndef(b"\xd1\x01\xff\x55\x04cut off")
    assert seen_of(bench, card) == Seen("card", "door", UID, chip="NTAG213")
    assert bench.counter("broken message") == 1


def test_a_tag_behind_a_password_is_its_uid_and_is_counted(make: Any) -> None:
    bench, card = make(), tag()
    card.set_page(0x29, b"\x04\x00\x00\x04")  # AUTH0: from page 4 on
    card.set_page(0x2A, b"\x80\x05\x00\x00")  # PROT: for reading too (NTAG213, 8.5.7)
    assert seen_of(bench, card) == Seen("card", "door", UID, chip="NTAG213")
    assert bench.counter("memory refused") == 1


@pytest.mark.parametrize("exchanges", range(4))
def test_a_card_torn_away_early_is_said_to_be_unreadable_and_no_uid_passes_for_it(make: Any, exchanges: int) -> None:
    bench, card = make(), tag()

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.chip.tear_away_after(exchanges)
            bench.chip.lay(card)
            await until(lambda: seen)
            assert seen == [TORN]
            assert bench.counter("unreadable") == 1
            assert bench.counter("torn away") >= 1
            bench.chip.lay(card)
            await until(lambda: len(seen) == 2)
            assert (seen[1].uid, seen[1].uri) == (UID, SUN_URL)

    bench.plug()
    played(scene)


def test_a_hand_that_comes_back_at_once_is_read_and_nothing_is_said(make: Any) -> None:
    bench, card = make(poll_s=1.0), tag()

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.chip.tear_away_after(2)
            bench.chip.lay(card)
            await until(lambda: bench.counter("torn away") == 1)
            bench.chip.lay(card)
            await until(lambda: seen)
            assert [one.uri for one in seen] == [SUN_URL]
            assert bench.counter("unreadable") == 0

    bench.plug()
    played(scene)


def test_a_card_in_place_of_another_is_a_new_sighting(make: Any) -> None:
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            await bench.show(1)
            await until(lambda: len(seen) == 1)
            with bench.chip._lock:  # between two looks
                bench.chip.take_away()
                bench.chip.lay(bench.card(2))
            await until(lambda: len(seen) == 2)
            assert bench.is_it(seen[1], 2)

    bench.plug()
    played(scene)


def test_at_the_edge_of_the_field_a_card_is_one_sighting(make: Any) -> None:
    bench, card = make(poll_s=0.5), tag()

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.chip.lay(card)
            await until(lambda: seen)
            for _ in range(2):  # answers three commands, is gone for an instant, and is there again
                bench.chip.tear_away_after(3)
                await until(lambda: not bench.chip.cards or seen[1:])
                bench.chip.lay(card)
            await bench.looks(4)
            assert len(seen) == 1

    bench.plug()
    played(scene)


def test_the_chip_stays_at_the_speed_at_which_any_program_finds_it(make: Any) -> None:
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            await bench.show(1)
            await until(lambda: seen)
            assert bench.chip.baud == 115_200

    bench.plug()
    played(scene)
    assert bench.chip.baud == 115_200


@pytest.mark.parametrize("baud", [921_600, 460_800, 230_400])
def test_a_chip_that_a_crash_left_at_another_speed_is_brought_back(make: Any, baud: int) -> None:
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            assert bench.chip.baud == 115_200
            assert bench.counter("speed brought back") == 1
            await bench.show(1)
            await until(lambda: seen)
            assert bench.is_it(seen[0], 1)

    bench.plug()
    bench.chip.leave_at(baud)
    played(scene)


def test_a_chip_whose_first_answer_is_lost_is_asked_again(make: Any) -> None:
    bench = make()
    bench.plug()
    for fault in ("no_ack", "lost_answer", "bad_checksum", "short_frame"):
        bench.chip.faults.switch_on(fault, times=1)

        async def scene() -> None:
            async with reading(bench):
                assert bench.counter("no answer") == 0

        played(scene)


@pytest.mark.parametrize("fault", ["no_ack", "lost_answer", "bad_checksum", "short_frame"])
def test_a_fault_of_the_line_is_counted_and_ends_nothing(make: Any, fault: str) -> None:
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.chip.faults.switch_on(fault, times=1)
            await until(lambda: bench.counter("line fault") >= 1)
            await bench.show(1)
            await until(lambda: seen)
            assert bench.is_it(seen[0], 1)
            assert bench.counter("reconnects") == 0

    bench.plug()
    played(scene)


@pytest.mark.parametrize("fault", ["no_ack", "lost_answer", "bad_checksum", "short_frame"])
def test_a_line_that_stays_broken_is_said_and_mended(make: Any, fault: str) -> None:
    bench = make()

    async def scene() -> None:
        async with reading(bench) as seen:
            bench.chip.faults.switch_on(fault)
            await until(lambda: str(bench.reader.status()["state"]).startswith("away: no answer: "))
            bench.chip.faults.switch_off()
            await until(lambda: bench.reader.status()["state"] == "up")
            await bench.show(1)
            await until(lambda: seen)
            assert bench.is_it(seen[0], 1)

    bench.plug()
    played(scene)


def test_a_port_where_nothing_answers_is_said(tmp_path: Path) -> None:
    port = SerialBench(tmp_path)
    port.plug()
    reader = kind.Reader(kind.Settings(kind="pn532", path=port.path))

    async def scene() -> None:
        task = asyncio.create_task(reader.run(lambda *_: None))
        await until(lambda: "no PN532 answers" in str(reader.status()["state"]))
        task.cancel()
        await asyncio.wait([task])

    played(scene)
    port.close()


def test_a_card_that_asks_for_more_time_for_ever_holds_nobody_up(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S(WTX), ISO 14443-4, 7.3. The card is changed, not the reader."""
    answers = isodep.Picc.exchange
    stubborn = True

    def exchange(card: isodep.Picc, frame: bytes) -> bytes | None:
        return b"\xf2\x3b" if stubborn and frame[0] & 0xE2 in (0x02, 0xE2) else answers(card, frame)

    monkeypatch.setattr(isodep.Picc, "exchange", exchange)
    bench = make()

    async def scene() -> None:
        nonlocal stubborn
        async with reading(bench) as seen:
            bench.chip.lay(desfire.Model(UID))
            await until(lambda: seen)
            assert seen == [TORN]
            await bench.take_away()
            stubborn = False
            bench.chip.lay(tag())
            await until(lambda: len(seen) == 2)
            assert seen[1].uri == SUN_URL

    bench.plug()
    played(scene)


@pytest.mark.parametrize("path", ["tty", "tty:USB0:pn532", "usb", "ttyUSB0", ""])
def test_a_search_over_all_ports_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.toml: reader: path = .*(name one|one whole path)"):
        settings.build(kind.Settings, {"kind": "pn532", "path": path}, "reader", "gateway.toml")


def test_nfcpys_loggers_are_silent_for_they_tell_uids(make: Any) -> None:
    bench = make()
    seen_of(bench, tag())
    for name in ("nfc", "nfc.clf", "nfc.clf.pn532", "nfc.tag", "nfc.tag.tt4"):
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)
