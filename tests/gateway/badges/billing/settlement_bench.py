"""What settling saves and how long it takes, for 4 to 16 places that are drawn by chance."""

import random
import statistics
import time
from collections import Counter
from typing import NamedTuple

from balise_gateway.badges.billing.setoff import Debts, balances, bilateral, set_off
from balise_gateway.badges.billing.transfers import fewest

SIZES, DRAWS = (4, 8, 12, 16), 30
MEMBERS, ROAM, HALF_DAYS, PRICE_CENTS, LIMIT_MS = 25, 0.2, 3, 800, 1000


class Settled(NamedTuple):
    """One draw: numbers of debts and payments, cents that change hands, milliseconds."""

    debts: int
    pairs: int
    remaining: int
    payments: int
    gross_cents: int
    set_off_cents: int
    net_cents: int
    set_off_ms: float
    net_ms: float


def drawn(places: int, chance: random.Random) -> Debts:
    """A month of so many places: a fifth of their members go elsewhere for about three half-days, at 8 EUR."""
    names = [f"p{number:02}.example" for number in range(places)]
    half_days: Counter[tuple[str, str]] = Counter()
    for home in names:
        guests = sum(chance.random() < ROAM for _ in range(MEMBERS))
        for _ in range(guests * HALF_DAYS):
            half_days[home, chance.choice([host for host in names if host != home])] += chance.randint(0, 2)
    return {pair: number * PRICE_CENTS for pair, number in half_days.items() if number}


def settled(debts: Debts) -> Settled:
    """All of it once."""
    start = time.perf_counter()
    left = set_off(debts)
    middle = time.perf_counter()
    paid = fewest(balances(debts)).cents
    end = time.perf_counter()
    cents = (sum(found.values()) for found in (debts, left, paid))
    counts = len(debts), len(bilateral(debts)), len(left), len(paid)
    return Settled(*counts, *cents, (middle - start) * 1000, (end - middle) * 1000)


def settlement_table() -> list[str]:
    """For BENCHMARKS.md."""
    lines = [
        "## Settlement between places",
        "",
        f"Means of {DRAWS} draws: {MEMBERS} members a place, {ROAM:.0%} of them elsewhere for about {HALF_DAYS} "
        "half-days at 8 EUR. Set-off is the largest sum that existing",
        "debts allow, payments are the fewest that there are; both are exact. Times are the worst of all draws.",
        "",
        "| places | debts | after pairs | after set-off | payments | money less by set-off | by payments "
        "| set-off, ms | payments, ms | limit, ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        chance = random.Random(size)
        found = [settled(drawn(size, chance)) for _ in range(DRAWS)]
        counts = [f"{statistics.mean(column):.1f}" for column in list(zip(*found, strict=True))[:4]]
        gross = sum(one.gross_cents for one in found)
        saved = [1 - sum(cents) / gross for cents in ([one[5] for one in found], [one[6] for one in found])]
        worst = max(one.set_off_ms for one in found), max(one.net_ms for one in found)
        figures = [*counts, *(f"{share:.0%}" for share in saved), *(f"{ms:.1f}" for ms in worst), f"≤ {LIMIT_MS:,}"]
        lines.append(f"| {size} | " + " | ".join(figures) + " |")
    return lines


if __name__ == "__main__":
    print("\n".join(settlement_table()))
