"""Secure dynamic messaging of the NTAG 424 DNA: how a file is set up for it, and what a reader sees of it.

Promises the mirrors of UID, counter, PICCData, encrypted file data and CMAC as the data sheet (NT4H2421Gx, 9.3 and
10.7.1) and AN12196 have them. Leaves the counter itself and access to ntag424.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from balise_sim.nfc.cards import _aes

FREE, NEVER = 0xE, 0xF
UID, COUNTER, LIMIT, ENCRYPTED_FILE, ASCII = 0x80, 0x40, 0x20, 0x10, 0x01  # SDMOptions
OFFSET_BYTES = 3
PICC_TEXT, UID_TEXT, COUNTER_TEXT, MAC_TEXT = 32, 14, 6, 16  # characters
UNUSED, NOWHERE = -1, 0xFFFFFF  # NOWHERE: counted, not mirrored (9.3.3)


class BadSettings(ValueError):
    """What ChangeFileSettings refuses."""


@dataclass(frozen=True)
class Sdm:
    """Where what is mirrored; offsets are bytes from the start of the file, UNUSED when they are not given."""

    options: int
    meta_read: int  # who may read UID and counter: a key encrypts them, FREE mirrors them plain, NEVER leaves them out
    file_read: int  # the key of the CMAC; NEVER: no CMAC
    counter_read: int
    uid_at: int = UNUSED
    counter_at: int = UNUSED
    picc_at: int = UNUSED
    mac_input_at: int = UNUSED
    enc_at: int = UNUSED
    enc_length: int = 0
    mac_at: int = UNUSED
    limit: int = UNUSED

    def fields(self) -> list[tuple[str, int]]:
        """The numbers of three bytes behind the access rights that these options ask for, in their order."""
        plain, mac = self.meta_read == FREE, self.file_read != NEVER
        enc = mac and self.options & ENCRYPTED_FILE
        wanted = {
            "uid_at": plain and self.options & UID,
            "counter_at": plain and self.options & COUNTER,
            "picc_at": self.meta_read < FREE,
            "mac_input_at": mac,
            "enc_at": enc,
            "enc_length": enc,
            "mac_at": mac,
            "limit": self.options & LIMIT,
        }
        return [(name, getattr(self, name)) for name, there in wanted.items() if there]

    def encoded(self) -> bytes:
        rights = bytes([0xF0 | self.counter_read, self.meta_read << 4 | self.file_read])
        return bytes([self.options]) + rights + b"".join(v.to_bytes(3, "little") for _, v in self.fields())

    def told(self, uid: bytes, counter: int) -> bytes:
        """What enters the session keys."""
        return (uid if self.options & UID else b"") + (counter.to_bytes(3, "little") if self.options & COUNTER else b"")


def decoded(data: bytes, file_bytes: int) -> Sdm:
    """The settings as they follow the access rights of ChangeFileSettings; raises BadSettings."""
    if len(data) < 3:
        raise BadSettings("too short")
    bare = Sdm(data[0], data[2] >> 4, data[2] & 0xF, data[1] & 0xF)
    names = [name for name, _ in bare.fields()]
    if not data[0] & ASCII or data[0] & 0x0E or len(data) != 3 + OFFSET_BYTES * len(names):
        raise BadSettings("options and length do not fit each other")
    if any(5 <= key < FREE for key in (bare.meta_read, bare.file_read)) or bare.file_read == FREE:
        raise BadSettings("no such key")
    values = [int.from_bytes(data[at : at + OFFSET_BYTES], "little") for at in range(3, len(data), OFFSET_BYTES)]
    settings = Sdm(
        bare.options, bare.meta_read, bare.file_read, bare.counter_read, **dict(zip(names, values, strict=True))
    )
    _check(settings, file_bytes)
    return settings


def _check(settings: Sdm, file_bytes: int) -> None:
    ends = {
        "uid_at": settings.uid_at + UID_TEXT,
        "counter_at": settings.counter_at + COUNTER_TEXT,
        "picc_at": settings.picc_at + PICC_TEXT,
        "enc_at": settings.enc_at + settings.enc_length,
        "mac_at": settings.mac_at + MAC_TEXT,
    }
    given = {name: at for name, at in settings.fields() if at != NOWHERE}
    if any(end > file_bytes for name, end in ends.items() if name in given):
        raise BadSettings("a mirror lies behind the end of the file")
    if "mac_at" in given and settings.mac_input_at > settings.mac_at:
        raise BadSettings("the input of the CMAC begins behind it")
    if settings.enc_length % 32:
        raise BadSettings("encrypted file data are whole blocks, in hexadecimal")


def picc_data(settings: Sdm, uid: bytes, counter: int, key: bytes, chance: Callable[[int], bytes]) -> bytes:
    """UID and counter, encrypted (9.3.4): 16 bytes, filled up with chance."""
    tag = settings.options & (UID | COUNTER) | (len(uid) if settings.options & UID else 0)
    plain = bytes([tag]) + settings.told(uid, counter)
    return _aes.encrypted(key, plain + chance(_aes.BLOCK_BYTES - len(plain)))


def mirrored(
    content: bytes, settings: Sdm, uid: bytes, counter: int, keys: Sequence[bytes], chance: Callable[[int], bytes]
) -> bytes:
    """The file as who is not authenticated reads it."""
    seen = bytearray(content)

    def put(at: int, text: str) -> None:
        seen[at : at + len(text)] = text.encode()

    given = dict(settings.fields())
    if "uid_at" in given:
        put(settings.uid_at, uid.hex().upper())
    if given.get("counter_at", NOWHERE) != NOWHERE:
        put(settings.counter_at, f"{counter:06X}")
    if "picc_at" in given:
        put(settings.picc_at, picc_data(settings, uid, counter, keys[settings.meta_read], chance).hex().upper())
    if settings.file_read == NEVER:
        return bytes(seen)
    enc_key, mac_key = _aes.sdm_session_keys(keys[settings.file_read], settings.told(uid, counter))
    if "enc_at" in given:
        plain = content[settings.enc_at : settings.enc_at + settings.enc_length // 2]
        iv = _aes.encrypted(enc_key, counter.to_bytes(3, "little") + bytes(13))
        put(settings.enc_at, _aes.encrypted(enc_key, plain, iv).hex().upper())
    covered = bytes(seen[settings.mac_input_at : settings.mac_at])
    put(settings.mac_at, _aes.short_mac(mac_key, covered).hex().upper())
    return bytes(seen)
