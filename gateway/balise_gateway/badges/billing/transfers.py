"""The fewest payments that bring all balances to nothing, whoever owed whom before.

n places with a balance need n payments less one for each group of places that come to nothing among themselves: so the
largest number of such groups is looked for (exact up to 16 places, by all subsets; NP-hard in general). Promises the
same payments from the same balances. Leaves to the agreement whether such payments are allowed at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balise_gateway.badges.billing.setoff import Debts

MAX_EXACT = 16


@dataclass(frozen=True)
class Payments:
    """`optimal`: whether no smaller number of payments is possible for sure."""

    cents: Debts
    optimal: bool


def fewest(balances: Mapping[str, int]) -> Payments:
    """Payments for these balances (in less out)."""
    open_ = sorted((place, cents) for place, cents in balances.items() if cents)
    exact = len(open_) <= MAX_EXACT
    groups = _groups(open_) if exact else [open_]
    return Payments({pair: cents for group in groups for pair, cents in _paid(group).items()}, exact)


def _groups(open_: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """The most groups that come to nothing. Of several cuts: the first place's group is the smallest that it can be,
    and of two as large the one whose places come first in the alphabet; then the first place left, and so on."""
    sums = _sums([cents for _, cents in open_])
    most = _most_groups(sums, len(open_))
    left, groups = len(sums) - 1, []
    while left:
        first = left & -left
        group = min((mask for mask in _with(first, left) if not sums[mask] and _fits(mask, left, most)), key=_rank)
        groups.append([place for bit, place in enumerate(open_) if group >> bit & 1])
        left ^= group
    return groups


def _sums(cents: Sequence[int]) -> list[int]:
    """The sum of every subset, by its bits."""
    sums = [0]
    for amount in cents:
        sums += [before + amount for before in sums]
    return sums


def _most_groups(sums: Sequence[int], count: int) -> list[int]:
    """For every subset, how many groups that come to nothing can be taken out of it one after the other."""
    most = [0] * len(sums)
    bits = [1 << bit for bit in range(count)]
    for mask in range(1, len(sums)):
        best = 0
        for bit in bits:
            if mask & bit and most[mask ^ bit] > best:
                best = most[mask ^ bit]
        most[mask] = best if sums[mask] else best + 1
    return most


def _with(first: int, left: int) -> list[int]:
    """All subsets of `left` that hold `first`."""
    rest, subset, found = left ^ first, left ^ first, []
    while True:
        found.append(subset | first)
        if not subset:
            return found
        subset = (subset - 1) & rest


def _fits(mask: int, left: int, most: Sequence[int]) -> bool:
    return most[left ^ mask] == most[left] - 1


def _rank(mask: int) -> tuple[int, list[int]]:
    return mask.bit_count(), [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _paid(group: Sequence[tuple[str, int]]) -> Debts:
    """Again and again the one who owes most pays whom most is owed to; of two as large the first by name."""
    left, paid = dict(group), Debts()
    while any(left.values()):
        debtor = min(left, key=lambda place: (left[place], place))
        creditor = min(left, key=lambda place: (-left[place], place))
        cents = min(-left[debtor], left[creditor])
        paid[debtor, creditor] = cents
        left[debtor] += cents
        left[creditor] -= cents
    return paid
