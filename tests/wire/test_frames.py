"""Node frames: the cipher against published vectors and another implementation, keys, names and limits."""

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import given
from hypothesis import strategies as st

from balise_wire import ccm, frames, hkdf
from balise_wire.errors import WireError
from balise_wire.frames import Ack, Frame, FrameKeys
from balise_wire.items import Anchor, Item, Readings, Unknown

KEYS = FrameKeys(bytes(range(16)))
ROW = Readings(1, None, [1544299407], [[27], [None]])
sixteen = st.binary(min_size=16, max_size=16)
thirteen = st.binary(min_size=13, max_size=13)


class LibraryCipher(ccm.BlockCipher):
    """AES of `cryptography` where MicroPython has cryptolib, so that the mode in Python is tested here too."""

    def ecb(self, blocks: bytes) -> bytes:
        return Cipher(algorithms.AES(self._key), modes.ECB()).encryptor().update(blocks)

    def cbc(self, blocks: bytes) -> bytes:
        return Cipher(algorithms.AES(self._key), modes.CBC(bytes(16))).encryptor().update(blocks)


def test_rfc_3610_packet_vector_1() -> None:
    key, nonce = bytes(range(0xC0, 0xD0)), bytes.fromhex("00000003020100a0a1a2a3a4a5")
    packet, associated = bytes(range(8, 0x1F)), bytes(range(8))
    sealed = bytes.fromhex("588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0")
    assert ccm.seal_with(LibraryCipher(key), nonce, packet, associated) == sealed
    assert ccm.seal(key, nonce, packet, associated) == sealed
    assert ccm.open_with(LibraryCipher(key), nonce, sealed, associated) == packet


@given(sixteen, thirteen, st.binary(max_size=200), st.binary(max_size=60).filter(bool))
def test_our_mode_is_the_library_s(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> None:
    sealed = ccm.seal_with(LibraryCipher(key), nonce, plaintext, associated)
    assert sealed == AESCCM(key, 8).encrypt(nonce, plaintext, associated) == ccm.seal(key, nonce, plaintext, associated)
    assert ccm.open_with(LibraryCipher(key), nonce, sealed, associated) == plaintext
    assert ccm.open_sealed(key, nonce, sealed, associated) == plaintext


@given(sixteen, thirteen, st.binary(max_size=40), st.data())
def test_our_mode_refuses_any_flipped_bit(key: bytes, nonce: bytes, plaintext: bytes, draw: st.DataObject) -> None:
    sealed = bytearray(ccm.seal(key, nonce, plaintext, b"header"))
    sealed[draw.draw(st.integers(0, len(sealed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(WireError, match="tag: "):
        ccm.open_with(LibraryCipher(key), nonce, bytes(sealed), b"header")
    with pytest.raises(WireError, match="tag: "):
        ccm.open_sealed(key, nonce, bytes(sealed), b"header")


def test_fewer_bytes_than_a_tag() -> None:
    with pytest.raises(WireError, match="malformed"):
        ccm.open_with(LibraryCipher(bytes(16)), bytes(13), bytes(7), b"header")
    with pytest.raises(WireError, match="malformed"):
        ccm.open_sealed(bytes(16), bytes(13), bytes(7), b"header")


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_same_is_equality(a: bytes, b: bytes) -> None:
    assert ccm.same(a, b) == (a == b)
    assert ccm.same(a, bytes(a))


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_hmac_is_the_library_s(key: bytes, data: bytes) -> None:
    assert hkdf.hmac_sha256(key, data) == hmac.digest(key, data, "sha256")


def test_rfc_5869_test_case_2() -> None:
    """Appendix A.2: longer inputs, three blocks out (A.1 is in node_vectors.py, on both interpreters)."""
    prk = hkdf.extract(bytes(range(0x60, 0xB0)), bytes(range(0x50)))
    assert prk.hex() == "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"
    okm = hkdf.expand(prk, bytes(range(0xB0, 0x100)), 82)
    assert okm.hex() == (
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_frames_come_back_under_their_name(boot: int, count: int) -> None:
    items: list[Item | Readings] = [ROW, Anchor(boot, 1, 2, "gateway", 3), Unknown(99, [b"x"])]
    data = frames.seal_frame(KEYS, boot, count, items)
    assert frames.open_frame(KEYS, data) == Frame(boot, count, items)
    assert frames.seal_frame(KEYS, boot, count, items) == data
    assert frames.frame_kid(data) == KEYS.kid


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 2**50),
    st.integers(0, 2**63 - 1),
)
def test_acks_come_back(boot: int, contiguous: int, bitmap: int, utc_ms: int | None, ack_count: int) -> None:
    ack = Ack(boot, contiguous, bitmap, utc_ms, 40)
    assert frames.open_ack(KEYS, frames.seal_ack(KEYS, ack_count, ack)) == (ack_count, ack)


def test_a_resent_frame_may_be_sealed_from_packed_items() -> None:
    assert frames.seal_frame(KEYS, 1, 1, [ROW]) == frames.seal_frame(KEYS, 1, 1, [ROW.pack()])


def test_directions_have_keys_of_their_own() -> None:
    parts = [KEYS.kid, *KEYS.up, *KEYS.down]
    assert len(set(parts)) == 5
    assert not any(secret.hex() in repr(KEYS) or repr(secret) in repr(KEYS) for secret in parts[1:])


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(32)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(WireError, match="16 bytes, this one"):
        FrameKeys(key)


@pytest.mark.parametrize(("boot", "count"), [(-1, 1), (2**32, 1), (0, 0), (0, 2**32)])
def test_names_that_do_not_fit_are_refused(boot: int, count: int) -> None:
    with pytest.raises(WireError, match="malformed"):
        frames.seal_frame(KEYS, boot, count, [ROW])


def test_a_frame_that_would_be_too_large_is_refused_by_its_sender() -> None:
    with pytest.raises(WireError, match="send fewer items"):
        frames.seal_frame(KEYS, 1, 1, [Unknown(77, [bytes(4096)])])


def test_repr_tells_what_it_is() -> None:
    assert repr(Frame(1, 2, [])) == "Frame(1, 2, [])"
    assert repr(Ack(1, 2, 3, None, 0)) == "Ack(1, 2, 3, None, 0)"
    assert Frame(1, 2, []) != Frame(1, 3, [])
    assert Ack(1, 2, 3, None, 0) != Ack(1, 2, 3, 0, 0)
