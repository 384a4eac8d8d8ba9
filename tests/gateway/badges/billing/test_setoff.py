"""Set-off and payments: the optimum, proved by other means, and the same list everywhere."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_gateway.badges.billing.setoff import Debts, balances, bilateral, set_off
from balise_gateway.badges.billing.transfers import MAX_EXACT, fewest


def debts_among(count: int, most: int, edges: int | None = None) -> st.SearchStrategy[Debts]:
    names = [f"p{number:02}.example" for number in range(count)]
    pairs = [(a, b) for a in names for b in names if a != b]
    return st.dictionaries(st.sampled_from(pairs), st.integers(1, most), max_size=edges or len(pairs))


def open_balances(debts: Debts) -> dict[str, int]:
    return {place: cents for place, cents in balances(debts).items() if cents}


def brute_force(debts: Debts) -> Debts:
    """All that could remain, tried one by one: the least in sum, then the least payment by payment."""
    edges, wanted = sorted(debts), open_balances(debts)
    kept = (
        left
        for left in itertools.product(*(range(debts[edge] + 1) for edge in edges))
        if open_balances(dict(zip(edges, left, strict=True))) == wanted
    )
    best = min(kept, key=lambda left: (sum(left), left))
    return {edge: cents for edge, cents in zip(edges, best, strict=True) if cents}


@settings(deadline=None)
@given(debts_among(3, 3) | debts_among(4, 1) | debts_among(4, 2, 8) | debts_among(5, 1, 12))
def test_set_off_clears_the_most_and_breaks_ties_as_it_is_written(debts: Debts) -> None:
    assert set_off(debts) == brute_force(debts)


def test_of_two_circles_through_one_debt_the_one_is_cleared_that_makes_the_first_payment_smallest() -> None:
    a, b, c, d = (f"{letter}.example" for letter in "abcd")
    debts = {(a, b): 5, (b, d): 5, (a, c): 5, (c, d): 5, (d, a): 7}
    assert set_off(debts) == {(a, c): 3, (c, d): 3} == brute_force(debts)


def improvable(debts: Debts, left: Debts) -> bool:
    """Whether anything could be rerouted over fewer edges: a circle below zero (Floyd and Warshall)."""
    names = sorted({place for pair in debts for place in pair})
    far = 10**6
    cost = {(a, b): far for a in names for b in names}
    for (a, b), cents in debts.items():
        if left.get((a, b), 0) < cents:
            cost[a, b] = min(cost[a, b], 1)
        if left.get((a, b), 0) > 0:
            cost[b, a] = -1
    for middle, a, b in itertools.product(names, repeat=3):
        cost[a, b] = min(cost[a, b], cost[a, middle] + cost[middle, b])
    return any(cost[name, name] < 0 for name in names)


@pytest.mark.parametrize("count", [6, 12, 16, 30])
def test_among_many_places_nothing_more_could_be_cleared(count: int) -> None:
    chance = random.Random(count)
    names = [f"p{number:02}.example" for number in range(count)]
    debts = {(a, b): chance.randrange(1, 40) * 100 for a in names for b in names if a != b and chance.random() < 0.4}
    left = set_off(debts)
    assert sum(left.values()) < sum(bilateral(debts).values())
    assert not improvable(debts, left)
    assert improvable(debts, debts)


@settings(deadline=None)
@given(debts_among(9, 5000))
def test_every_balance_is_the_same_in_all_four_and_nothing_is_created(debts: Debts) -> None:
    wanted, left, pairs = open_balances(debts), set_off(debts), bilateral(debts)
    paid = fewest(balances(debts)).cents
    for found in (left, pairs, paid):
        assert open_balances(found) == wanted
        assert all(type(cents) is int and cents > 0 for cents in found.values())
    assert all(cents <= debts.get(pair, 0) for pair, cents in left.items()), "a new debtor"
    assert all(cents <= debts.get(pair, 0) for pair, cents in pairs.items())
    assert sum(left.values()) <= sum(pairs.values()) <= sum(debts.values())


@settings(deadline=None)
@given(debts_among(7, 50), st.randoms(use_true_random=False))
def test_the_order_in_which_debts_come_changes_nothing(debts: Debts, chance: random.Random) -> None:
    shuffled = list(debts.items())
    chance.shuffle(shuffled)
    assert set_off(dict(shuffled)) == set_off(debts)
    assert fewest(balances(dict(shuffled))) == fewest(balances(debts))


def test_a_circle_is_cleared_and_a_chain_stays() -> None:
    a, b, c = "a.example", "b.example", "c.example"
    assert set_off({(a, b): 10, (b, c): 10, (c, a): 10}) == {}
    assert set_off({(a, b): 10, (b, c): 10}) == {(a, b): 10, (b, c): 10}
    assert fewest(balances({(a, b): 10, (b, c): 10})).cents == {(a, c): 10}
    assert set_off({}) == {}
    assert fewest({}).cents == {}


def test_what_is_cleared_over_all_existing_debts_may_be_more_than_after_pairs_alone() -> None:
    a, b, c = "a.example", "b.example", "c.example"
    debts = {(a, b): 10, (b, a): 10, (b, c): 5, (c, a): 5}
    assert bilateral(debts) == {(b, c): 5, (c, a): 5}
    assert set_off(debts) == {(b, a): 5}


def partitions(places: list[tuple[str, int]]) -> "itertools.chain[list[list[tuple[str, int]]]]":
    if not places:
        return itertools.chain([[]])
    first, rest = places[0], places[1:]
    found = []
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            left = [place for place in rest if place not in others]
            found += [[[first, *others], *more] for more in partitions(left)]
    return itertools.chain(found)


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=6))
def test_no_smaller_number_of_payments_is_possible(cents: list[int]) -> None:
    owed = {f"p{number}.example": amount for number, amount in enumerate([*cents, -sum(cents)])}
    open_ = [(place, amount) for place, amount in owed.items() if amount]
    most = max(
        sum(not sum(amount for _, amount in group) for group in cut)
        for cut in partitions(open_)
        if all(not sum(amount for _, amount in group) for group in cut)
    )
    payments = fewest(owed)
    assert payments.optimal
    assert len(payments.cents) == len(open_) - most


def test_above_sixteen_places_the_payments_are_few_and_said_to_be_maybe_not_the_fewest() -> None:
    owed = {f"p{number:02}.example": number + 1 for number in range(MAX_EXACT)}
    assert fewest(owed | {"q.example": -sum(owed.values())}).optimal is False
    owed.popitem()
    payments = fewest(owed | {"q.example": -sum(owed.values())})
    assert payments.optimal
    assert len(payments.cents) == 15


def test_of_several_cuts_into_groups_the_one_that_is_written_down_is_taken() -> None:
    owed = {"a.example": 5, "b.example": 5, "c.example": -5, "d.example": -5}
    assert fewest(owed).cents == {("c.example", "a.example"): 5, ("d.example", "b.example"): 5}
    owed = {"a.example": 2, "b.example": -1, "c.example": -1, "d.example": -2, "e.example": 2}
    assert ("d.example", "a.example") in fewest(owed).cents, "two places before three"


def test_the_first_places_group_is_not_the_smallest_where_that_would_cost_a_payment() -> None:
    cents = {"a": 10, "b": -4, "c": -6, "d": -1, "e": -2, "f": -7, "x": 4, "y": 6}
    assert fewest(cents).cents == {
        ("b", "x"): 4,
        ("c", "y"): 6,
        ("d", "a"): 1,
        ("e", "a"): 2,
        ("f", "a"): 7,
    }
