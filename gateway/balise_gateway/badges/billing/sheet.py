"""What stands on a bill's sheets, in one language: said once, and laid out by `to_csv`, `to_xlsx` and `to_pdf`.

Promises that a sheet says whether it is only indicative, whether anything in it is unverified, and that VAT is not in
it. Leaves figures to `settlement.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from balise_gateway.badges.billing.bill import LISTS, month_of
from balise_gateway.badges.billing.setoff import balances
from balise_gateway.badges.billing.signatures import Signatures
from balise_gateway.badges.billing.words import WORDS, Language, Words

Cell = str | int


@dataclass(frozen=True)
class Cents:
    """An amount, so that each form can write it as it writes amounts."""

    cents: int


@dataclass(frozen=True)
class Table:
    """One table: its name in programs, its title, columns and rows."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell | Cents, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """All of it. `warnings` stand above the figures, `notes` below them."""

    words: Words
    currency: str
    head: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    made: datetime  # of the bill's own month, so that the same bill gives the same file

    def amount(self, cents: int) -> str:
        """An amount for people: 1234,50 EUR."""
        sign, whole = "-" if cents < 0 else "", abs(cents)
        return f"{sign}{whole // 100}{self.words.decimal}{whole % 100:02} {self.currency}"


def sheet_of(bill: Mapping[str, Any], currency: str, signed: Signatures, language: Language) -> Sheet:
    """The sheet of a bill and of who has countersigned it."""
    words, month = WORDS[language], month_of(bill)
    head = (
        (words.agreement, str(bill["agreement"])),
        (words.period, str(bill["period"])),
        (words.digest, str(bill["inputs_sha256"])),
        (words.signed_by, ", ".join(signed.signed) or words.nobody),
        *([(words.waiting_for, ", ".join(signed.missing))] if signed.missing else []),
    )
    tables = (*(_list(bill, name, words) for name in reversed(LISTS)), _balances(bill, words), _checks(bill, words))
    made = datetime.strptime(f"{month or '2000-01'}-01", "%Y-%m-%d").replace(tzinfo=UTC)
    return Sheet(words, currency, head, _warnings(bill, signed, words), tables, (words.vat, words.how), made)


def _warnings(bill: Mapping[str, Any], signed: Signatures, words: Words) -> tuple[str, ...]:
    flags = bill["flags"]
    told = [words.countersigned if signed.complete else words.indicative]
    if not bill["verified"]:
        told.append(words.unverified.format(n=flags["unverified"]))
    if flags["transfers_need_signatures"]:
        told.append(words.need_signatures)
    if not bill["optimal"]:
        told.append(words.not_fewest)
    return tuple(told)


def _list(bill: Mapping[str, Any], name: str, words: Words) -> Table:
    counted = ["half_days"] if name == "gross" else []
    columns = tuple(words.columns[key] for key in ("from", "to", *counted, "cents"))
    rows = tuple((row["from"], row["to"], *(row[key] for key in counted), Cents(row["cents"])) for row in bill[name])
    proposed = name == "transfers" and bill["flags"]["transfers_need_signatures"]
    return Table(name, words.proposed if proposed else words.lists[name], columns, rows)


def _balances(bill: Mapping[str, Any], words: Words) -> Table:
    debts = {(row["from"], row["to"]): row["cents"] for row in bill["gross"]}
    rows = []
    for place, balance in sorted(balances(debts).items()):
        gets = sum(cents for (_, creditor), cents in debts.items() if creditor == place)
        rows.append((place, Cents(gets), Cents(gets - balance), Cents(balance)))
    columns = tuple(words.columns[key] for key in ("place", "in", "out", "balance"))
    return Table("balances", words.balances, columns, tuple(rows))


def _checks(bill: Mapping[str, Any], words: Words) -> Table:
    """Counts only: days and pseudonyms stay in the JSON form."""
    rows = []
    for name, text in words.flags.items():
        value = bill["flags"][name]
        whole = sum(value.values()) if isinstance(value, dict) else value if isinstance(value, int) else len(value)
        which = value if name in ("refused", "unsigned", "without_agreement", "without_price") else ()
        if whole:
            rows.append((text + (f" ({', '.join(which)})" if which else ""), whole))
    columns = words.columns["what"], words.columns["count"]
    return Table("checks", words.checks, columns, tuple(rows))
