"""The two key files of a place, and the keys of its cards."""

import stat
from pathlib import Path

import pytest

from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.diversify import diversify
from balise_gateway.errors import KeyFileError
from balise_wire.card import make_number
from balise_wire.places import derive

NUMBER, UID = make_number(bytes(6)), bytes.fromhex("04a1b2c3d4e5f6")


def test_both_files_are_made_once_and_private(tmp_path: Path) -> None:
    made = keys.load_or_make(tmp_path / "data")
    names = ["home.key", "place.key"]
    assert sorted(entry.name for entry in (tmp_path / "data").iterdir()) == names
    for name in names:
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
    again = keys.load(tmp_path / "data")
    assert again.signer.public_key == made.signer.public_key
    assert again.scan_key == made.scan_key
    assert again.card_keys(NUMBER, UID) == made.card_keys(NUMBER, UID)


def test_a_place_without_its_keys_is_told_which(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"place\.key: no place's key yet"):
        keys.load(tmp_path)
    (tmp_path / "home.key").write_bytes(bytes(31))
    (tmp_path / "home.key").chmod(0o600)
    with pytest.raises(KeyFileError, match=r"home\.key: 31 bytes instead of 32.*backup"):
        keys.load_or_make(tmp_path)


def test_the_keys_of_a_card_are_those_of_the_wire_format() -> None:
    home = keys.HomeKeys(bytes([1] * 32), bytes([2] * 32))
    found = home.card_keys(NUMBER, UID)
    meta, file = (derive(bytes([2] * 32), info, 16) for info in (b"balise sun meta", b"balise sun file"))
    assert home.sun_meta_key(NUMBER) == found.keys[1] == diversify(meta, NUMBER.encode() + b"balise")
    for which in (0, 2, 3, 4):
        assert found.keys[which] == diversify(file, UID + bytes([which]) + NUMBER.encode())


def test_no_two_keys_are_the_same() -> None:
    home = keys.HomeKeys(bytes([1] * 32), bytes([2] * 32))
    cards = [home.card_keys(number, uid) for number in (NUMBER, make_number(bytes([9] * 6))) for uid in (UID, bytes(7))]
    found = [key for card in cards for key in card.keys]
    assert len(set(found)) == 2 * 2 * 4 + 2  # key 1 depends on the number alone: it opens what the UID stands in


def test_keys_are_not_shown(tmp_path: Path) -> None:
    home = keys.load_or_make(tmp_path)
    assert home.card_keys(NUMBER, UID).master.hex() not in repr(home.card_keys(NUMBER, UID))
