"""Rice bits: round trips, the fewest bits, and hostile bits."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from balise_wire import rice
from balise_wire.errors import WireError

int32 = st.integers(-(2**31), 2**31 - 1)
small = st.integers(-60, 60)
columns = st.lists(st.none() | small, min_size=1, max_size=80) | st.lists(st.none() | int32, min_size=1, max_size=40)


@given(columns)
@example([2**31 - 1, -(2**31)])
def test_columns_come_back(values: list[int | None]) -> None:
    data = rice.encode(values)
    if data is not None:
        assert rice.decode(data, len(values)) == values


@given(st.lists(small | st.integers(-(2**31), 2**31 - 1), max_size=60))
def test_gap_residuals_come_back(values: list[int]) -> None:
    data = rice.encode_residuals(values)
    assert data is not None
    assert rice.decode_residuals(data, len(values)) == values


@given(st.lists(small | st.integers(-40000, 40000), min_size=2, max_size=40))
def test_no_other_choice_is_shorter(values: list[int]) -> None:
    """Every k and both predictors, written out naively."""
    data = rice.encode(list(values))
    first = values[0]
    steps = [b - a for a, b in pairwise(values)]
    best = min(cost(us, k) for us in (steps, [value - first for value in values[1:]]) for k in range(16))
    head = 1 + 6 + max((2 * abs(first) - (first < 0)).bit_length() - 1, 0) + 1 + 4
    assert data is not None
    assert len(data) == (head + best + 7) // 8


def cost(values: list[int], k: int) -> int:
    quotients = [(2 * value if value >= 0 else -2 * value - 1) >> k for value in values]
    return sum(q + 1 + k if q < 20 else 52 for q in quotients)


def test_a_step_of_more_than_32_bits_has_no_rice_form() -> None:
    assert rice.encode([2**31 - 1, -(2**31), 2**31 - 1]) is None
    assert rice.encode_residuals([2**31]) is None


@pytest.mark.parametrize("values", [[2**31], [-(2**31) - 1], [0, None, 2**40]])
def test_values_outside_of_32_bits_are_refused(values: list[int | None]) -> None:
    with pytest.raises(WireError, match="32 bits"):
        rice.encode(values)


@given(st.binary(max_size=60), st.integers(-5, 10**12))
def test_any_bits_decode_or_are_refused(data: bytes, n: int) -> None:
    for decode in (rice.decode, rice.decode_residuals):
        with contextlib.suppress(WireError):
            assert len(decode(data, n)) == n <= 8 * len(data)


@given(columns, st.data())
def test_flipped_bits_decode_or_are_refused(values: list[int | None], draw: st.DataObject) -> None:
    data = bytearray(rice.encode(values) or b"\x00")
    data[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with contextlib.suppress(WireError):
        decoded = rice.decode(bytes(data), len(values))
        assert all(value is None or -(2**31) <= value < 2**31 for value in decoded)


def test_many_bits_are_read_once() -> None:
    """300,000 rows in 37 KB: memory in proportion to the bits, and no quadratic work (this would take minutes)."""
    data = rice.encode([0] * 300_000)
    assert data is not None
    assert rice.decode(data, 300_000) == [0] * 300_000
    for hostile in (b"\xff" * 100_000, bytes(100_000)):
        with pytest.raises(WireError):
            rice.decode(hostile, 300_000)
