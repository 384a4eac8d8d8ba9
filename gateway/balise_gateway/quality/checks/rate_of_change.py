"""Rate of change (QARTOD test 7): a value that moved faster since the one before than the air does.

The limit is per minute; rows closer than a minute are allowed what a minute is, since noise does not shrink with time.
"""

from balise_gateway.quality import FAIL, SUSPECT
from balise_gateway.quality.checks import LONGEST_GAP_MS, Column, Found
from balise_gateway.quality.limits import Limits

QARTOD = 7
_MINUTE_MS = 60_000


def find(column: Column, limits: Limits) -> Found:
    """A value is compared with the one before it; after a gap of more than an hour it is not."""
    suspect, fail = limits.rate_per_min, limits.rate_fail_per_min
    if suspect is None and fail is None:
        return []
    found: Found = []
    before_ms, before = None, 0
    for row, at_ms, value in column.present():
        if row >= 0 and before_ms is not None and before_ms < at_ms <= before_ms + LONGEST_GAP_MS:
            per_minute = abs(value - before) * _MINUTE_MS / max(at_ms - before_ms, _MINUTE_MS)
            if fail is not None and per_minute > fail:
                found.append((row, FAIL))
            elif suspect is not None and per_minute > suspect:
                found.append((row, SUSPECT))
        before_ms, before = at_ms, value
    return found
