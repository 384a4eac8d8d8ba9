"""From sessions to a bill: what is billed, and what is told beside the figures."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cbor2
import pytest

from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.settlement import check_period, settle
from balise_gateway.badges.billing.signatures import Signatures
from balise_gateway.errors import PaperError
from balise_wire.visits import VisitRecord
from gateway.badges.billing.billing_support import HOME, HOST, UNSIGNED, WHO, agreed, inputs_of, visit

NOV, DEC = 1_793_520_000, 1_796_112_000  # 1 November and 1 December 2026, 09:00 in Paris
HOUR = 3600


def bill_of(*records: VisitRecord, period: str | None = None, known: Agreement | None = None) -> Any:
    return settle(inputs_of(*records), known or agreed(), UNSIGNED, period).document


def stay(at: int, tap: int = 1, **changed: object) -> list[VisitRecord]:
    return [visit(at, tap, **changed), visit(at + HOUR, tap + 1, **changed)]


def test_a_half_day_costs_what_the_host_asks() -> None:
    bill = bill_of(*stay(NOV), *stay(NOV, host=HOME, home=HOST))
    assert bill["gross"] == [
        {"from": HOME, "to": HOST, "half_days": 1, "cents": 800},
        {"from": HOST, "to": HOME, "half_days": 1, "cents": 800},
    ]
    assert (bill["bilateral"], bill["set_off"], bill["transfers"]) == ([], [], [])
    keys = "agreement period inputs_sha256 verified gross bilateral set_off transfers optimal flags"
    assert list(bill) == keys.split()


def test_a_home_member_at_home_is_no_debt_and_strangers_are_told_and_not_billed() -> None:
    bill = bill_of(*stay(NOV, home=HOST), *stay(NOV, home="far.example"), *stay(NOV, host="far.example"))
    assert bill["gross"] == []
    assert bill["flags"]["without_agreement"] == {"far.example": 1}
    assert bill["flags"]["without_price"] == {"far.example": 2}


def test_a_place_that_asks_nothing_has_half_days_and_no_debt() -> None:
    bill = bill_of(*stay(NOV), known=agreed(price_cents=0))
    assert bill["gross"] == [{"from": HOME, "to": HOST, "half_days": 1, "cents": 0}]
    assert bill["bilateral"] == []


def test_a_period_takes_the_days_of_its_month_and_the_bill_says_which() -> None:
    both = [*stay(NOV), *stay(DEC, 3)]
    assert bill_of(*both)["period"] == "2026-11/2026-12"
    assert bill_of()["period"] == ""
    november = bill_of(*both, period="2026-11")
    assert november == bill_of(*stay(NOV)) == bill_of(*stay(NOV), period="2026-11")
    assert november["gross"][0]["half_days"] == 1
    first_night = visit(DEC - 7 * HOUR)  # at 02:00 on the first of December, which is still 30 November
    assert bill_of(first_night, period="2026-11")["gross"][0]["half_days"] == 1
    for wrong in ("2026-13", "2026", "november", "2026-11 "):
        with pytest.raises(PaperError, match="write it as in 2026-11"):
            check_period(wrong)


def test_the_digest_is_over_the_items_used_sorted_by_their_bytes() -> None:
    records = [*stay(NOV), visit(NOV + 5, 3), visit(NOV, 9, host="far.example")]
    items = [
        cbor2.dumps(
            [4, {"host": HOST, "home": HOME, "who": WHO, "t": one.t, "u": 1, "grade": 2, "tap": one.tap}],
            canonical=True,
        )
        for one in records[:3]
    ]
    assert bill_of(*records)["inputs_sha256"] == hashlib.sha256(b"".join(sorted(items))).hexdigest()
    assert bill_of()["inputs_sha256"] == hashlib.sha256(b"").hexdigest()


def test_net_payments_without_all_signatures_are_never_silent() -> None:
    inputs, missing = inputs_of(*stay(NOV)), Signatures((HOST,), (HOME,), {})
    for mode, needed in (("net", True), ("set-off", False)):
        flags: Any = settle(inputs, agreed(mode=mode), missing).document["flags"]
        assert (flags["unsigned"], flags["transfers_need_signatures"]) == ([HOME], needed)
    flags = settle(inputs, agreed(), Signatures((HOME, HOST), (), {})).document["flags"]
    assert (flags["unsigned"], flags["transfers_need_signatures"]) == ([], False)


def test_in_mode_set_off_nobody_pays_whom_they_never_owed() -> None:
    third = "labaux.example"
    chain = [*stay(NOV, host=HOST, home=HOME), *stay(NOV, host=third, home=HOST)]
    places = HOST, HOME, third
    net, set_off = (bill_of(*chain, known=agreed(places, mode=mode)) for mode in ("net", "set-off"))
    assert net["transfers"] == [{"from": HOME, "to": third, "cents": 800}]
    assert set_off["transfers"] == set_off["set_off"] == net["set_off"]
    assert [row["from"] for row in set_off["transfers"]] == [HOME, HOST]


def test_flags_name_days_and_people_by_pseudonym_and_never_a_time() -> None:
    bill = bill_of(visit(NOV, grade=0), visit(NOV, 2, who=b"x" * 16), known=agreed(grades=[1, 2]))
    assert bill["flags"]["no_exit"] == [
        {"host": HOST, "home": HOME, "who": "78" * 16, "day": "2026-11-01", "half_days": 1}
    ]
    assert [row["who"] for row in bill["flags"]["not_billable"]] == [WHO.hex()]
    assert str(NOV)[:6] not in json.dumps(bill).replace(bill["inputs_sha256"], "").replace(
        bill["flags"]["agreement_sha256"], ""
    )


def test_the_example_is_computed_as_it_was_worked_out_by_hand() -> None:
    folder = Path(__file__).parent / "example"
    bill = json.loads((folder / "bill.json").read_text())
    by_pair = {
        name: {(row["from"][0], row["to"][0]): row["cents"] for row in bill[name]} for name in ("gross", "set_off")
    }
    assert by_pair["gross"] == {("b", "c"): 3 * 800, ("c", "l"): 1000, ("l", "b"): 2 * 600}
    assert by_pair["set_off"] == {("b", "c"): 1400, ("l", "b"): 200}  # a circle of 10.00
    assert [(row["from"], row["to"], row["cents"]) for row in bill["transfers"]] == [
        ("baraka.example", "coroutine.example", 1200),
        ("labaux.example", "coroutine.example", 200),
    ]
