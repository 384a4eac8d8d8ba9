"""Agreements and visits for the tests of billing, as short as they can be written."""

from pathlib import Path

from balise_gateway.badges.billing import agreement as agreements
from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.signatures import Signatures
from balise_gateway.badges.billing.visits import Inputs
from balise_wire.visits import VisitRecord

HEAD = """id = "metropole-2026"
currency = "EUR"
timezone = "{zone}"
period = "month"
mode = "{mode}"
[rules]
debounce_s = {debounce_s}
day_starts = "{day_starts}"
billable_grades = {grades}
"""
PLACE = """[[place]]
id = "{id}"
price_cents = {price_cents}
half_day = {{ hours = {hours}, grace_min = {grace_min}, per_day_max = {per_day_max} }}
no_exit = {no_exit}
"""
_HEAD = {"zone": "Europe/Paris", "mode": "net", "debounce_s": 120, "day_starts": "04:00", "grades": [0, 1, 2]}
_PLACE = {"price_cents": 800, "hours": 4.0, "grace_min": 15, "per_day_max": 2, "no_exit": 1}
HOST, HOME = "coroutine.example", "baraka.example"
WHO = bytes(range(16))
UNSIGNED = Signatures((), (), {})


def agreement_text(places: tuple[str, ...] = (HOST, HOME), **changed: object) -> str:
    """The text of an agreement in which all places have the same terms."""
    head = HEAD.format(**{name: changed.get(name, value) for name, value in _HEAD.items()})
    terms = {name: changed.get(name, value) for name, value in _PLACE.items()}
    return head + "".join(PLACE.format(id=place, **terms) for place in places)


def agreed(places: tuple[str, ...] = (HOST, HOME), **changed: object) -> Agreement:
    """Such an agreement."""
    return agreements.parse(agreement_text(places, **changed).encode(), Path("agreement.toml"))


def visit(t: int | tuple[int, int], tap: int = 1, **changed: object) -> VisitRecord:
    """A visit of one person."""
    told: dict[str, object] = {"host": HOST, "home": HOME, "who": WHO, "u": 1, "grade": 2} | changed
    return VisitRecord(t=t, tap=tap, **told)  # type: ignore[arg-type]


def inputs_of(*records: VisitRecord) -> Inputs:
    """Visits that nobody has signed."""
    inputs = Inputs()
    for record in records:
        inputs.add_record(record)
    return inputs
