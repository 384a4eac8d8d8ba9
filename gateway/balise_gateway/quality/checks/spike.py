"""Spike (QARTOD test 6): a value that leaves its neighbours in time by more than the limit and comes back by as much.

Such a value is further than the limit from the mean of both neighbours, which is the manual's first form of the test;
that form alone also doubts the values beside a spike and both ends of a step, so this one (the manual's differential
form) is made. It needs the next value, so the last row before is judged here, late: see `late.py`.
"""

from balise_gateway.quality import FAIL, SUSPECT
from balise_gateway.quality.checks import LONGEST_GAP_MS, Column, Found
from balise_gateway.quality.limits import Limits

QARTOD = 6


def find(column: Column, limits: Limits) -> Found:
    """Rows that are a spike. Neighbours more than an hour off are none."""
    suspect, fail = limits.spike, limits.spike_fail
    if suspect is None and fail is None:
        return []
    found: Found = []
    rows = list(column.present())
    for (_, first_ms, first), (row, at_ms, value), (_, last_ms, last) in zip(rows, rows[1:], rows[2:], strict=False):
        if not (first_ms < at_ms <= first_ms + LONGEST_GAP_MS and at_ms < last_ms <= at_ms + LONGEST_GAP_MS):
            continue
        off = min(abs(value - first), abs(value - last)) if (value > first) == (value > last) else 0
        if fail is not None and off > fail:
            found.append((row, FAIL))
        elif suspect is not None and off > suspect:
            found.append((row, SUSPECT))
    return found
