"""Lines, texts and sightings: what readers of codes share."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.readers._codes import MOST_CHARS, Lines, Sightings, checked, text_of
from gateway.badges.readers.code_benches import Clock


def lines_of(*pieces: bytes) -> tuple[list[bytes], Counter[str]]:
    counters: Counter[str] = Counter()
    lines = Lines(counters)
    return [line for piece in pieces for line in lines.feed(piece)], counters


def test_a_line_ends_with_cr_or_lf_or_both() -> None:
    assert lines_of(b"one\rtwo\nthree\r\nfour\n\rfive") == ([b"one", b"two", b"three", b"four"], Counter())


def test_a_line_may_come_in_pieces() -> None:
    assert lines_of(b"https://", b"b.example", b"/t\r", b"\n")[0] == [b"https://b.example/t"]


def test_a_line_that_is_too_long_is_dropped_whole_and_the_next_one_is_read() -> None:
    got, counters = lines_of(b"A" * 700, b"B" * 700, b"C\nfine\n")
    assert got == [b"fine"]
    assert counters == {"too long": 1}


def test_the_rest_of_a_line_that_never_came_does_not_begin_the_next() -> None:
    counters: Counter[str] = Counter()
    lines = Lines(counters)
    assert list(lines.feed(b"https://half")) == []
    assert lines.begun
    lines.expire()
    assert not lines.begun
    assert list(lines.feed(b"https://whole\n")) == [b"https://whole"]
    assert counters == {"cut off": 1}


@given(st.lists(st.binary(max_size=2000)), st.booleans())
def test_whatever_comes_memory_is_bounded_and_cuts_do_not_matter(pieces: list[bytes], expires: bool) -> None:
    lines = Lines(Counter())
    got = []
    for piece in pieces:
        got += list(lines.feed(piece))
        assert len(lines._begun) <= MOST_CHARS
    assert got == lines_of(b"".join(pieces))[0]
    assert all(0 < len(line) <= MOST_CHARS and not set(line) & {10, 13} for line in got)


@given(st.binary(max_size=100))
def test_a_text_has_no_control_characters(data: bytes) -> None:
    text = text_of(data)
    assert text is None or (text.isprintable() and text == text.strip(" "))


def test_what_is_no_text_is_none() -> None:
    for wrong in (b"", b"  ", b"\xff\xfe", b"a\x00b", b"a\tb", b"\xed\xa0\x80"):
        assert text_of(wrong) is None
    assert text_of(" é \u20ac ".encode()) == "é €"
    assert checked("A" * (MOST_CHARS + 1)) is None


def test_a_code_is_new_again_after_it_was_away() -> None:
    clock, counters = Clock(), Counter[str]()
    sightings = Sightings(3.0, clock, counters)
    assert sightings.is_new("a")
    for _ in range(10):  # held for twenty seconds
        clock.now_s += 2.0
        assert not sightings.is_new("a")
    assert sightings.is_new("b")
    clock.now_s += 3.0
    assert sightings.is_new("a")
    assert counters == {"repeated": 10}


def test_sightings_forget() -> None:
    clock = Clock()
    sightings = Sightings(3.0, clock, Counter())
    for number in range(100):
        sightings.is_new(str(number))
        clock.now_s += 1.0
    assert len(sightings._last_s) <= 4
