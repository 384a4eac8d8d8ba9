"""The meter of an uplink: what may go now, and when the rest.

Promises that each uplink exceeds a month's plan by no more than one request, failed ones counted; that when the plan is
nearly used only visits leave, and the status says until when the rest waits; and that a backlog does not take the whole
link where a pace is set. A gateway that does not know the date holds nothing back: which month would it be?
"""

from typing import Literal
from zoneinfo import ZoneInfo

from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.journal import Journal
from balise_gateway.policy import budget
from balise_gateway.policy.budget import Month
from balise_gateway.policy.link import Link

NEARLY_PCT = 95
LOOK_AGAIN_S = 600.0
Room = Literal["all", "visits", "none"]
_BYTES_PER_MB, _BYTES_PER_KB = 1_000_000, 1_000


class Meter:
    """One for each uplink; they share the month's sum, which is in the journal."""

    def __init__(self, link: Link, journal: Journal, clock: Clock, zone: ZoneInfo) -> None:
        self.link, self._journal, self._clock, self._zone = link, journal, clock, zone
        self._in_session = False
        self.held_back: str | None = None  # why something waits, and until when

    def room(self) -> Room:
        """What may go now. Raises JournalError."""
        limit_mb, month = self.link.settings.monthly_mb, self._month()
        self.held_back = None
        if limit_mb is None or month is None or not self.link.metered:
            return "all"
        limit = round(limit_mb * _BYTES_PER_MB)
        with self._journal.reading() as db:
            spent = budget.spent_bytes(db, month)
        if spent * 100 < limit * NEARLY_PCT:
            return "all"
        used = f"{spent} of {limit} bytes of the month from {month.name} are used"
        self.held_back = f"{used}; what is left waits until {month.next_name}"
        return "none" if spent >= limit else "visits"

    def passed(self, size_bytes: int) -> float:
        """So much went, arrived or not; returns the seconds that the next must wait. Raises JournalError."""
        month = self._month()
        if month is not None and self.link.metered:
            with self._journal.transaction() as db:
                budget.note(db, month, budget.cost_bytes(size_bytes, 0 if self._in_session else 1))
        self._in_session = True
        pace = self.link.settings.drain_kb_per_s
        return 0.0 if pace is None else size_bytes / (pace * _BYTES_PER_KB)

    def ends_session(self) -> bool:
        """Nothing more is due: whether the connection should be closed, because keeping it costs bytes."""
        ended, self._in_session = self._in_session, self._in_session and not self.link.metered
        return ended and self.link.metered

    def _month(self) -> Month | None:
        now_ms = known_utc_ms(self._clock)
        return None if now_ms is None else Month.of(now_ms, self._zone, self.link.settings.plan_day)
