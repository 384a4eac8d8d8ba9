"""Gross range (QARTOD test 4): what no working sensor can show.

Promises: a value outside its channel's plausible range (the channel table) gets 4, fail; one whose channel is not in
the table gets 2, not evaluated; a missing value stays missing. What the node itself has said is kept where it is worse.
The one test that needs a single row, so it is made at intake. Leaves the others to their modules.
"""

from dataclasses import dataclass

from balise_gateway.quality import FAIL, MISSING, NOT_EVALUATED, PASS, SUSPECT
from balise_wire.channels import channel
from balise_wire.errors import WireError
from balise_wire.items import Readings

_WORSE = {PASS: 0, NOT_EVALUATED: 1, SUSPECT: 2, FAIL: 3, MISSING: 4}


@dataclass(frozen=True)
class Range:
    """The plausible range of one column, in its own scaled integers; None when its channel is not in the table."""

    low: float
    high: float


def range_of(name: str, scale: int) -> Range | None:
    """The plausible range of the channel `name` (or of its base), whose values are integer / 10 ** scale."""
    try:
        row = channel(name.partition(".")[0])
    except WireError:
        return None
    factor = 10.0 ** (scale - row.scale)
    return Range(row.low * factor, row.high * factor)


def flag(value: int | None, allowed: Range | None) -> int:
    """The flag of one value."""
    if value is None:
        return PASS  # missing is said by its absence
    if allowed is None:
        return NOT_EVALUATED
    return PASS if allowed.low <= value <= allowed.high else FAIL


def judge(readings: Readings, ranges: tuple[Range | None, ...]) -> None:
    """Writes the flags of all values into `readings.flags`."""
    for number, column in enumerate(readings.columns):
        allowed = ranges[number]
        if allowed is not None and _is_within(column, allowed):
            continue
        found = [(row, mark) for row, value in enumerate(column) if (mark := flag(value, allowed)) != PASS]
        if found:
            readings.flags[number] = merged(readings.flags.get(number, []), found)


def _is_within(column: list[int | None], allowed: Range) -> bool:
    """The whole column at once: nearly all pass, and this is done for every value that comes."""
    present = column if None not in column else [value for value in column if value is not None]
    return not present or (min(present) >= allowed.low and max(present) <= allowed.high)  # type: ignore[type-var,operator]


def merged(told: list[list[int]], found: list[tuple[int, int]]) -> list[list[int]]:
    """The worse of both flags for each row, rows rising."""
    marks = {pair[0]: pair[1] for pair in told}
    for row, mark in found:
        if _WORSE[mark] > _WORSE.get(marks.get(row, PASS), 0):
            marks[row] = mark
    return [[row, marks[row]] for row in sorted(marks)]
