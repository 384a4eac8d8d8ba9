"""What places know each other by: keys, pseudonyms, and the signed table of places (BADGES.md sections 2, 3 and 7).

Promises that only deterministic bytes of one signer pass, and that two places derive the same pair key. CPython only.
Leaves lists of cards to `card_list.py`, and where keys lie to the gateway.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from balise_wire import cbor, checks, cose
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.hkdf import expand, extract
from balise_wire.visits import WHO_BYTES, place_of

SEED_BYTES = KEY_BYTES = 32
TOKEN_BYTES, UID_TOKEN_BYTES = 8, 16
_TABLE = 34
_PREFIX = re.compile("[a-z0-9]{1,8}")
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def derive(seed: bytes, info: bytes, size: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    return expand(extract(b"", seed), info, size)


class PlaceKeys:
    """A place's own keys, from the 32 bytes of `place.key` and of `home.key`.

    `box_seed`: what the box key is derived from, where the place has changed the key that it signs with.
    """

    def __init__(self, place_seed: bytes, home_seed: bytes, box_seed: bytes = b"") -> None:
        if len(home_seed) != SEED_BYTES:
            raise WireError("malformed", f"a home key has {SEED_BYTES} bytes, this one {len(home_seed)}")
        self.signer = Signer(place_seed)
        self._set_box(box_seed or place_seed)
        self.scan_key = derive(home_seed, b"balise scan")
        self._who_key, self._host_key = derive(home_seed, b"balise who"), derive(home_seed, b"balise provisional")

    def _set_box(self, seed: bytes) -> None:
        self._box = X25519PrivateKey.from_private_bytes(derive(seed, b"balise box"))
        self.box_public = self._box.public_key().public_bytes(*_RAW)

    def pair_key(self, home: str, host: str, other_box: bytes) -> bytes:
        """The key that this home and this host share; `other_box` is the public box key of the one that is not us."""
        try:
            secret = self._box.exchange(X25519PublicKey.from_public_bytes(other_box))
        except ValueError as error:
            raise WireError("malformed", "a box key that is no X25519 public key") from error
        return derive(secret, b"balise pair\0" + home.encode() + b"\0" + host.encode())

    def who(self, member: str, host: str, year: int) -> bytes:
        """What a member of ours is called at a host, in one year."""
        said = b"\0".join((member.encode(), host.encode(), f"{year:04}".encode()))
        return _mac(self._who_key, said)[:WHO_BYTES]

    def provisional_who(self, token: bytes) -> bytes:
        """What we call a guest whose home has not said a pseudonym yet."""
        return _mac(self._host_key, token)[:WHO_BYTES]

    def tag(self, card: bytes) -> str:
        """What stands for a card in programs of this place: always the same, and of no use elsewhere."""
        return _mac(self._host_key, b"tag\0" + card)[:TOKEN_BYTES].hex()

    def uid_token(self, uid: bytes) -> bytes:
        """What stands for the UID of a card of ours."""
        return uid_token(self.scan_key, uid)


def uid_token(scan_key: bytes, uid: bytes) -> bytes:
    """16 bytes that stand for a UID, by the scan key of its home."""
    return _mac(scan_key, uid)[:UID_TOKEN_BYTES]


def number_token(pair_key: bytes, number: str) -> bytes:
    """The card token of a card with a number (ten characters, without hyphen)."""
    return _mac(pair_key, b"n" + number.encode())[:TOKEN_BYTES]


def uid_card_token(pair_key: bytes, token: bytes) -> bytes:
    """The card token of a card that is known by its UID: `token` is its `uid_token`."""
    return _mac(pair_key, b"u" + token)[:TOKEN_BYTES]


@dataclass(frozen=True)
class Place:
    """One place in the table. Keys are raw: `sign` and `gateways` Ed25519, `box` X25519."""

    id: str
    name: str
    prefix: str
    sign: tuple[bytes, ...]
    box: bytes
    gateways: tuple[bytes, ...]
    login: str = ""
    lists: str = ""
    visits: str = ""

    def to_map(self) -> dict[object, object]:
        """As it stands in the table."""
        told: dict[object, object] = {"id": self.id, "name": self.name, "prefix": self.prefix, "box": self.box}
        told |= {"sign": list(self.sign), "gateways": list(self.gateways)}
        return told | {name: getattr(self, name) for name in ("login", "lists", "visits") if getattr(self, name)}


@dataclass(frozen=True)
class Table:
    """All places that take part, as of `utc_s`. Of two tables the one with the higher number counts."""

    number: int
    utc_s: int
    places: tuple[Place, ...]
    by_id: Mapping[str, Place] = field(init=False, repr=False, compare=False)
    by_prefix: Mapping[str, Place] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {place.id: place for place in self.places})
        object.__setattr__(self, "by_prefix", {place.prefix: place for place in self.places})

    def gateway_keys(self) -> dict[bytes, bytes]:
        """All keys that may sign visits, by key id: what `envelope.verify_envelope` takes."""
        return {cose.kid_of(key): key for place in self.places for key in place.gateways}

    def hosts_of(self, kid: bytes) -> set[str]:
        """The places whose visits this gateway key may sign."""
        return {place.id for place in self.places if any(cose.kid_of(key) == kid for key in place.gateways)}


def sign_table(signer: Signer, table: Table) -> bytes:
    """The table, signed with the federation's key. Raises WireError when a value is out of range."""
    body: list[object] = [_TABLE, table.number, table.utc_s, [place.to_map() for place in table.places]]
    _table_of(body)
    return signer.sign(cbor.encode(body))


