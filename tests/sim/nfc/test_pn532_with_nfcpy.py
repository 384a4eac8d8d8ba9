"""nfcpy, unchanged, on our PN532: a driver by another hand reads what lies there and meets what may go wrong."""

from collections.abc import Callable

import ndef
import nfc
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag
import pytest

from balise_sim.nfc.cards import desfire, mifare_classic, ntag21x, ntag424
from balise_sim.nfc.pn532_tty import Pn532Tty

UID = bytes.fromhex("04a1b2c3d4e5f6")
URI = "https://pass.example/t/abc?x=1&y=2"
TYPE_A = "106A"


def tag_with(uri: str, product: str = "NTAG213") -> ntag21x.Model:
    card = ntag21x.Model(UID, product, signature=bytes(range(32)))
    card.set_ndef(b"".join(ndef.message_encoder([ndef.UriRecord(uri)])))
    return card


def sensed(frontend: nfc.ContactlessFrontend) -> nfc.clf.RemoteTarget | None:
    return frontend.sense(nfc.clf.RemoteTarget(TYPE_A))


@pytest.mark.parametrize("product", ["NTAG213", "NTAG215", "NTAG216"])
def test_nfcpy_reads_the_uri_the_signature_and_the_product_of_a_tag(reader, nfcpy, product: str) -> None:
    reader.lay(tag_with(URI, product))
    with nfcpy() as frontend:
        tag = nfc.tag.activate(frontend, sensed(frontend))
        assert tag.product == f"NXP {product}"
        assert tag.identifier == UID
        assert [record.iri for record in tag.ndef.records] == [URI]
        assert tag.signature == bytes(range(32))


def test_nfcpy_writes_a_message_and_another_reads_it(reader, nfcpy) -> None:
    card = tag_with("https://old.example")
    reader.lay(card)
    with nfcpy() as frontend:
        tag = nfc.tag.activate(frontend, sensed(frontend))
        tag.ndef.records = [ndef.UriRecord(URI)]
    with nfcpy() as frontend:
        assert nfc.tag.activate(frontend, sensed(frontend)).ndef.records[0].iri == URI


def test_nfcpy_opens_twenty_times_and_the_ack_that_ends_the_change_of_speed_is_never_lost(reader, nfcpy) -> None:
    reader.lay(tag_with(URI))
    for _ in range(20):
        with nfcpy() as frontend:
            assert reader.baud == 921_600
            assert sensed(frontend).sdd_res == UID


def test_an_empty_reader_has_nothing_and_a_card_taken_away_is_gone(reader, nfcpy) -> None:
    card = tag_with(URI)
    with nfcpy() as frontend:
        assert sensed(frontend) is None
        reader.lay(card)
        tag = nfc.tag.activate(frontend, sensed(frontend))
        assert tag.is_present
        reader.take_away(card)
        assert not tag.is_present
        assert sensed(frontend) is None


def test_each_tap_of_an_ntag_424_is_a_fresh_url_that_the_keys_can_check(reader, nfcpy) -> None:
    card = ntag424.Model(bytes.fromhex("04DE5F1EACC040"), chance=lambda count: bytes.fromhex("DA5CF60941")[:count])
    card.set_sun("https://pass.example/t?picc_data={picc}&cmac={cmac}")
    card.ndef_file.counter = 60
    seen = []
    with nfcpy() as frontend:
        for _ in range(2):
            reader.lay(card)
            tag = nfc.tag.activate(frontend, sensed(frontend))
            assert tag.type == "Type4Tag"
            seen.append(tag.ndef.records[0].iri)
            reader.take_away(card)
    assert seen[0] != seen[1]
    assert seen[0] == "https://pass.example/t?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086"


