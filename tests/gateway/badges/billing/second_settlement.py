"""Set-off and the fewest payments once more, from gateway/BADGES.md alone: by trying all that there is.

Promises the same figures as the product, for few places. Belongs to `second_opinion.py`.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

Debts = dict[tuple[str, str], int]  # (who owes, to whom): cents


def rows(cents: Debts) -> list[dict[str, Any]]:
    return [{"from": pair[0], "to": pair[1], "cents": cents[pair]} for pair in sorted(cents) if cents[pair] > 0]


def balances_of(debts: Debts) -> dict[str, int]:
    found: dict[str, int] = {}
    for (debtor, creditor), cents in debts.items():
        found[debtor] = found.get(debtor, 0) - cents
        found[creditor] = found.get(creditor, 0) + cents
    return {place: found[place] for place in sorted(found) if found[place]}


def set_off(debts: Debts) -> Debts:
    """Cuts what goes round, cycle by cycle, until no cycle makes the list better: first its sum, then its first row…"""
    left, big = dict(debts), sum(debts.values()) + 1
    order = sorted(debts)
    worth = {pair: big ** len(order) + big ** (len(order) - 1 - n) for n, pair in enumerate(order)}

    def cycles(
        path: list[str], edges: list[tuple[tuple[str, str], int]]
    ) -> Iterator[list[tuple[tuple[str, str], int]]]:
        for pair in order:
            for start, end, way in ((*pair, 1), (*pair[::-1], -1)):
                room = left[pair] if way == 1 else debts[pair] - left[pair]
                if start != path[-1] or not room or end in path[1:] or end < path[0]:
                    continue
                if end == path[0]:
                    yield [*edges, (pair, way)]
                else:
                    yield from cycles([*path, end], [*edges, (pair, way)])

    while True:
        found = (c for place in sorted({p[0] for p in order}) for c in cycles([place], []))
        better = next((c for c in found if sum(way * worth[pair] for pair, way in c) > 0), None)
        if better is None:
            return left
        room = min(left[pair] if way == 1 else debts[pair] - left[pair] for pair, way in better)
        for pair, way in better:
            left[pair] -= way * room


def fewest(balances: dict[str, int]) -> Debts:
    """The payments of the best of all cuts into groups that come to nothing."""
    cuts = list(cuts_of(sorted(balances), balances))
    best = min(cuts, key=lambda cut: (-len(cut), [(len(group), group) for group in cut]))
    return {pair: c for group in best for pair, c in settled({place: balances[place] for place in group}).items()}


def cuts_of(places: list[str], balances: dict[str, int]) -> Iterator[list[list[str]]]:
    if not places:
        yield []
        return
    for taken in subsets(len(places) - 1):
        group = [places[0], *(places[n + 1] for n in taken)]
        if sum(balances[place] for place in group) == 0:
            for rest in cuts_of([place for place in places if place not in group], balances):
                yield [group, *rest]


def settled(balances: dict[str, int]) -> Debts:
    left, paid = dict(balances), {}
    while any(left.values()):
        debtor = min(left, key=lambda place: (left[place], place))
        creditor = min(left, key=lambda place: (-left[place], place))
        paid[debtor, creditor] = min(-left[debtor], left[creditor])
        left[debtor] += paid[debtor, creditor]
        left[creditor] -= paid[debtor, creditor]
    return paid


def subsets(n: int) -> Iterator[tuple[int, ...]]:
    return (taken for size in range(n + 1) for taken in combinations(range(n), size))
