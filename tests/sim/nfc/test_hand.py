"""`balise sim reader`: what is typed happens on the reader, and what cannot be done says what can."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ndef
import nfc
import nfc.tag
import pytest
import serial

from balise_sim.nfc import frames
from balise_sim.nfc.hand import Hand, HandError, card_named, uri_record
from balise_sim.nfc.pn532_tty import Pn532Tty

SUN = "https://pass.example/t?picc_data={picc}&cmac={cmac}"
BALISE = [sys.executable, "-c", "from balise_tools.main import app; app()"]


@pytest.fixture
def hand(reader: Pn532Tty) -> Hand:
    return Hand(reader)


@pytest.mark.parametrize("uri", ["https://pass.example/é", "https://pass.example/" + "x" * 300])
def test_a_message_of_one_uri_is_what_ndeflib_reads(uri: str) -> None:
    (record,) = ndef.message_decoder(uri_record(uri))
    assert record.iri == uri


def test_a_card_has_the_uid_of_its_name() -> None:
    assert card_named("alice", "ntag213").uid == card_named("alice", "ntag424").uid
    assert card_named("alice", "ntag213").uid != card_named("bob", "ntag213").uid
    assert len(card_named("alice", "classic").uid) == 4
    assert card_named("alice", "desfire").ats is not None


def test_cards_are_made_laid_and_taken(reader: Pn532Tty, hand: Hand, nfcpy: Callable[[], object]) -> None:
    hand.do("card alice ntag215 https://pass.example/a")
    hand.do(f"card bob ntag424 {SUN}")
    hand.do("lay alice")
    with nfcpy() as frontend:

        def uri() -> str:
            found = nfc.tag.activate(frontend, frontend.sense(nfc.clf.RemoteTarget("106A")))
            return str(found.ndef.records[0].iri)

        assert uri() == "https://pass.example/a"
        hand.do("take alice")
        assert hand.do("lay bob").startswith("bob on the reader")
        assert uri() != uri()
    hand.do("take")
    assert reader.cards == []


def test_cable_power_and_faults_are_typed_too(reader: Pn532Tty, hand: Hand) -> None:
    hand.do("crash")
    assert reader.baud == 921_600
    hand.do("power")
    assert reader.baud == 115_200
    hand.do("unplug")
    assert not reader.path.is_symlink()
    assert hand.do("plug") == str(reader.path)
    assert reader.path.is_symlink()
    hand.do("fault no_ack 1")
    assert reader.faults.strikes("no_ack")
    assert not reader.faults.strikes("no_ack")
    hand.do("fault bad_checksum")
    hand.do("fault off")
    assert not reader.faults.strikes("bad_checksum")
    hand.do("card alice ntag213")
    hand.do("lay alice")
    hand.do("tear 0")
    assert all(word in hand.do("help") for word in ("card NAME", "unplug", "lost_answer"))
    assert hand.do("   ") == ""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dance", "none of card, lay"),
        ("lay", "type: lay NAME"),
        ("lay nobody", "card nobody ntag213"),
        ("card x", "type: card NAME CHIP"),
        ("card x felica", "there are ntag213"),
        ("card x ntag213 https://" + "x" * 200, "NTAG213"),
        ("card x ntag424 https://x/{mac}", "{cmac}"),
        ("card x ntag424 https://x/{picc}{uid}", "either plain or encrypted"),
        ("tear soon", "type: tear N"),
        ("fault rain", "no_ack"),
        ("fault no_ack often", "type: fault"),
    ],
)
def test_what_cannot_be_done_says_what_can(hand: Hand, line: str, told: str) -> None:
    with pytest.raises(HandError, match=told.replace("{", "\\{")):
        hand.do(line)


def test_the_command_has_a_reader_at_its_path_until_its_input_ends(tmp_path: Path) -> None:
    path = tmp_path / "reader"
    command = [*BALISE, "sim", "reader", str(path), "--pace", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == f"{path}\n"
        with serial.Serial(str(path), 115_200, timeout=20) as port:
            port.write(bytes(10) + frames.framed(b"\xd4\x02"))
            assert port.read(6) == frames.ACK
        print("card alice classic", file=program.stdin, flush=True)
        assert program.stdout.readline().startswith("alice: classic ")
        program.stdin.close()
        assert program.wait(60) == 0
    assert not path.is_symlink()


def test_a_path_that_is_taken_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "reader"
    path.write_text("somebody's")
    done = subprocess.run([*BALISE, "sim", "reader", str(path)], input="", capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "where nothing is yet" in done.stderr
    assert path.read_text() == "somebody's"
