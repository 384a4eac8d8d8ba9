"""NXP's formats by NXP's examples: SUN, diversification, originality; and that nothing near them passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.cards import sun
from balise_gateway.badges.cards.diversify import aes_cmac, diversify
from balise_gateway.badges.cards.originality import is_original
from balise_gateway.errors import PaperError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors/nxp.json").read_text(encoding="utf-8"))
ZERO = bytes(16)


def raw(case: str, name: str) -> bytes:
    return bytes.fromhex(VECTORS[case][name])


def test_a_sun_message_gives_uid_and_counter() -> None:
    tap = sun.open_picc_data(ZERO, raw("A", "picc_data"))
    assert (tap.uid, tap.counter) == (raw("A", "uid"), VECTORS["A"]["counter"])
    sun.check(ZERO, tap, raw("A", "cmac"))
    assert sun.mac_session_key(ZERO, tap) == raw("A", "session")
    assert aes_cmac(raw("A", "session"), b"") == raw("A", "full_cmac")


def test_a_sun_message_that_authenticates_a_part_of_its_url_is_checked_with_it() -> None:
    tap = sun.open_picc_data(ZERO, raw("B", "picc_data"))
    assert (tap.uid, tap.counter) == (raw("B", "uid"), VECTORS["B"]["counter"])
    sun.check(ZERO, tap, raw("B", "cmac"), VECTORS["B"]["mac_input"].encode())
    with pytest.raises(PaperError, match="signature"):
        sun.check(ZERO, tap, raw("B", "cmac"))


def test_a_plain_mirror_is_checked_by_its_cmac() -> None:
    sun.check(ZERO, sun.Tap(raw("C", "uid"), VECTORS["C"]["counter"]), raw("C", "cmac"))


@given(st.integers(0, 63))
def test_a_sun_message_with_one_wrong_bit_is_refused(bit: int) -> None:
    tap = sun.open_picc_data(ZERO, raw("A", "picc_data"))
    cmac = (int.from_bytes(raw("A", "cmac"), "big") ^ 1 << bit).to_bytes(8, "big")
    with pytest.raises(PaperError, match="signature"):
        sun.check(ZERO, tap, cmac)
    with pytest.raises(PaperError, match="signature"):
        sun.check(ZERO, sun.Tap(tap.uid, tap.counter + 1), raw("A", "cmac"))


@given(st.binary(max_size=40))
def test_any_picc_data_under_another_key_proves_nothing(data: bytes) -> None:
    with pytest.raises(PaperError):
        sun.check(bytes([1] * 16), sun.open_picc_data(bytes([2] * 16), data), raw("A", "cmac"))


@pytest.mark.parametrize("tag", [0x00, 0x47, 0x87, 0xC4, 0xCA])
def test_a_chip_that_tells_less_than_uid_and_counter_is_refused(tag: int) -> None:
    encryptor = Cipher(AES(ZERO), CBC(ZERO)).encryptor()
    told = encryptor.update(bytes([tag]) + bytes(15)) + encryptor.finalize()
    with pytest.raises(PaperError, match="does not open"):
        sun.open_picc_data(ZERO, told)


def test_a_card_key_is_diversified_as_an10922_says() -> None:
    assert diversify(raw("E", "key"), raw("E", "input")) == raw("E", "diversified")


@pytest.mark.parametrize("size", [0, 15, 32])
def test_an_input_that_would_be_padded_in_another_way_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="16 to 31"):
        diversify(ZERO, bytes(size))


def test_the_cmac_is_the_one_the_bolt_card_derives_its_keys_with() -> None:
    first = aes_cmac(raw("H", "issuer_key"), bytes.fromhex("2d003f77") + raw("H", "batch"))
    assert first == raw("H", "K1")
    assert aes_cmac(first, bytes.fromhex("2d003f78") + raw("H", "uid")) == raw("H", "K2")


@pytest.mark.parametrize(("uid", "signature"), VECTORS["F"]["cases"] + VECTORS["G"]["cases"])
def test_nxp_has_signed_this_uid_and_no_other(uid: str, signature: str) -> None:
    said, signed = bytes.fromhex(uid), bytes.fromhex(signature)
    assert is_original(said, signed)
    for bit in range(56):
        assert not is_original((int.from_bytes(said, "big") ^ 1 << bit).to_bytes(7, "big"), signed)
    assert not is_original(said, signed[:-1] + bytes([signed[-1] ^ 1]))


@pytest.mark.parametrize("signature", [b"", bytes(32), bytes(56), b"\xff" * 32, b"\xff" * 56, bytes(31)])
def test_what_is_no_signature_at_all_is_refused(signature: bytes) -> None:
    assert not is_original(raw("A", "uid"), signature)