def test_a_classic_is_seen_by_its_uid_and_has_no_message(reader, nfcpy) -> None:
    reader.lay(mifare_classic.Model(bytes.fromhex("a1b2c33d")))
    with nfcpy() as frontend:
        target = sensed(frontend)
        assert (target.sdd_res, target.sel_res, target.sens_res) == (b"\xa1\xb2\xc3\x3d", b"\x08", b"\x04\x00")
        tag = nfc.tag.activate(frontend, target)
        assert tag is None or tag.ndef is None


def test_a_desfire_is_seen_as_a_card_with_applications_and_no_message(reader, nfcpy) -> None:
    reader.lay(desfire.Model(UID))
    with nfcpy() as frontend:
        tag = nfc.tag.activate(frontend, sensed(frontend))
        assert tag.type == "Type4Tag"
        assert tag.identifier == UID
        assert tag.ndef is None


def test_a_card_torn_away_in_the_middle_leaves_a_tag_without_a_message(reader, nfcpy) -> None:
    reader.lay(tag_with(URI))
    with nfcpy() as frontend:
        reader.tear_away_after(2)
        tag = nfc.tag.activate(frontend, sensed(frontend))
        assert tag.ndef is None
        assert reader.cards == []


def test_of_two_cards_one_is_found_and_it_is_always_the_same(reader, nfcpy) -> None:
    first, second = tag_with(URI), ntag21x.Model(bytes.fromhex("04a1b2c3d4e5f7"))
    with nfcpy() as frontend:
        reader.lay(first)
        reader.lay(second)
        seen = {bytes(sensed(frontend).sdd_res) for _ in range(5)}
        assert seen == {second.uid}, "ones are followed first"
        reader.take_away(second)
        assert sensed(frontend).sdd_res == UID
        reader.lay(second)
        reader.faults.switch_on("crowded")
        assert sensed(frontend) is None


@pytest.mark.parametrize("fault", ["no_ack", "lost_answer", "bad_checksum"])
def test_a_fault_on_the_line_is_an_error_of_one_poll_and_the_next_one_works(reader, nfcpy, fault: str) -> None:
    reader.lay(tag_with(URI))
    with nfcpy() as frontend:
        reader.faults.switch_on(fault, times=1)
        with pytest.raises(OSError):  # noqa: PT011 - nfcpy raises it bare, with EIO or ETIMEDOUT
            sensed(frontend)
        assert reader.faults.struck[fault] == 1
        assert sensed(frontend).sdd_res == UID


def test_nfcpy_takes_an_answer_whose_ack_was_lost(reader, nfcpy) -> None:
    reader.lay(tag_with(URI))
    with nfcpy() as frontend:
        reader.faults.switch_on("lost_ack", times=1)
        assert sensed(frontend).sdd_res == UID
        assert reader.faults.struck["lost_ack"] == 1


def test_a_frame_of_one_to_three_bytes_is_what_nfcpy_does_not_expect(reader, nfcpy) -> None:
    """A known fault of nfcpy, which shows that such frames come out of our chip."""
    reader.lay(tag_with(URI))
    with nfcpy() as frontend:
        reader.faults.switch_on("short_frame", times=1)
        with pytest.raises(IndexError):
            sensed(frontend)
        assert sensed(frontend).sdd_res == UID


def test_a_chip_that_has_not_got_the_ack_keeps_its_speed_and_nfcpy_does_not_find_it(reader, nfcpy) -> None:
    reader.faults.switch_on("lost_speed_ack", times=1)
    with pytest.raises(OSError), nfcpy():  # noqa: PT011
        pass
    assert reader.baud == 115_200
    with nfcpy() as frontend:
        assert sensed(frontend) is None


def test_a_host_that_crashed_at_high_speed_leaves_a_chip_that_answers_only_after_its_power_was_cut(
    reader: Pn532Tty, nfcpy: Callable[[], object]
) -> None:
    reader.leave_at(921_600)
    for _ in range(2):
        with pytest.raises(OSError), nfcpy():  # noqa: PT011
            pass
    assert reader.baud == 921_600
    reader.cut_power()
    with nfcpy() as frontend:
        assert sensed(frontend) is None
