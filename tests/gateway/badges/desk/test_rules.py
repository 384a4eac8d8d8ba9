"""What is said of a card: no green for a stranger, no door closed for want of credit, in and out as they are billed."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.desk import rules
from balise_gateway.badges.desk.finding import Bearer
from balise_gateway.badges.desk.rules import Scene
from balise_gateway.badges.showing import Reason, Showing

NOW_S, DAY_S = 1_794_000_000, 86_400
MEMBER = Bearer("coroutine.example", bytes(16), 5, NOW_S - DAY_S, "", NOW_S - DAY_S)


@pytest.mark.parametrize("reason", [r for r in get_args(Reason) if r])
def test_a_card_that_is_not_known_is_never_green(reason: Reason) -> None:
    assert rules.verdict(reason, 0, Scene(NOW_S)).state == "unknown"


def test_a_member_with_credit_is_accepted_and_told_what_is_left_and_since_when() -> None:
    shown = rules.verdict(MEMBER, 1, Scene(NOW_S))
    assert shown == Showing("accepted", "", "in", 5, NOW_S - DAY_S, 1, 1, until_s=5.0)


@pytest.mark.parametrize("credit", [0, -1, -40])
def test_without_credit_the_visit_counts_all_the_same(credit: int) -> None:
    bearer = Bearer("coroutine.example", bytes(16), credit, NOW_S)
    assert rules.verdict(bearer, 0, Scene(NOW_S)).state == "no_credit"
    assert rules.verdict(bearer, 0, Scene(NOW_S)).direction == "in"


def test_credit_that_nobody_knows_is_no_reason_to_warn() -> None:
    assert rules.verdict(Bearer("coroutine.example", bytes(16)), 0, Scene(NOW_S)).state == "accepted"


@pytest.mark.parametrize(
    ("bearer", "utc_s", "reason"),
    [
        (Bearer("a.example", bytes(16), list_utc_s=NOW_S - 8 * DAY_S), NOW_S, "stale list"),
        (Bearer("a.example", bytes(16), list_utc_s=NOW_S - 7 * DAY_S - 1), NOW_S, "stale list"),
        (Bearer("a.example", bytes(16), list_utc_s=NOW_S - 7 * DAY_S), NOW_S, ""),
        (Bearer("a.example", bytes(16), token=bytes(8)), NOW_S, "no list"),
        (Bearer("a.example", bytes(16), list_utc_s=NOW_S), None, "no clock"),
    ],
)
def test_the_desk_is_told_where_something_is_not_known(bearer: Bearer, utc_s: int | None, reason: str) -> None:
    shown = rules.verdict(bearer, 0, Scene(utc_s))
    assert (shown.reason, shown.state) == (reason, "desk" if reason else "accepted")


def test_what_the_disk_does_not_take_is_not_green() -> None:
    shown = rules.not_kept(rules.verdict(MEMBER, 1, Scene(NOW_S)))
    assert (shown.state, shown.reason, shown.direction) == ("desk", "not kept", "")


@pytest.mark.parametrize(
    ("earlier", "direction"),
    [((), "in"), ((3600,), "out"), ((7200, 3600), "in"), ((119,), "in"), ((120,), "out"), ((150, 60), "out")],
)
def test_the_second_tap_leaves_and_a_double_tap_is_one(earlier: tuple[int, ...], direction: str) -> None:
    """Seconds before now, oldest first. 150 and 60 before: the second of them was the first again."""
    assert rules.direction(Scene(NOW_S, [NOW_S - ago for ago in earlier])) == direction


@given(st.none() | st.integers(-9, 9), st.booleans(), st.none() | st.integers(0, 90), st.integers(0, 2))
def test_green_means_that_all_is_known(credit: int | None, provisional: bool, age_d: int | None, grade: int) -> None:
    list_utc_s = None if age_d is None else NOW_S - age_d * DAY_S
    token = bytes(8) if provisional else None
    bearer = Bearer("a.example", bytes(16), credit, NOW_S, "", list_utc_s, token)
    shown = rules.verdict(bearer, grade, Scene(NOW_S))
    if shown.state == "accepted":
        assert not provisional
        assert age_d is None or age_d <= 7
        assert credit is None or credit > 0
