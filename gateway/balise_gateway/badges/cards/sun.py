"""SUN messages of an NTAG 424 DNA: what the chip put into its URL at this tap (NXP AN12196 section 3.4).

Promises that a UID and counter come back only if the chip that holds the key made the message. The chip's counter
rises with each reading; that it has risen is for the register to say. Leaves keys to `keys.py`.
"""

import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from balise_gateway.badges.cards.diversify import aes_cmac
from balise_gateway.errors import PaperError

BLOCK_BYTES, UID_BYTES, COUNTER_BYTES, CMAC_BYTES = 16, 7, 3, 8
_UID_AND_COUNTER = 0xC7  # section 3.4.2.1: UID mirrored, counter mirrored, a UID of seven bytes
_SV2 = bytes.fromhex("3cc300010080")  # section 3.4.4.2


@dataclass(frozen=True)
class Tap:
    """Which chip, and its how many-eth reading."""

    uid: bytes = field(repr=False)
    counter: int

    def _said(self) -> bytes:
        return self.uid + self.counter.to_bytes(COUNTER_BYTES, "little")


def open_picc_data(meta_key: bytes, picc_data: bytes) -> Tap:
    """UID and counter as they stand encrypted in the URL; nothing is proved until `check`. Raises PaperError."""
    if len(picc_data) != BLOCK_BYTES:
        raise PaperError("signature", f"PICC data of {len(picc_data)} bytes instead of {BLOCK_BYTES}")
    decryptor = Cipher(AES(meta_key), CBC(bytes(BLOCK_BYTES))).decryptor()
    plain = decryptor.update(picc_data) + decryptor.finalize()
    if plain[0] != _UID_AND_COUNTER:
        raise PaperError("signature", "the card's message does not open with the key of this card number")
    return Tap(plain[1 : 1 + UID_BYTES], int.from_bytes(plain[1 + UID_BYTES : 1 + UID_BYTES + COUNTER_BYTES], "little"))


def check(file_key: bytes, tap: Tap, cmac: bytes, mac_input: bytes = b"") -> None:
    """PaperError unless the chip with this key made `cmac` at this tap.

    `mac_input` is the part of the URL that the chip was told to authenticate; our cards authenticate nothing but UID
    and counter.
    """
    if not hmac.compare_digest(cmac_of(file_key, tap, mac_input), cmac):
        raise PaperError("signature", "the card's message was not made by a chip of ours")


def cmac_of(file_key: bytes, tap: Tap, mac_input: bytes = b"") -> bytes:
    """The eight bytes of the URL: every second one of the whole CMAC."""
    return aes_cmac(mac_session_key(file_key, tap), mac_input)[1::2]


def mac_session_key(file_key: bytes, tap: Tap) -> bytes:
    """KSesSDMFileReadMAC."""
    return aes_cmac(file_key, _SV2 + tap._said())