def read_table(data: bytes, key: bytes) -> Table:
    """The table, if this raw public key signed it. Raises WireError."""
    _, payload = cose.verify1(data, {cose.kid_of(key): key})
    return _table_of(checks.array(cbor.decode(payload), "table of places"))


def peek_table(data: bytes) -> Table:
    """The table as it claims to be, for whoever only hands it on: nothing is proved. Raises WireError."""
    _, payload = cose.peek1(data)
    return _table_of(checks.array(cbor.decode(payload), "table of places"))


def _table_of(members: list[object]) -> Table:
    if len(members) != 4 or members[0] != _TABLE:
        raise WireError("malformed", "a table of places is [34, number, utc_s, places]")
    number, utc_s = checks.uint(members[1], "number of a table"), checks.uint(members[2], "utc_s of a table")
    told = checks.array(members[3], "places")
    places = tuple(_place(checks.mapping(entry, "place")) for entry in told)
    _refuse_twice("id", [place.id for place in places])
    _refuse_twice("prefix", [place.prefix for place in places])
    return Table(number, utc_s, places)


def _place(told: Mapping[object, object]) -> Place:
    name = place_of(told.get("id"), "id of a place")
    prefix = checks.text(told.get("prefix"), f"prefix of {name}")
    if _PREFIX.fullmatch(prefix) is None:
        raise WireError("malformed", f"prefix of {name} is {checks.short(prefix)}: 1 to 8 of a-z and 0-9")
    return Place(
        name,
        checks.text(told.get("name"), f"name of {name}"),
        prefix,
        _keys(told.get("sign"), f"sign of {name}"),
        checks.binary(told.get("box"), f"box of {name}", KEY_BYTES),
        _keys(told.get("gateways"), f"gateways of {name}"),
        *(checks.text(told.get(key, ""), f"{key} of {name}") for key in ("login", "lists", "visits")),
    )


def _keys(value: object, what: str) -> tuple[bytes, ...]:
    return tuple(checks.binary(key, what, KEY_BYTES) for key in checks.array(value, what))


def _refuse_twice(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise WireError("malformed", f"two places with the {what} {value!r}")
        seen.add(value)


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)
