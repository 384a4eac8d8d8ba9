"""Every check of `quality/checks/` keeps its contract: found by name, pure, and never wrong about what is not there."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway import plugins
from balise_gateway.quality import FAIL, SUSPECT, checks
from balise_gateway.quality.checks import Column
from balise_gateway.quality.limits import Limits

KINDS = plugins.kinds(checks)
LIMITS = Limits(rate_per_min=10, rate_fail_per_min=50, spike=10, spike_fail=50, flat_ms=120_000, flat_fail_ms=360_000)
VALUES = st.lists(st.one_of(st.none(), st.integers(0, 20), st.integers(-1000, 1000)), max_size=40)
each = pytest.mark.parametrize("check", [plugins.load(checks, kind) for kind in KINDS], ids=KINDS)


def column(values: list[int | None], before: int = 0) -> Column:
    """Minute by minute; so many of the first values are the ones before."""
    times = [60_000 * (row + 1) for row in range(len(values))]
    known = [(at, value) for at, value in zip(times[:before], values[:before], strict=True) if value is not None]
    return Column(times[before:], values[before:], tuple(known), known[-1][0] if known else 0)


def test_there_are_checks() -> None:
    assert {"flat_line", "rate_of_change", "spike"} <= set(KINDS)


@each
@given(values=VALUES)
def test_rows_rise_are_present_and_doubted(check: ModuleType, values: list[int | None]) -> None:
    found = check.find(column(values), LIMITS)
    assert [row for row, _ in found] == sorted({row for row, _ in found})
    assert all(values[row] is not None and flag in (SUSPECT, FAIL) for row, flag in found)
    assert found == check.find(column(values), LIMITS)


@each
@given(values=VALUES)
def test_without_a_limit_nothing_is_found(check: ModuleType, values: list[int | None]) -> None:
    assert check.find(column(values), Limits()) == []


@each
@given(values=st.lists(st.integers(-200, 200), min_size=3, max_size=30), cut=st.integers(1, 28))
def test_rows_in_two_parts_are_judged_as_in_one(check: ModuleType, values: list[int], cut: int) -> None:
    """What came before is handed in as two values, of which the last one may be judged late."""
    cut = min(cut, len(values) - 1)
    whole = dict(check.find(column(list(values)), LIMITS))
    first = dict(check.find(column(list(values[:cut])), LIMITS))
    since = cut - 1
    while since and values[since - 1] == values[cut - 1]:
        since -= 1
    before = tuple((60_000 * (row + 1), values[row]) for row in range(max(0, cut - 2), cut))
    times = [60_000 * (row + 1) for row in range(cut, len(values))]
    rest = check.find(Column(times, values[cut:], before, 60_000 * (since + 1)), LIMITS)
    assert {**first, **{row + cut: flag for row, flag in rest}} == whole


@each
def test_the_qartod_test_is_named(check: ModuleType) -> None:
    assert check.QARTOD in range(1, 14)
    assert check.__doc__ is not None
    assert f"(QARTOD test {check.QARTOD})" in check.__doc__
