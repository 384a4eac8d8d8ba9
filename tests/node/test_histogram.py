"""Histograms of levels: merging two is having counted all in one, and percentiles are those of sorted lists."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_node.sound.histogram import CLASSES, LOWEST, STEP, Histogram
from balise_node.sound.levels import mean_level

LEVELS = st.lists(st.integers(LOWEST, LOWEST + STEP * CLASSES - 1), max_size=60)


def counted(levels: list[int]) -> Histogram:
    """Each level with the energy of one span."""
    made = Histogram()
    for level in levels:
        made.add(level)
        made.energy += round(10 ** (level / 1000 + 3))
        made.spans += 1
    return made


def content(histogram: Histogram) -> tuple[object, ...]:
    return list(histogram.counts), histogram.total, histogram.energy, histogram.spans


@given(LEVELS, LEVELS)
def test_merging_is_counting_all_in_one(a: list[int], b: list[int]) -> None:
    merged = counted(a)
    merged.merge(counted(b))
    assert content(merged) == content(counted(a + b))


@given(LEVELS, LEVELS, LEVELS)
def test_the_order_of_merging_does_not_matter(a: list[int], b: list[int], c: list[int]) -> None:
    left, right = counted(a), counted(c)
    left.merge(counted(b))
    left.merge(counted(c))
    right.merge(counted(b))
    right.merge(counted(a))
    assert content(left) == content(right)


@given(LEVELS.filter(bool), LEVELS.filter(bool))
def test_the_mean_of_a_merger_is_one_of_energy_weighted_by_duration(a: list[int], b: list[int]) -> None:
    merged = counted(a)
    merged.merge(counted(b))
    exact = 1000 * math.log10(sum(10 ** (level / 1000) for level in a + b) / len(a + b))
    assert mean_level(merged.energy, merged.spans, -3000) == pytest.approx(exact, abs=2)


@given(LEVELS.filter(bool), st.sampled_from((1, 10, 50, 90, 99)))
def test_percentiles_are_those_of_the_sorted_levels_to_a_class(levels: list[int], percent: int) -> None:
    """L10 is exceeded in 10 % of the time: so many levels lie in its class or above, and no more above its class."""
    found = counted(levels).exceeded(percent)
    wanted = len(levels) * percent / 100
    first = (found - LOWEST - 1) // STEP * STEP + LOWEST  # of the class; its upper edge belongs to it here
    assert sum(level >= first for level in levels) >= wanted - 1e-9
    assert sum(level >= first + STEP for level in levels) <= wanted + 1e-9


@given(LEVELS.filter(bool))
def test_percentiles_fall_as_the_time_grows(levels: list[int]) -> None:
    histogram = counted(levels)
    found = [histogram.exceeded(percent) for percent in range(1, 100)]
    assert found == sorted(found, reverse=True)


def test_what_lies_beyond_counts_at_the_ends() -> None:
    histogram = counted([])
    histogram.add(-500)
    histogram.add(20_000)
    assert (histogram.counts[0], histogram.counts[CLASSES - 1]) == (1, 1)
    histogram.clear()
    assert content(histogram) == content(Histogram())
