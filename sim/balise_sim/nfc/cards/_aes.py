"""AES-128 as NXP's cards use it: CBC, CMAC and its short form, session keys, diversified keys.

Promises plain functions of bytes. Sources: FIPS 197, NIST SP 800-38B, NTAG 424 DNA data sheet (NT4H2421Gx) 9.1 and
9.3, AN12196, AN10922.
"""

import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

BLOCK_BYTES = 16
NO_IV = bytes(BLOCK_BYTES)


def encrypted(key: bytes, data: bytes, iv: bytes = NO_IV) -> bytes:
    """CBC without padding."""
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def decrypted(key: bytes, data: bytes, iv: bytes = NO_IV) -> bytes:
    """CBC without padding."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def cmac(key: bytes, data: bytes) -> bytes:
    """16 bytes."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def short_mac(key: bytes, data: bytes) -> bytes:
    """MACt of 9.1.3: every second byte of the CMAC, beginning with the second; 8 bytes."""
    return cmac(key, data)[1::2]


def padded(data: bytes) -> bytes:
    """ISO 9797-1, method 2: always at least one byte more."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK_BYTES)


def unpadded(data: bytes) -> bytes:
    """Raises ValueError when there is no such padding."""
    bare = data.rstrip(b"\x00")
    if bare[-1:] != b"\x80" or len(data) - len(bare) >= BLOCK_BYTES:
        raise ValueError("no padding of ISO 9797-1, method 2")
    return bare[:-1]


def rotated(data: bytes) -> bytes:
    """By one byte to the left."""
    return data[1:] + data[:1]


def crc32_nk(key: bytes) -> bytes:
    """The check of a new key in ChangeKey (10.6.1): CRC-32 without the last inversion, low byte first."""
    return (zlib.crc32(key) ^ 0xFFFFFFFF).to_bytes(4, "little")


def session_keys(key: bytes, a: bytes, b: bytes) -> tuple[bytes, bytes]:
    """KSesAuthENC and KSesAuthMAC of EV2 authentication, from both random numbers (9.1.7)."""
    mixed = a[:2] + bytes(x ^ y for x, y in zip(a[2:8], b[:6], strict=True)) + b[6:] + a[8:]
    return cmac(key, b"\xa5\x5a\x00\x01\x00\x80" + mixed), cmac(key, b"\x5a\xa5\x00\x01\x00\x80" + mixed)


def sdm_session_keys(key: bytes, told: bytes) -> tuple[bytes, bytes]:
    """KSesSDMFileReadENC and KSesSDMFileReadMAC (9.3.9); `told` is UID and counter, as far as they are mirrored."""
    rest = told + bytes(-(6 + len(told)) % BLOCK_BYTES)
    return cmac(key, b"\xc3\x3c\x00\x01\x00\x80" + rest), cmac(key, b"\x3c\xc3\x00\x01\x00\x80" + rest)


def diversified(master: bytes, what: bytes) -> bytes:
    """A card's own key from a master key and 16 to 31 bytes about the card (AN10922, 2.2).

    Less would need a padding of AN10922's own, which no card here uses: ValueError.
    """
    if not 16 <= len(what) <= 31:
        raise ValueError(f"diversification takes 16 to 31 bytes, not {len(what)}")
    return cmac(master, b"\x01" + what)
