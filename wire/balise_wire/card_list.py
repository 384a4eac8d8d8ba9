"""What a home tells one host of its cards: tokens, pseudonyms, what was revoked (BADGES.md section 8); CPython only.

Promises that a list which was opened is this home's, for this host, with this number, and that nobody else can read
it. Leaves the order of lists and their age to whoever keeps them, and keys to `places.py`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from balise_wire import cbor, cbor_walk, checks, cose
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.places import KEY_BYTES, TOKEN_BYTES, derive
from balise_wire.visits import MAX_CLIENT_CHARS, WHO_BYTES, place_of

LOST, ENDED, REPLACED = 1, 2, 3
REASONS = {LOST: "lost", ENDED: "ended", REPLACED: "replaced"}
_LIST = 35
_TAG_ENCRYPT0 = 16  # RFC 9052 section 5.2
_A256GCM, _ALG, _IV = 3, 1, 5  # RFC 9053 section 4.1, RFC 9052 section 3.1
_IV_BYTES = 12
_MAX_CREDIT = 1 << 31
MAX_PARTS = 150_000  # inside of one message, six for each card; a large list comes in several
_MOST_PARTS_OUTSIDE, _LARGE_BYTES = 100, 1 << 16


@dataclass(frozen=True)
class Entry:
    """One card in one year: who its bearer is at the host, what was left in half-days, what the home finds it by."""

    token: bytes
    year: int
    who: bytes
    credit: int | None = None
    client: str | None = None


@dataclass(frozen=True)
class CardList:
    """`number` only rises. With `base` 0 it is whole, else what has changed since the list of that number."""

    home: str
    host: str
    number: int
    base: int
    utc_s: int
    scan_key: bytes
    entries: tuple[Entry, ...]
    revoked: Mapping[bytes, int]

    @property
    def name(self) -> list[object]:
        """What is signed and not hidden."""
        return [self.home, self.host, self.number, self.base, self.utc_s]


def seal_list(signer: Signer, pair_key: bytes, cards: CardList) -> bytes:
    """The list, sealed for its host and signed by its home. Raises WireError."""
    entries = [[e.token, e.year, e.who, e.credit, e.client] for e in cards.entries]
    hidden = cbor.encode([cards.scan_key, entries, [[token, why] for token, why in sorted(cards.revoked.items())]])
    _hidden(hidden)
    iv, protected = os.urandom(_IV_BYTES), cbor.encode({_ALG: _A256GCM})
    sealed = AESGCM(derive(pair_key, b"balise list")).encrypt(iv, hidden, _bound(protected, cards.name))
    return signer.sign(cbor.encode([_LIST, *cards.name, cbor.Tag(_TAG_ENCRYPT0, [protected, {_IV: iv}, sealed])]))


def peek_list(data: bytes) -> tuple[str, str, int, int, int]:
    """(home, host, number, base, utc_s) as it claims; nothing is proved. Raises WireError."""
    _, payload = cose.peek1(data)
    return _name(_members(payload))


def open_list(data: bytes, keys: Mapping[bytes, bytes], pair_key: bytes) -> CardList:
    """The list, if one of `keys` (its home's, by key id) signed it and it is for the host of this pair."""
    _, payload = cose.verify1(data, keys)
    members = _members(payload)
    name, tag = _name(members), members[6]
    if not isinstance(tag, cbor.Tag) or tag.number != _TAG_ENCRYPT0:
        raise WireError("malformed", "a list that holds no COSE_Encrypt0 (tag 16)")
    protected, unprotected, sealed = checks.array(tag.value, "COSE_Encrypt0", 3)
    protected = checks.binary(protected, "protected header")
    if protected != cbor.encode({_ALG: _A256GCM}):
        raise WireError("algorithm", "a list that is not sealed with A256GCM")
    iv = checks.binary(checks.mapping(unprotected, "unprotected header").get(_IV), "IV", _IV_BYTES)
    try:
        hidden = AESGCM(derive(pair_key, b"balise list")).decrypt(
            iv, checks.binary(sealed, "list"), _bound(protected, list(name))
        )
    except InvalidTag as error:
        raise WireError(
            "tag", f"the list of {name[0]} for {name[1]} does not open with the key of this pair"
        ) from error
    return CardList(*name, *_hidden(hidden))


def _bound(protected: bytes, name: list[object]) -> bytes:
    """RFC 9052 section 5.3."""
    return cbor.encode(["Encrypt0", protected, cbor.encode(name)])


def _members(payload: bytes) -> list[object]:
    cbor_walk.end_of(payload, 0, _MOST_PARTS_OUTSIDE)  # before anything is proved: not a million things are made of it
    members = checks.array(cbor.decode(payload), "list")
    if len(members) != 7 or members[0] != _LIST:
        raise WireError("malformed", "a list is [35, home, host, number, base, utc_s, sealed]")
    return members


def _name(members: list[object]) -> tuple[str, str, int, int, int]:
    number, base, utc_s = (checks.uint(value, "number of a list") for value in members[3:6])
    if base >= number:
        raise WireError("malformed", f"list {number} says that it follows list {base}")
    return place_of(members[1], "home"), place_of(members[2], "host"), number, base, utc_s


def _hidden(data: bytes) -> tuple[bytes, tuple[Entry, ...], dict[bytes, int]]:
    if len(data) > _LARGE_BYTES:
        cbor_walk.end_of(data, 0, MAX_PARTS)
    scan_key, entries, revoked = checks.array(cbor.decode(data), "inside of a list", 3)
    gone: dict[bytes, int] = {}
    for pair in checks.array(revoked, "revoked cards"):
        token, why = checks.array(pair, "revoked card", 2)
        gone[checks.binary(token, "token", TOKEN_BYTES)] = checks.uint(why, "reason")
    told = tuple(_entry(checks.array(entry, "card", 5)) for entry in checks.array(entries, "cards"))
    return checks.binary(scan_key, "scan key", KEY_BYTES), told, gone


def _entry(members: list[object]) -> Entry:
    token, year, who, credit, client = members
    if credit is not None and not checks.int32(credit, "credit") > -_MAX_CREDIT:
        raise WireError("malformed", "a credit out of range")
    if client is not None and len(checks.text(client, "client")) > MAX_CLIENT_CHARS:
        raise WireError("malformed", f"a client of more than {MAX_CLIENT_CHARS} characters")
    return Entry(
        checks.binary(token, "token", TOKEN_BYTES),
        checks.uint(year, "year", 9999),
        checks.binary(who, "who", WHO_BYTES),
        credit if isinstance(credit, int) else None,
        client if isinstance(client, str) else None,
    )
