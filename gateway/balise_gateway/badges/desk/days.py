"""Which days and which double taps count at this place: the agreement's, or usual ones where there is none.

Promises that the screen says "in" and "out" as the bill will. Leaves the file to `billing/agreement.py`.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from balise_gateway.badges.billing import agreement
from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.settings import BadgeSettings

USUAL_STARTS_MIN, USUAL_DEBOUNCE_S = 4 * 60, 120


@dataclass(frozen=True)
class Days:
    """The calendar of a place, and how close two taps are one."""

    calendar: Calendar
    debounce_s: int


def days_of(settings: BadgeSettings, zone: ZoneInfo) -> Days:
    """Raises PaperError for an agreement that cannot be read."""
    if settings.agreement is None:
        return Days(Calendar(zone, USUAL_STARTS_MIN), USUAL_DEBOUNCE_S)
    told = agreement.load(settings.agreement)
    return Days(Calendar(told.timezone, told.rules.day_starts_min), told.rules.debounce_s)
