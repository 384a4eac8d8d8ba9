"""The 32-bit words that machine code is tested with are those of a board."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.wrap32 import Word, cut


def test_words_are_a_boards() -> None:
    """The first is what an RP2040 gives; here a viper int would give 4900000000."""
    assert Word(70_000) * 70_000 == 605_032_704
    assert Word(2**31 - 1) + 1 == -(2**31)
    assert 1 - Word(-(2**31)) == -(2**31) + 1
    assert -Word(-(2**31)) == -(2**31)
    assert Word(1) << 31 == -(2**31)
    assert Word(-8) >> 1 == -4
    assert isinstance(3 + Word(4) * 2 - 1, Word)
    with pytest.raises(AssertionError, match="32 places"):
        Word(1) << 32


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_words_agree_with_bytes(a: int, b: int) -> None:
    """Another way to cut: through four bytes."""
    for exact, word in ((a + b, Word(a) + b), (a - b, Word(a) - b), (a * b, Word(a) * b), (a ^ b, Word(a) ^ b)):
        assert word == int.from_bytes((exact % 2**32).to_bytes(4, "little"), "little", signed=True) == cut(exact)
    assert (Word(a) & b, Word(a) | b) == (a & b, a | b)
