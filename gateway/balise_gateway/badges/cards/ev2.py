"""Talking to an NTAG 424 DNA under its keys: EV2 authentication and secure messaging, the reader's side.

Promises that an answer whose MAC does not fit is refused, and that a status other than OK is an error with its name.
Sources: NXP NT4H2421Gx rev. 3.0, sections 9.1 (secure messaging) and 10 (commands); AN12196. Leaves what is written
to `personalise.py`.
"""

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from balise_gateway.badges.cards.diversify import aes_cmac
from balise_gateway.badges.readers import Chip
from balise_gateway.errors import CardRefused

APPLICATION = bytes.fromhex("d2760000850101")
MASTER_KEY = 0  # the only key that sessions are opened with here
AUTHENTICATE, MORE, CHANGE_KEY, KEY_VERSION = 0x71, 0xAF, 0xC4, 0x64
CHANGE_FILE_SETTINGS, READ_SIGNATURE = 0x5F, 0x3C
AUTHENTICATION_ERROR = 0xAE
_OK, _OK_SIGNATURE = (b"\x91\x00", b"\x91\x90")
_BLOCK_BYTES, _MAC_BYTES = 16, 8
_NAMES = {  # section 10.2, table 23
    0x1E: "integrity error",
    0x40: "no such key",
    0x7E: "wrong length",
    0x9D: "permission denied",
    0x9E: "wrong parameter",
    0xAD: "too many wrong keys; leave the card on the reader for a minute and try again",
    0xAE: "wrong key",
    0xCA: "command aborted",
    0xF0: "no such file",
}


class ChipStatus(CardRefused):
    """The chip answered with a status that is not OK: the second byte of it."""

    def __init__(self, doing: str, status: int) -> None:
        super().__init__(f"the chip refuses to {doing}: {_NAMES.get(status, 'status')} ({status:#04x})")
        self.status = status


def select_application(chip: Chip) -> None:
    """The application of the chip that holds keys and files; ends a session."""
    answer = chip.send(bytes([0x00, 0xA4, 0x04, 0x00, len(APPLICATION)]) + APPLICATION + b"\x00")
    if answer[-2:] != b"\x90\x00":
        raise CardRefused("this chip has no application of an NTAG 424 DNA; is it another kind of card?")


def native(chip: Chip, code: int, data: bytes, doing: str) -> tuple[int, bytes]:
    """One command and its answer, as they are: (status, data). Raises ChipStatus."""
    body = bytes([len(data)]) + data if data else b""
    answer = chip.send(bytes([0x90, code, 0, 0]) + body + b"\x00")
    if len(answer) < 2 or answer[-2] != 0x91:
        raise CardRefused(f"the chip does not know how to {doing}; is it an NTAG 424 DNA?")
    if answer[-2:] not in (_OK, _OK_SIGNATURE) and answer[-1] != MORE:
        raise ChipStatus(doing, answer[-1])
    return answer[-1], answer[:-2]


def signature(chip: Chip) -> bytes:
    """NXP's signature of the UID (Read_Sig, section 10.8)."""
    select_application(chip)
    return native(chip, READ_SIGNATURE, b"\x00", "show its signature")[1]


def session_keys(key: bytes, a: bytes, b: bytes) -> tuple[bytes, bytes]:
    """(for encryption, for MACs), from both random numbers (section 9.1.7)."""
    mixed = a[:2] + bytes(x ^ y for x, y in zip(a[2:8], b[:6], strict=True)) + b[6:] + a[8:]
    return tuple(aes_cmac(key, label + b"\x00\x01\x00\x80" + mixed) for label in (b"\xa5\x5a", b"\x5a\xa5"))  # type: ignore[return-value]


@dataclass
class Session:
    """After AuthenticateEV2First, until an error, a new selection, or a change of the key it was opened with."""

    chip: Chip
    enc_key: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)
    transaction: bytes
    counter: int = 0

    def mac_command(self, code: int, header: bytes, doing: str) -> bytes:
        """A command in CommMode.MAC; returns what the answer carries."""
        return self._sent(code, header, b"", doing)

    def full_command(self, code: int, header: bytes, secret: bytes, doing: str) -> bytes:
        """A command in CommMode.Full that carries something secret, and whose answer carries nothing."""
        padded = secret + b"\x80" + bytes(-(len(secret) + 1) % _BLOCK_BYTES)
        start = _cbc(self.enc_key, b"\xa5\x5a" + self._count(self.counter, reverse=True) + bytes(8))
        return self._sent(code, header, _cbc(self.enc_key, padded, start), doing)

    def _count(self, counter: int, *, reverse: bool = False) -> bytes:
        parts = (counter.to_bytes(2, "little"), self.transaction)
        return b"".join(reversed(parts) if reverse else parts)

    def _sent(self, code: int, header: bytes, body: bytes, doing: str) -> bytes:
        mac = aes_cmac(self.mac_key, bytes([code]) + self._count(self.counter) + header + body)[1::2]
        status, answer = native(self.chip, code, header + body + mac, doing)
        self.counter += 1
        if not answer and (code, header) == (CHANGE_KEY, bytes([MASTER_KEY])):
            return b""  # the key of this session was changed: the chip has closed it and signs nothing any more
        found, signed = answer[:-_MAC_BYTES], answer[-_MAC_BYTES:]
        wanted = aes_cmac(self.mac_key, bytes([status]) + self._count(self.counter) + found)[1::2]
        if not hmac.compare_digest(signed, wanted):
            raise CardRefused(f"what answered to '{doing}' is not the chip that was authenticated")
        return found


def authenticate(chip: Chip, number: int, key: bytes, chance: Callable[[int], bytes] = os.urandom) -> Session:
    """A session under this key (AuthenticateEV2First, section 10.4.1). Raises ChipStatus with AUTHENTICATION_ERROR."""
    select_application(chip)
    _, challenge = native(chip, AUTHENTICATE, bytes([number, 0]), "authenticate")
    ours, theirs = chance(_BLOCK_BYTES), _uncbc(key, challenge)
    answer = _cbc(key, ours + theirs[1:] + theirs[:1])
    _, proof = native(chip, MORE, answer, "authenticate")
    plain = _uncbc(key, proof)
    if not hmac.compare_digest(plain[4:20], ours[1:] + ours[:1]):
        raise CardRefused("the chip does not hold the key that it accepted; is it a copy?")
    enc_key, mac_key = session_keys(key, ours, theirs)
    return Session(chip, enc_key, mac_key, plain[:4])


def _cbc(key: bytes, data: bytes, start: bytes = bytes(_BLOCK_BYTES)) -> bytes:
    encryptor = Cipher(AES(key), CBC(start)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _uncbc(key: bytes, data: bytes) -> bytes:
    if not data or len(data) % _BLOCK_BYTES:
        raise CardRefused(f"the chip answered {len(data)} bytes where whole blocks were due")
    decryptor = Cipher(AES(key), CBC(bytes(_BLOCK_BYTES))).decryptor()
    return decryptor.update(data) + decryptor.finalize()
