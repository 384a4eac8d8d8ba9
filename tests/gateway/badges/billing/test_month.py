"""A month of twelve places and three hundred members, with a truth that nobody measured: billing finds it."""

import random
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from balise_gateway.badges.billing.settlement import settle
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.visits import VisitRecord
from gateway.badges.billing.billing_support import UNSIGNED, agreed

PARIS = ZoneInfo("Europe/Paris")
PLACES = tuple(f"place{number:02}.example" for number in range(12))
MEMBERS, U_S, HALF_DAY_MIN, GRACE_MIN = 25, 20, 240, 15
KNOWN = agreed(PLACES)


def month(chance: random.Random) -> tuple[list[VisitRecord], Counter[tuple[str, str]]]:
    """Visits with clocks that are off by up to U_S, and the half-days that truly were, by (home, host)."""
    records: list[VisitRecord] = []
    truth: Counter[tuple[str, str]] = Counter()
    taps = dict.fromkeys(PLACES, 0)
    people = ((home, member) for home in PLACES for member in range(MEMBERS))
    days = ((*who, day) for who in people for day in chance.sample(range(1, 29), chance.choice([0, 0, 0, 2, 4])))
    for home, member, day in days:
        host = chance.choice(PLACES)
        times, half_days = stay(chance, day)
        who = f"{home[5:7]}{member:02}{host[5:7]}".encode().ljust(16, b".")
        for t in times:
            taps[host] += 1
            off = chance.randint(-U_S, U_S)
            records.append(VisitRecord(host, home, who, t + off, U_S, 2, taps[host]))
        if host != home:
            truth[home, host] += half_days
    return records, truth


def stay(chance: random.Random, day: int) -> tuple[list[int], int]:
    """True times of the taps of one day, and its half-days by the length in minutes, kept away from every edge."""
    start = datetime(2026, 11, day, chance.choice([8, 9, 13, 20]), chance.randrange(60), tzinfo=PARIS)
    kind = chance.choice(["half", "half", "day", "night", "forgotten", "twice"])
    spans = {
        "half": [(0, 200)],
        "day": [(0, 500)],
        "night": [(0, 235)],
        "forgotten": [],
        "twice": [(0, 100), (160, 300)],
    }
    taps = [start + timedelta(minutes=minute) for span in spans[kind] for minute in span] or [start]
    if chance.random() < 0.3:
        taps.append(taps[0] + timedelta(seconds=chance.randrange(1, 60)))  # laid down twice
    minutes = sum(end - begin for begin, end in spans[kind])
    half_days = 1 if minutes <= HALF_DAY_MIN + GRACE_MIN else 2
    return [int(tap.timestamp()) for tap in taps], half_days


def test_the_bill_is_the_truth_to_the_half_day_and_the_same_from_any_delivery() -> None:
    chance = random.Random(20261101)
    records, truth = month(chance)
    assert len(records) > 500
    whole = Inputs()
    for record in records:
        whole.add_record(record)
    bill = settle(whole, KNOWN, UNSIGNED, "2026-11").document
    billed = {(row["from"], row["to"]): row["half_days"] for row in bill["gross"]}  # type: ignore[attr-defined]
    assert billed == dict(truth)
    assert bill["flags"]["uncertain"] == []  # type: ignore[index]
    for _ in range(3):  # late, in pieces, and again
        again = Inputs()
        for record in chance.sample(records, len(records)) + chance.sample(records, 100):
            again.add_record(record)
        assert settle(again, KNOWN, UNSIGNED, "2026-11").document == bill


def test_signed_and_sent_by_twelve_gateways_late_and_twice_it_is_the_same_bill() -> None:
    chance = random.Random(7)
    records, truth = month(chance)
    signers = {place: Signer(bytes([number]) * 32) for number, place in enumerate(PLACES)}
    envelopes = []
    for host in PLACES:
        mine = [record for record in records if record.host == host]
        for seq, start in enumerate(range(0, len(mine), 7), start=1):
            packed = [record.item().pack() for record in mine[start : start + 7]]
            envelopes.append(sign_envelope(signers[host], 0, seq, packed))
    bills = []
    for _ in range(2):
        inputs = Inputs(Trust.of(signer.public_key for signer in signers.values()))
        for data in chance.sample(envelopes, len(envelopes)) + chance.sample(envelopes, 20):
            inputs.add_envelope(data)
        bills.append(settle(inputs, KNOWN, UNSIGNED).document)
    assert bills[0] == bills[1]
    assert bills[0]["verified"]
    assert sum(row["half_days"] for row in bills[0]["gross"]) == sum(truth.values())  # type: ignore[attr-defined]
