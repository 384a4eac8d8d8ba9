"""Local days: a night visit belongs to the day it began (the agreement's `timezone` and `day_starts`).

Promises boundaries in local time, lengths in UTC: a day has 23 to 25 hours when clocks change.
"""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_NIGHT = datetime.time(4)


@dataclass(frozen=True)
class Calendar:
    """The days of a place."""

    zone: ZoneInfo
    day_starts: datetime.time = _NIGHT

    def day_of(self, utc_s: int) -> datetime.date:
        """The day that a moment belongs to."""
        local = datetime.datetime.fromtimestamp(utc_s, self.zone)
        return local.date() if local.time() >= self.day_starts else local.date() - datetime.timedelta(days=1)

    def start_utc_s(self, day: datetime.date) -> int:
        """When a day begins."""
        return round(datetime.datetime.combine(day, self.day_starts, tzinfo=self.zone).timestamp())
