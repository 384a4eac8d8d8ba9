"""Set-off along existing debts: what remains to be paid when as much as possible is cleared in circles.

Every place's balance stays. What remains is the cheapest flow that carries all balances over the existing debts, none
of them larger than it was: so the total cleared is the maximum (a minimum-cost circulation seen from the other side;
Fleischman, Dini and Littera 2020; CEUR-WS Vol-1623). Where several sets of payments clear as much, it is the one whose
first payment, in the order (from, to), is the smallest, then the second, and so on: exactly one.
"""

from collections.abc import Mapping

from balise_gateway.badges.billing.flow import Edge, Network

Debts = dict[Edge, int]  # (who owes, to whom): cents, above 0


def balances(debts: Mapping[Edge, int]) -> dict[str, int]:
    """What each place gets (in) less what it pays (out)."""
    found: dict[str, int] = {}
    for (debtor, creditor), cents in debts.items():
        found[debtor] = found.get(debtor, 0) - cents
        found[creditor] = found.get(creditor, 0) + cents
    return found


def bilateral(debts: Mapping[Edge, int]) -> Debts:
    """Per pair, the difference."""
    return {
        (debtor, creditor): cents - debts.get((creditor, debtor), 0)
        for (debtor, creditor), cents in debts.items()
        if cents > debts.get((creditor, debtor), 0)
    }


def set_off(debts: Mapping[Edge, int]) -> Debts:
    """What remains of each debt."""
    network = Network(debts)
    network.send_cheapest({place: -balance for place, balance in balances(debts).items()})
    return network.settled()
