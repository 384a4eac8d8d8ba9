"""Which local day a moment belongs to, when days begin at an hour of their own.

Promises that days follow each other without gap or overlap, also where clocks are put forward or back.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LAST_UTC_S = 253_370_764_800  # 9999-01-01: what a calendar can still say, with room for a time zone


class Calendar:
    """Days of one time zone that begin `starts_min` minutes after local midnight.

    A day begins at the first moment whose local time is that late, and never begins twice: on the night when 02:30
    comes twice the first one counts, on the night when there is no 02:30 the day begins at 03:00.
    """

    def __init__(self, zone: ZoneInfo, starts_min: int) -> None:
        self._zone = zone
        self._starts = timedelta(minutes=starts_min)
        self.start_s = lru_cache(maxsize=4096)(self._start_s)

    def day_of(self, utc_s: int) -> date:
        """The local day of a moment."""
        day = self.local(utc_s).date()
        if utc_s >= self.start_s(day + timedelta(days=1)):
            return day + timedelta(days=1)
        return day if utc_s >= self.start_s(day) else day - timedelta(days=1)

    def _start_s(self, day: date) -> int:
        """When this day begins: UTC in whole seconds."""
        wanted = datetime(day.year, day.month, day.day) + self._starts
        early, late = sorted(int(wanted.replace(tzinfo=self._zone, fold=fold).timestamp()) for fold in (0, 1))
        if self.local(early) >= wanted:
            return early  # there once or twice
        while late - early > 1:  # not there: the first moment after the jump
            middle = (early + late) // 2
            early, late = (early, middle) if self.local(middle) >= wanted else (middle, late)
        return late

    def utc_s(self, local: datetime) -> int:
        """When the clock on the wall shows this; of two such moments the first."""
        return int(local.replace(tzinfo=self._zone).timestamp())

    def local(self, utc_s: int) -> datetime:
        """What the clock on the wall shows."""
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=utc_s)).astimezone(self._zone).replace(tzinfo=None)
