"""The replay window against a plain set of counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire.errors import WireError
from balise_wire.window import WINDOW, Window


@given(st.lists(st.integers(1, 150), max_size=200))
def test_a_window_is_a_set(counts: list[int]) -> None:
    window, held = Window(), set[int]()
    for count in counts:
        missing = next(i for i in range(1, 1000) if i not in held)
        if count in held or count >= missing + WINDOW:
            with pytest.raises(WireError, match="replay" if count in held else "window"):
                window.add(count)
        else:
            window.add(count)
            held.add(count)
        assert all(window.holds(i) == (i in held) for i in range(1, 300))
        assert window == Window(window.contiguous, window.bitmap)
        assert 0 <= window.bitmap < 1 << WINDOW
        assert not window.bitmap & 1


@given(st.sets(st.integers(1, 64)), st.integers(0, 200))
def test_what_the_sender_gave_up_is_skipped(counts: set[int], last: int) -> None:
    window = Window()
    for count in sorted(counts):
        window.add(count)
    window.skip(last)
    settled = counts | set(range(1, last + 1))
    assert all(window.holds(i) == (i in settled) for i in range(1, 300))


def test_a_count_beyond_the_window_after_a_skip() -> None:
    window = Window(3)
    assert window.reaches(67)
    assert not window.reaches(68)
    window.skip(68 - WINDOW)
    window.add(68)
    assert repr(window) == "Window(4, 0x8000000000000000)"
    assert window != Window(4)
