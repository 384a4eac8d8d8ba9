"""What stands on a card: its number, its URL, and the signed record of grade 1 (BADGES.md sections 1 and 6).

Promises that hostile text and bytes give a value in range or WireError, and that what is built here is read here.
CPython only. Leaves SUN messages to the gateway, and whom to believe to whoever holds the keys.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.visits import place_of

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O and U
NUMBER_CHARS, CHANCE_CHARS = 10, 9
CHANCE_BYTES = 6  # of which 45 bits are used
RECORD_TYPE = "urn:nfc:ext:balise:c"  # as ndeflib names it
RECORD_BYTES = 67
MAX_DAY = 0xFFFF  # 2149-06-06
UID_SIZES = (4, 7, 10)  # ISO/IEC 14443-3 section 6.5.4
PICC_DATA_BYTES, CMAC_BYTES = 16, 8

_VERSION = 1
_PREFIX = re.compile("[a-z0-9]{1,8}")
_HOME_PATH = re.compile(r"/b/([^/?#]+)(?:\?picc_data=([0-9A-Fa-f]{32})&cmac=([0-9A-Fa-f]{16}))?")
_BROKER_PATH = re.compile(r"/([a-z0-9]{1,8})/?#([^/?#]+)")
_URL = re.compile(r"https://([^/?#]{1,253})(/.*)", re.IGNORECASE)
_MISREAD = str.maketrans("ILO", "110", "- ")
_MAX_TEXT_CHARS = 512  # no card of ours has a longer one


@dataclass(frozen=True)
class Address:
    """What a URL on a card, or a printed number, says: whose card, and which.

    Either `home` is there, or `broker` and `prefix`, or neither: then only the number was read.
    """

    number: str = field(repr=False)
    home: str = ""
    broker: str = ""
    prefix: str = ""
    picc_data: bytes = field(default=b"", repr=False)
    cmac: bytes = field(default=b"", repr=False)

    @property
    def has_sun(self) -> bool:
        """Whether the chip has put a SUN message in."""
        return bool(self.picc_data)


def check_character(chance: str) -> str:
    """Luhn modulo 32: from the right every second value is doubled, the rightmost too, and a double above 31 loses 31.

    A wrong character is always noticed, two neighbours that changed places nearly always (0 with Z is not).
    """
    total = 0
    for position, character in enumerate(reversed(chance)):
        value = ALPHABET.index(character) * (1 if position % 2 else 2)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def make_number(chance: bytes) -> str:
    """A card number from six bytes of chance."""
    if len(chance) != CHANCE_BYTES:
        raise WireError("malformed", f"a card number is made of {CHANCE_BYTES} bytes of chance, not {len(chance)}")
    value = int.from_bytes(chance, "big")
    text = "".join(ALPHABET[value >> 5 * place & 31] for place in reversed(range(CHANCE_CHARS)))
    return text + check_character(text)


def parse_number(text: str) -> str:
    """The ten characters that somebody typed or a card says, however they are written. Raises WireError."""
    if len(text) > _MAX_TEXT_CHARS or not text.isascii():
        raise WireError("malformed", "not a card number: other characters than letters and digits")
    number = text.strip().upper().translate(_MISREAD)
    if len(number) != NUMBER_CHARS:
        raise WireError("malformed", f"a card number has {NUMBER_CHARS} characters, this one {len(number)}")
    if any(character not in ALPHABET for character in number):
        raise WireError("malformed", "a card number has digits and letters without U, and nothing else")
    if check_character(number[:CHANCE_CHARS]) != number[CHANCE_CHARS:]:
        raise WireError("malformed", "not a card number: its last character does not fit; is one mistyped?")
    return number


def printed(number: str) -> str:
    """The number as people read it."""
    return f"{number[:5]}-{number[5:]}"


def home_url(home: str, number: str) -> str:
    """What stands first on a card of this home."""
    return f"https://{place_of(home, 'home')}/b/{parse_number(number)}"


def broker_url(broker: str, prefix: str, number: str) -> str:
    """What stands on a poster or an old card: a browser does not send the number."""
    if _PREFIX.fullmatch(prefix) is None:
        raise WireError("malformed", "a prefix has 1 to 8 of a-z and 0-9")
    return f"https://{place_of(broker, 'broker')}/{prefix}#{parse_number(number)}"


def parse_address(text: str) -> Address:
    """What a card's URL, a code's text or a typed number says. Raises WireError for anything else."""
    text = text.strip()
    if len(text) > _MAX_TEXT_CHARS:
        raise WireError("too large", f"{len(text)} characters: no card of ours says so much")
    url = _URL.fullmatch(text)
    if url is None:
        if ":" in text or "/" in text:
            raise WireError("malformed", "not the https address of a card")
        return Address(parse_number(text))
    place, path = place_of(url[1].lower(), "the domain of a card"), url[2]
    if ours := _HOME_PATH.fullmatch(path):
        sun = [bytes.fromhex(part or "") for part in (ours[2], ours[3])]
        return Address(parse_number(ours[1]), home=place, picc_data=sun[0], cmac=sun[1])
    if brokered := _BROKER_PATH.fullmatch(path):
        return Address(parse_number(brokered[2]), broker=place, prefix=brokered[1])
    raise WireError("malformed", "an https address, but not one of a card")


# --- Grade 1: the signed record --------------------------------------------------------------------------------------


def sign_record(signer: Signer, home: str, number: str, last_day: int, uid: bytes) -> bytes:
    """The payload of the record `balise:c`: this card, with this UID, is ours until the end of this day."""
    return bytes([_VERSION]) + _day(last_day) + signer.sign_raw(_said(home, number, last_day, uid))


def last_day_of(record: bytes) -> int:
    """The last day that a record claims: nothing is proved yet. Raises WireError."""
    if len(record) != RECORD_BYTES or record[0] != _VERSION:
        raise WireError("malformed", f"a signed card record has {RECORD_BYTES} bytes, the first of them {_VERSION}")
    return int.from_bytes(record[1:3], "big")


def verify_record(record: bytes, keys: Iterable[bytes], home: str, number: str, uid: bytes) -> int:
    """The last day, if one of these raw public keys signed it for this card. Raises WireError."""
    last_day = last_day_of(record)
    said = _said(home, number, last_day, uid)
    if not any(_is_signed(key, record[3:], said) for key in keys):
        raise WireError("signature", f"no key of {home} has signed this card")
    return last_day


def _is_signed(key: bytes, signature: bytes, said: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, said)
    except InvalidSignature:
        return False
    except ValueError as error:
        raise WireError("malformed", "not an Ed25519 public key") from error
    return True


def _said(home: str, number: str, last_day: int, uid: bytes) -> bytes:
    if len(uid) not in UID_SIZES:
        raise WireError("malformed", f"a UID of {len(uid)} bytes")
    return b"\0".join((b"balise card 1", home.encode(), number.encode(), _day(last_day) + uid))


def _day(last_day: int) -> bytes:
    if not 0 <= last_day <= MAX_DAY:
        raise WireError("malformed", f"day {last_day} does not fit on a card: 0 to {MAX_DAY} days since 1970-01-01")
    return last_day.to_bytes(2, "big")


# --- NDEF (NFC Forum: NDEF 1.0, URI RTD 1.0) -------------------------------------------------------------------------

_URI_STARTS = ("", "http://www.", "https://www.", "http://", "https://")
_WELL_KNOWN, _EXTERNAL = 1, 4
_FIRST, _LAST, _CHUNK, _SHORT, _HAS_ID = 0x80, 0x40, 0x20, 0x10, 0x08


def message(url: str, record: bytes = b"") -> bytes:
    """The NDEF message of a card: its URL, and the signed record when there is one."""
    text = url.encode("ascii")
    start = max(range(len(_URI_STARTS)), key=lambda code: len(_URI_STARTS[code]) * url.startswith(_URI_STARTS[code]))
    uri = bytes([start]) + text[len(_URI_STARTS[start]) :]
    parts = [(_WELL_KNOWN, b"U", uri)] + ([(_EXTERNAL, b"balise:c", record)] if record else [])
    return b"".join(
        _record(kind, name, payload, (at == 0) * _FIRST | (at == len(parts) - 1) * _LAST)
        for at, (kind, name, payload) in enumerate(parts)
    )


@dataclass(frozen=True)
class SunTemplate:
    """The message of an NTAG 424 DNA, and where in it the chip writes. Offsets count from its first byte."""

    message: bytes
    picc_data_offset: int
    cmac_offset: int


def sun_template(url: str) -> SunTemplate:
    """The message of a card of grade 2, with zeros where the chip will write."""
    made = message(f"{url}?picc_data={'0' * 2 * PICC_DATA_BYTES}&cmac={'0' * 2 * CMAC_BYTES}")
    return SunTemplate(made, made.index(b"picc_data=") + 10, made.index(b"cmac=") + 5)


def read_message(data: bytes) -> tuple[str, Sequence[tuple[str, bytes]]]:
    """The first URI of an NDEF message ("" when there is none), and its external records. Raises WireError."""
    uri, found, at = "", [], 0
    while at < len(data):
        kind, name, payload, at = _next_record(data, at)
        if kind == _WELL_KNOWN and name == b"U" and not uri:
            uri = _uri(payload)
        elif kind == _EXTERNAL:
            found.append((f"urn:nfc:ext:{name.decode('ascii', 'replace').lower()}", payload))
    return uri, found


def _record(kind: int, name: bytes, payload: bytes, flags: int) -> bytes:
    if len(payload) > 255:
        raise WireError("too large", f"{len(payload)} bytes in one record of a card")
    return bytes([flags | _SHORT | kind, len(name), len(payload)]) + name + payload


def _next_record(data: bytes, at: int) -> tuple[int, bytes, bytes, int]:
    flags = data[at]
    if flags & _CHUNK:
        raise WireError("malformed", f"an NDEF record in chunks at byte {at}")
    size_bytes = 1 if flags & _SHORT else 4
    header = data[at + 1 : at + 2 + size_bytes + bool(flags & _HAS_ID)]
    if len(header) < 1 + size_bytes + bool(flags & _HAS_ID):
        raise WireError("malformed", f"an NDEF record that is cut short at byte {at}")
    start = at + 1 + len(header)
    middle = start + header[0]
    body = middle + (header[-1] if flags & _HAS_ID else 0)
    end = body + int.from_bytes(header[1 : 1 + size_bytes], "big")
    if end > len(data):
        raise WireError("malformed", f"an NDEF record of {end - at} bytes, and {len(data) - at} are there")
    return flags & 7, data[start:middle], data[body:end], end


def _uri(payload: bytes) -> str:
    """A URI record's text; "" for the starts that no page has (tel:, mailto: and their like)."""
    if not payload or payload[0] >= len(_URI_STARTS):
        return ""
    return _URI_STARTS[payload[0]] + payload[1:].decode("utf-8", "replace")
