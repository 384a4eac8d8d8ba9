"""From sessions to a bill: who owes whom, what remains after set-off, and which payments settle it.

Promises that each place's balance is the same in all four lists, in whole cents, and that the digest of what was used
stands beside the figures. Leaves VAT to the accountant, and files to `bill.py`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from balise_gateway.badges.billing import setoff, transfers
from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.sessions import NO_EXIT, NOT_BILLABLE, UNCERTAIN, Session, sessions
from balise_gateway.badges.billing.signatures import Signatures
from balise_gateway.badges.billing.visits import Inputs, Tap
from balise_gateway.errors import PaperError

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Bill:
    """What was computed: the object that is printed, and the sessions behind it (all of them, home members' too)."""

    document: Mapping[str, object]
    sessions: tuple[Session, ...]
    agreement: Agreement


def check_period(period: str) -> str:
    """The month, as it was given. Raises PaperError."""
    if _MONTH.fullmatch(period) is None or period.startswith("0000"):
        raise PaperError("period", f"{period!r} is no month: write it as in 2026-11")
    return period


def sessions_in(inputs: Inputs, agreement: Agreement, period: str | None = None) -> list[Session]:
    """All sessions, or those of one month: by the local day on which they began."""
    return in_month(sessions(inputs.taps()[0], agreement), period)


def in_month(found: Iterable[Session], period: str | None) -> list[Session]:
    """Those of one month: by the local day on which they began; all of them where none is named."""
    return [session for session in found if period is None or _month(session.day) == period]


def settle(inputs: Inputs, agreement: Agreement, signatures: Signatures, period: str | None = None) -> Bill:
    """The bill of one month, or of all that was given."""
    taps, undated = inputs.taps()
    counted = in_month(sessions(taps, agreement), period)
    half_days, gross = _debts(counted, agreement)
    left = setoff.set_off(gross)
    paid = transfers.fewest(setoff.balances(gross)) if agreement.mode == "net" else transfers.Payments(left, True)
    used = frozenset[bytes]().union(*(session.items for session in counted))
    unverified = sum(not tap.verified for tap in taps if tap.item in used)
    document: dict[str, object] = {
        "agreement": agreement.id,
        "period": period or _span(counted),
        "inputs_sha256": digest(used),
        "verified": unverified == 0,
        "gross": [
            {"from": debtor, "to": creditor, "half_days": number, "cents": gross.get((debtor, creditor), 0)}
            for (debtor, creditor), number in sorted(half_days.items())
        ],
        "bilateral": _rows(setoff.bilateral(gross)),
        "set_off": _rows(left),
        "transfers": _rows(paid.cents),
        "optimal": paid.optimal,
        "flags": {
            "agreement_sha256": agreement.sha256,
            "conflicting_mappings": [
                {"host": host, "home": home, "who": who.hex()} for host, home, who in sorted(inputs.conflicts)
            ],
            "double_names": inputs.double_names(),
            "no_exit": _flagged(counted, NO_EXIT),
            "not_billable": _flagged(counted, NOT_BILLABLE),
            "refused": inputs.refused_by_reason(),
            "transfers_need_signatures": agreement.mode == "net" and not signatures.complete,
            "uncertain": _flagged(counted, UNCERTAIN),
            "undated": [
                {"host": one.host, "home": one.home, "who": one.who.hex(), "tap": one.tap}
                for one in sorted(undated, key=lambda one: (one.host, one.home, one.who, one.tap, one.item))
            ],
            "unsigned": list(signatures.missing),
            "unverified": unverified,
            "without_agreement": _homes_outside(counted, agreement),
            "without_price": _hosts_outside(taps, agreement, period),
        },
    }
    return Bill(document, tuple(counted), agreement)


def digest(items: Iterable[bytes]) -> str:
    """SHA-256 of the items' deterministic CBOR, each once, sorted by their bytes, one after the other."""
    return hashlib.sha256(b"".join(sorted(set(items)))).hexdigest()


def is_billed(session: Session, agreement: Agreement) -> bool:
    """Whether a session makes a debt: of somebody from elsewhere, whose home has agreed to pay."""
    return session.half_days > 0 and session.home != session.host and session.home in agreement.places


def _debts(counted: Iterable[Session], agreement: Agreement) -> tuple[Counter[tuple[str, str]], setoff.Debts]:
    """(half-days, cents) by (home, host). A place with the price 0 has half-days and no debt."""
    half_days: Counter[tuple[str, str]] = Counter()
    for session in counted:
        if is_billed(session, agreement):
            half_days[session.home, session.host] += session.half_days
    cents = {pair: number * agreement.places[pair[1]].price_cents for pair, number in half_days.items()}
    return half_days, {pair: amount for pair, amount in cents.items() if amount}


def _rows(debts: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
    return [{"from": debtor, "to": creditor, "cents": cents} for (debtor, creditor), cents in sorted(debts.items())]


def _flagged(counted: Iterable[Session], flag: str) -> list[dict[str, object]]:
    return [
        {"host": one.host, "home": one.home, "who": one.who, "day": one.day.isoformat(), "half_days": one.half_days}
        for one in counted
        if flag in one.flags
    ]


def _homes_outside(counted: Iterable[Session], agreement: Agreement) -> dict[str, int]:
    """Half-days of people whose home is not in the agreement: they are not billed, and not forgotten."""
    found: Counter[str] = Counter()
    for session in counted:
        if session.half_days and session.home not in agreement.places:
            found[session.home] += session.half_days
    return dict(sorted(found.items()))


def _hosts_outside(taps: Iterable[Tap], agreement: Agreement, period: str | None) -> dict[str, int]:
    """Visits at hosts that the agreement does not name: there is no half-day and no price for them."""
    calendar = Calendar(agreement.timezone, agreement.rules.day_starts_min)
    found = Counter(
        tap.host
        for tap in taps
        if tap.host not in agreement.places and period in (None, _month(calendar.day_of(tap.t)))
    )
    return dict(sorted(found.items()))


def _month(day: date) -> str:
    return f"{day.year:04}-{day.month:02}"


def _span(counted: Iterable[Session]) -> str:
    """The months that were found: "2026-11", "2026-11/2026-12", or nothing."""
    months = sorted({_month(session.day) for session in counted})
    return "/".join(dict.fromkeys((months[0], months[-1]))) if months else ""
