"""Deterministic CBOR: one encoding per value, the same as cbor2's, and every other refused."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire import cbor, cbor_walk
from balise_wire.errors import WireError

keys = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5)
plain = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text(max_size=30) | st.binary(max_size=300)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=30) | st.dictionaries(keys, inner, max_size=6), max_leaves=12
)


@given(values)
def test_the_same_bytes_as_cbor2_and_back(value: object) -> None:
    data = cbor.encode(value)
    assert cbor.decode(data) == value
    assert cbor2.dumps(value, canonical=True) == data or "keys sorted otherwise" in sorts(value)
    assert cbor2.loads(data) == value


def sorts(value: object) -> str:
    """Do the two orders of keys differ here: RFC 7049's, which cbor2 writes (shorter first), and RFC 8949's, ours?"""
    if isinstance(value, dict):
        encoded = [cbor.encode(key) for key in value]
        own = "keys sorted otherwise" if sorted(encoded) != sorted(encoded, key=lambda key: (len(key), key)) else ""
        return own + "".join(sorts(inner) for inner in value.values())
    return "".join(sorts(inner) for inner in value) if isinstance(value, list) else ""


@given(values, st.integers(0, 2**40))
def test_tags_and_raw_items_survive(value: object, number: int) -> None:
    tagged = cbor.Tag(number, [value, cbor.Raw(b"\xf9\x3e\x00")])
    assert cbor.decode(cbor.encode(tagged)) == tagged
    assert len({tagged, cbor.Tag(number, 1), cbor.Raw(b"\xf7")}) == 3
    assert "Tag(" in repr(tagged)
    assert "Raw(" in repr(tagged)


@given(st.lists(values, max_size=5))
def test_walking_a_sequence_finds_where_items_end(sequence: list[object]) -> None:
    pieces = [cbor.encode(value) for value in sequence]
    data, at = b"".join(pieces), 0
    for piece, value in zip(pieces, sequence, strict=True):
        end = at + len(piece)
        assert cbor_walk.end_of(data, at) == end
        assert cbor.decode_at(data, at) == (value, end)
        at = end


def test_an_item_that_is_refused_is_stepped_over() -> None:
    assert cbor_walk.end_of(b"\x18\x01\x02", 0) == 2
    with pytest.raises(WireError, match="more than bytes left"):
        cbor_walk.end_of(b"\x81", 0)


@pytest.mark.parametrize("value", [1.5, object(), {1.5: 1}, {True: 1}, {(1, 2): 1}, {None: 1}])
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="malformed"):
        cbor.encode(value)


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, "deep"])
def test_what_is_too_large_is_refused(value: object) -> None:
    if value == "deep":
        for _ in range(10000):
            value = [value]
    with pytest.raises(WireError, match="too large"):
        cbor.encode(value)


@pytest.mark.parametrize("first", ["9a", "ba", "5a", "7a"])
def test_a_promised_length_makes_no_room(first: str) -> None:
    with pytest.raises(WireError, match="malformed"):
        cbor.decode(bytes.fromhex(first + "7fffffff") + bytes(100))


def test_many_nested_arrays_end_in_an_error() -> None:
    for data in (b"\x81" * 100_000, b"\xc1" * 100_000):
        with pytest.raises(WireError, match="too large"):
            cbor.decode(data)
        with pytest.raises(WireError, match="malformed"):
            cbor_walk.end_of(data, 0)
