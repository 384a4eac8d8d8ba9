"""Visits, mappings, pseudonyms, the table of places and lists of cards (wire/BADGES.md)."""

import dataclasses
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire import cbor, cose
from balise_wire.card_list import CardList, Entry, open_list, peek_list, seal_list
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.items import Visit, VisitMapping, unpack_item
from balise_wire.places import Place, PlaceKeys, Table, number_token, read_table, sign_table, uid_card_token, uid_token
from balise_wire.visits import MappingRecord, VisitRecord, mapping_of, visit_of

A, B = "coroutine.example", "mappemonde.example"
KEYS = {A: PlaceKeys(bytes([1] * 32), bytes([2] * 32)), B: PlaceKeys(bytes([3] * 32), bytes([4] * 32))}
VISIT = VisitRecord(A, B, bytes(range(16)), 1_794_000_000, 1, 1, 7, "MEL", "card")
FEDERATION = Signer(bytes([9] * 32))


def place(name: str, prefix: str) -> Place:
    keys = KEYS[name]
    return Place(name, name.title(), prefix, (keys.signer.public_key,), keys.box_public, (bytes([7] * 32),), lists="u")


TABLE = Table(3, 1_794_000_000, (place(A, "cor"), place(B, "map")))


@given(
    st.integers(0, 2**40) | st.tuples(st.integers(0, 99), st.integers(0, 2**40)),
    st.integers(0, 10**6),
    st.integers(0, 2),
    st.integers(0, 2**60),
    st.sampled_from(["", "card", "qr", "desk"]),
)
def test_a_visit_comes_back_from_its_bytes(t: int | tuple[int, int], u: int, grade: int, tap: int, via: str) -> None:
    record = VisitRecord(A, B, bytes(16), t, u, grade, tap, "", via)  # type: ignore[arg-type]
    item = unpack_item(cbor.decode(cbor.encode(record.item().pack())))
    assert isinstance(item, Visit)
    assert visit_of(item.map) == record


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", "Coroutine.example"),
        ("home", "localhost"),
        ("who", bytes(15)),
        ("t", -1),
        ("t", [1]),
        ("u", True),
        ("grade", 3),
        ("tap", "1"),
        ("via", "door"),
        ("client", ""),
        ("client", "x" * 65),
        ("name", "Anne"),
    ],
)
def test_a_visit_with_a_wrong_value_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(WireError, match=key):
        visit_of({**VISIT.to_map(), key: value})


def test_a_visit_keeps_nothing_that_was_not_asked_for() -> None:
    told = VISIT.to_map()
    del told["tap"]
    with pytest.raises(WireError, match="without tap"):
        visit_of(told)


def test_a_mapping_comes_back_and_a_grade_needs_its_tap() -> None:
    record = MappingRecord(A, B, bytes(16), bytes([1] * 16), 7, 2)
    item = unpack_item(cbor.decode(cbor.encode(record.item().pack())))
    assert isinstance(item, VisitMapping)
    assert mapping_of(item.map) == record
    with pytest.raises(WireError, match="no tap"):
        dataclasses.replace(record, tap=None).to_map()


def test_both_places_derive_the_same_pair_key_and_nobody_else_does() -> None:
    home, host = KEYS[A].pair_key(A, B, KEYS[B].box_public), KEYS[B].pair_key(A, B, KEYS[A].box_public)
    assert home == host
    assert KEYS[A].pair_key(B, A, KEYS[B].box_public) != home
    assert PlaceKeys(bytes([5] * 32), bytes(32)).pair_key(A, B, KEYS[B].box_public) != home


def test_a_pseudonym_is_the_mac_that_the_format_says() -> None:
    key = KEYS[A]._who_key
    said = b"anne@coroutine.example\0mappemonde.example\x002026"
    assert KEYS[A].who("anne@coroutine.example", B, 2026) == hmac.digest(key, said, hashlib.sha256)[:16]
    assert len({KEYS[A].who("anne", host, year) for host in (A, B) for year in (2026, 2027)}) == 4


def test_a_card_has_another_token_in_each_pair() -> None:
    one, other = bytes(32), bytes([1] * 32)
    scan = KEYS[A].scan_key
    tokens = {number_token(one, "7K2M9QX4A8"), number_token(other, "7K2M9QX4A8")}
    tokens |= {uid_card_token(key, uid_token(scan, bytes(4))) for key in (one, other)}
    assert len(tokens) == 4
    assert {len(token) for token in tokens} == {8}


def test_the_table_comes_back_and_says_whose_visits_a_key_may_sign() -> None:
    signed = sign_table(FEDERATION, TABLE)
    table = read_table(signed, FEDERATION.public_key)
    assert table == TABLE
    assert table.by_prefix["map"].id == B
    assert table.hosts_of(cose.kid_of(bytes([7] * 32))) == {A, B}
    with pytest.raises(WireError, match="unknown key"):
        read_table(signed, KEYS[A].signer.public_key)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": B}, "two places"),
        ({"prefix": "map"}, "two places"),
        ({"prefix": "COR"}, "prefix"),
        ({"box": b""}, "box"),
    ],
)
def test_a_table_that_cannot_be_is_not_signed(change: dict[str, object], why: str) -> None:
    wrong = dataclasses.replace(TABLE.places[0], **change)  # type: ignore[arg-type]
    with pytest.raises(WireError, match=why):
        sign_table(FEDERATION, Table(1, 0, (wrong, TABLE.places[1])))


PAIR = KEYS[A].pair_key(A, B, KEYS[B].box_public)
CARDS = CardList(
    A, B, 2, 1, 1_794_000_000, KEYS[A].scan_key, (Entry(bytes(8), 2026, bytes(16), -3, "MEL"),), {bytes([1] * 8): 1}
)


def test_a_list_is_read_by_its_host_alone() -> None:
    keys = {KEYS[A].signer.kid: KEYS[A].signer.public_key}
    sealed = seal_list(KEYS[A].signer, PAIR, CARDS)
    assert open_list(sealed, keys, KEYS[B].pair_key(A, B, KEYS[A].box_public)) == CARDS
    assert peek_list(sealed) == (A, B, 2, 1, 1_794_000_000)
    assert b"MEL" not in sealed
    with pytest.raises(WireError, match="tag"):
        open_list(sealed, keys, bytes(32))
    with pytest.raises(WireError, match="unknown key"):
        open_list(sealed, {KEYS[B].signer.kid: KEYS[B].signer.public_key}, PAIR)


def test_a_list_under_another_name_does_not_open() -> None:
    members = cbor.decode(cose.peek1(seal_list(KEYS[A].signer, PAIR, CARDS))[1])
    assert isinstance(members, list)
    moved = KEYS[A].signer.sign(cbor.encode([*members[:3], 9, *members[4:]]))
    with pytest.raises(WireError, match="tag"):
        open_list(moved, {KEYS[A].signer.kid: KEYS[A].signer.public_key}, PAIR)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    keys = {FEDERATION.kid: FEDERATION.public_key}
    for read in (lambda: read_table(data, FEDERATION.public_key), lambda: open_list(data, keys, PAIR)):
        with pytest.raises(WireError):
            read()
