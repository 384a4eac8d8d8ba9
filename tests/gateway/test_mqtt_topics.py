"""Topic names and filters by the examples of OASIS MQTT 3.1.1 section 4.7, and against a second way of matching."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.mqtt.topics import MAX_BYTES, matches, valid_filter, valid_name

# Section 4.7.1.2, 4.7.1.3 and 4.7.2 (non normative comments).
MATCH = [
    ("sport/tennis/player1/#", "sport/tennis/player1"),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
    ("sport/#", "sport"),
    ("#", "anything/at/all"),
    ("sport/tennis/+", "sport/tennis/player1"),
    ("sport/+", "sport/"),
    ("+/+", "/finance"),
    ("/+", "/finance"),
    ("$SYS/#", "$SYS/monitor"),
    ("balise/v1/n/+/down", "balise/v1/n/33fa3775/down"),
]
NO_MATCH = [
    ("sport/tennis/+", "sport/tennis/player1/ranking"),
    ("sport/+", "sport"),
    ("+", "/finance"),
    ("#", "$SYS/monitor"),
    ("+/monitor", "$SYS/monitor"),
    ("sport", "sport/"),
    ("a/b", "a"),
]


@pytest.mark.parametrize(("text", "name"), MATCH)
def test_takes(text: str, name: str) -> None:
    assert valid_filter(text)
    assert matches(text, name)


@pytest.mark.parametrize(("text", "name"), NO_MATCH)
def test_does_not_take(text: str, name: str) -> None:
    assert not matches(text, name)


@pytest.mark.parametrize("text", ["", "sport/tennis#", "sport/tennis/#/x", "sport+", "a\0b", "x" * (MAX_BYTES + 1)])
def test_filters_that_are_not_valid(text: str) -> None:
    assert not valid_filter(text)


@pytest.mark.parametrize("name", ["", "a/+", "a/#", "a\0", "é" * MAX_BYTES])
def test_names_that_are_not_valid(name: str) -> None:
    assert not valid_name(name)


LEVELS = st.sampled_from(["a", "b", "", "ab"])
NAMES = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(LEVELS | st.just("+"), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)


@given(FILTERS, NAMES)
def test_as_a_regular_expression_would(text: str, name: str) -> None:
    levels = text.split("/")
    parts = ["[^/]*" if level == "+" else re.escape(level) for level in levels if level != "#"]
    pattern = "/".join(parts) + ("(/.*)?" if levels[-1] == "#" else "")
    assert matches(text, name) == bool(re.fullmatch(pattern, name))
