"""pyscard, through the real pcscd, on a virtual reader that only this test sees."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_sim.nfc.cards import Card, desfire, mifare_classic, ntag21x, ntag424
from balise_sim.nfc.pcscd import Pcscd

UID = bytes.fromhex("04a1b2c3d4e5f6")
PROGRAM = """
import json, sys
from smartcard.CardRequest import CardRequest
from smartcard.CardType import AnyCardType
from smartcard.Exceptions import CardConnectionException
from smartcard.System import readers

request = CardRequest(timeout=30, cardType=AnyCardType(), readers=readers()[:1])
service = request.waitforcard()
connection = service.connection
connection.connect()
said = [bytes(connection.getATR()).hex()]
for command in sys.argv[1:]:
    try:
        data, first, second = connection.transmit(list(bytes.fromhex(command)))
        said.append(bytes([*data, first, second]).hex())
    except CardConnectionException:
        said.append("gone")
        break
print(json.dumps(said))
"""
READ_UID = "ffca000000"


def asked(pcscd: Pcscd, *commands: str) -> list[str]:
    """The ATR of the card on the reader, and its answers."""
    environment = {**os.environ, **pcscd.environment}
    command = [sys.executable, "-c", PROGRAM, *commands]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def pcscd() -> Iterator[Pcscd]:
    with tempfile.TemporaryDirectory() as folder, Pcscd(Path(folder)) as pcscd:
        yield pcscd


@pytest.fixture
def empty(pcscd: Pcscd) -> Iterator[Pcscd]:
    yield pcscd
    pcscd.slot.take_away()


@pytest.mark.parametrize(
    ("card", "atr"),
    [
        (ntag21x.Model(UID), "3b8f8001804f0ca0000003060300030000000068"),
        (mifare_classic.Model(UID[:4]), "3b8f8001804f0ca000000306030001000000006a"),
        (desfire.Model(UID), "3b8180018080"),
        (ntag424.Model(UID), "3b8180018080"),
    ],
    ids=["NTAG21x", "MIFARE Classic", "DESFire", "NTAG 424 DNA"],
)
def test_pyscard_sees_the_kind_and_the_uid_of_a_card(empty: Pcscd, card: Card, atr: str) -> None:
    empty.slot.lay(card)
    assert asked(empty, READ_UID) == [atr, card.uid.hex() + "9000"]


def test_pages_of_a_tag_are_read_and_written_and_a_refusal_does_not_silence_it(empty: Pcscd) -> None:
    card = ntag21x.Model(UID, signature=bytes(range(32)))
    card.set_ndef(b"\xd0\x00\x00")
    empty.slot.lay(card)
    said = asked(
        empty,
        "ffb0000410",
        "ffb000f010",
        "ffd600060401020304",
        "ffd600f00401020304",
        "ffb0000604",
        "ff00000004d4423c00",
        "ff00000003d442ff",
        "ff00000003d44260",
    )[1:]
    assert said == [
        "0303d00000fe0000" + "00" * 8 + "9000",
        "6300",
        "9000",
        "6300",
        "010203049000",
        "d54300" + bytes(range(32)).hex() + "9000",
        "d543029000",
        "d543000004040201000f039000",
    ]


def test_a_sun_card_gives_another_url_after_each_time_it_was_laid_down(empty: Pcscd) -> None:
    card = ntag424.Model(UID)
    card.set_sun("https://pass.example/{uid}/{ctr}/{cmac}")
    seen = []
    for _ in range(2):
        empty.slot.lay(card)
        seen += asked(empty, "00a4040c07d2760000850101", "00a4000c02e104", "00b0000033")[3:]
        empty.slot.take_away()
    urls = [bytes.fromhex(answer)[7:-2].decode() for answer in seen]
    assert [url.split("/")[3:5] for url in urls] == [["04A1B2C3D4E5F6", "000001"], ["04A1B2C3D4E5F6", "000002"]]


def test_a_card_torn_away_is_an_error_for_the_program_and_the_next_one_is_seen(empty: Pcscd) -> None:
    empty.slot.lay(ntag21x.Model(UID))
    empty.slot.tear_away_after(1)
    assert asked(empty, READ_UID, READ_UID)[1:] == [UID.hex() + "9000", "gone"]
    assert not empty.slot.taken
    empty.slot.lay(mifare_classic.Model(UID[:4]))
    assert asked(empty, READ_UID)[1:] == [UID[:4].hex() + "9000"]
    with pytest.raises(ValueError, match="take it away"):
        empty.slot.lay(ntag21x.Model(UID))


def test_a_pcscd_that_was_killed_comes_back(empty: Pcscd) -> None:
    empty.slot.lay(ntag21x.Model(UID))
    empty.kill()
    assert not Path(empty.environment["PCSCLITE_CSOCK_NAME"]).exists()
    empty.start()
    empty.slot.lay(ntag21x.Model(UID))
    assert asked(empty, READ_UID)[1:] == [UID.hex() + "9000"]


def test_two_of_them_stand_side_by_side(empty: Pcscd) -> None:
    with tempfile.TemporaryDirectory() as folder, Pcscd(Path(folder)) as other:
        empty.slot.lay(ntag21x.Model(UID))
        other.slot.lay(mifare_classic.Model(UID[:4]))
        assert asked(other, READ_UID)[1:] == [UID[:4].hex() + "9000"]
        assert asked(empty, READ_UID)[1:] == [UID.hex() + "9000"]


def test_a_path_that_is_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too long"):
        Pcscd(tmp_path / ("x" * 100)).start()
