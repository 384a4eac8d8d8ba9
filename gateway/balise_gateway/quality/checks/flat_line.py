"""Flat line (QARTOD test 8): a value that has not moved by a step for longer than a live sensor can.

Clean air and a closed room are flat for hours, so limits are long: a stuck sensor is stuck for days.
"""

from collections.abc import Iterator

from balise_gateway.quality import FAIL, SUSPECT
from balise_gateway.quality.checks import Column, Found
from balise_gateway.quality.limits import Limits

QARTOD = 8


def find(column: Column, limits: Limits) -> Found:
    """Rows that end a stretch, as long as the limit or longer, in which all values were the same."""
    suspect, fail = limits.flat_ms, limits.flat_fail_ms
    found: Found = []
    if suspect is None and fail is None:
        return found
    for row, at_ms, since_ms in stretches(column):
        flat_ms = at_ms - since_ms
        if fail is not None and flat_ms >= fail:
            found.append((row, FAIL))
        elif suspect is not None and flat_ms >= suspect:
            found.append((row, SUSPECT))
    return found


def stretches(column: Column) -> Iterator[tuple[int, int, int]]:
    """(row, its time, since when the value has been the same) of each value."""
    value_before = column.before[-1][1] if column.before else None
    since_ms = column.since_ms
    for row, value in enumerate(column.values):
        if value is None:
            continue
        at_ms = column.times_ms[row]
        if value != value_before:
            value_before, since_ms = value, at_ms
        yield row, at_ms, since_ms
