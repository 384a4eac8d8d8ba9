"""A federation's month with cut links, crashes and wrong clocks: the bill is the truth, from every place's copy."""

import tempfile
from pathlib import Path

from balise_wire.items import Anchor, VisitMapping
from journey.badge_month import Federation, truth

MEMORY = Path("/dev/shm")  # hundreds of thousands of commits: what a disk makes of them is tested elsewhere


def test_twelve_places_bill_the_truth_and_all_the_same() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None) as folder:
        federation = Federation(Path(folder), count=12, members=25, seed=2026)
        federation.play()
        bills = {name: federation.bill_of(name).document for name in federation.names}
        said = {name: federation.said_by(name) for name in federation.names}
    first = bills[federation.names[0]]
    assert first["verified"] is True
    gross = {(row["from"], row["to"]): row["half_days"] for row in first["gross"]}  # type: ignore[attr-defined]
    assert gross == truth(federation.plan)
    assert all(bill == first for bill in bills.values())
    for _, home, _, host in federation.plan.new_cards:  # the host had not heard of the card when it was shown
        assert any(isinstance(item, VisitMapping) and item.map["home"] == home for item in said[host])
    for place, *_ in federation.plan.timeless:
        assert [item.source for item in said[place] if isinstance(item, Anchor)] == ["between"]
