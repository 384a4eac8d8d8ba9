"""AES-CCM with 16-bit lengths and an 8-byte tag (AES-CCM-16-64-128, RFC 9053 section 4.2), on both interpreters.

Promises seal() and open_sealed(): the interpreter's own library on CPython, and on MicroPython the mode of RFC 3610
over two calls of `cryptolib` (ECB for the key stream, CBC for the tag, so that no block is handled in Python).
Leaves keys and nonces to frames.py: a nonce that is used twice under one key gives the plaintext away.
"""

from balise_wire.errors import WireError

__all__ = ["NONCE_BYTES", "TAG_BYTES", "BlockCipher", "open_sealed", "open_with", "same", "seal", "seal_with"]

TAG_BYTES = 8
NONCE_BYTES = 13
_LENGTH_BYTES = 2  # RFC 3610 "L" = 15 - NONCE_BYTES
_FLAGS = 0x40 | (TAG_BYTES - 2) // 2 << 3 | _LENGTH_BYTES - 1  # RFC 3610 section 2.2, with associated data


class BlockCipher:
    """AES-128 under one key, in the two modes that CCM is made of, by MicroPython's cryptolib.

    (CPython has none: there a test puts another class in this one's place.)
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def ecb(self, blocks: bytes) -> bytes:
        """Each 16-byte block encrypted."""
        encrypted: bytes = _aes(self._key, 1).encrypt(blocks)
        return encrypted

    def cbc(self, blocks: bytes) -> bytes:
        """The blocks chained from a zero block."""
        encrypted: bytes = _aes(self._key, 2, bytes(16)).encrypt(blocks)
        return encrypted


def seal_with(cipher: BlockCipher, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """RFC 3610: ciphertext, then tag."""
    stream = _key_stream(cipher, nonce, len(plaintext))
    tag = _xor(_mac(cipher, nonce, plaintext, associated), stream[:TAG_BYTES])
    return _xor(plaintext, stream[16 : 16 + len(plaintext)]) + tag


def open_with(cipher: BlockCipher, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """RFC 3610: the plaintext, or "tag"."""
    size = len(sealed) - TAG_BYTES
    if size < 0:
        raise WireError("malformed", f"{len(sealed)} sealed bytes are fewer than a tag")
    stream = _key_stream(cipher, nonce, size)
    plaintext = _xor(sealed[:size], stream[16 : 16 + size])
    tag = _xor(_mac(cipher, nonce, plaintext, associated), stream[:TAG_BYTES])
    if not same(tag, sealed[size:]):
        raise WireError("tag", "the tag does not fit: another key, or changed bytes")
    return plaintext


def same(a: bytes, b: bytes) -> bool:
    """Equal? In a time that does not tell where they differ."""
    difference = len(a) ^ len(b)
    for x, y in zip(a, b):  # noqa: B905 (MicroPython's zip has no strict; the lengths are compared above)
        difference |= x ^ y
    return difference == 0


def _key_stream(cipher: BlockCipher, nonce: bytes, size: int) -> bytes:
    counters = bytearray()
    for i in range(1 + (size + 15) // 16):
        counters.append(_LENGTH_BYTES - 1)
        counters.extend(nonce)
        counters.extend(i.to_bytes(_LENGTH_BYTES, "big"))
    return cipher.ecb(bytes(counters))


def _mac(cipher: BlockCipher, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    blocks = bytearray([_FLAGS])
    blocks.extend(nonce)
    blocks.extend(len(plaintext).to_bytes(_LENGTH_BYTES, "big"))
    blocks.extend(len(associated).to_bytes(2, "big"))
    blocks.extend(associated)
    blocks.extend(bytes(-len(blocks) % 16))
    blocks.extend(plaintext)
    blocks.extend(bytes(-len(blocks) % 16))
    chained = cipher.cbc(bytes(blocks))
    return chained[len(chained) - 16 :][:TAG_BYTES]


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


try:
    from balise_wire.ccm_library import open_sealed, seal
except ImportError:  # MicroPython has no cryptography
    # once: each import looks through the flash before what is built in; and by name: no checker of ours knows it
    _aes = __import__("cryptolib").aes

    def seal(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext, then tag."""
        return seal_with(BlockCipher(key), nonce, plaintext, associated)

    def open_sealed(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext; "tag" if it does not fit."""
        return open_with(BlockCipher(key), nonce, sealed, associated)
