"""A month's bytes: what was spent, what a delivery costs with all that the network adds, and what is left.

Promises that a month is the host's (its zone, and the day on which the plan begins), that sums outlive a restart, and
that the network's share is counted. Its figures are the kernel's counters of a veth link at both ends, IP headers and
acknowledgements included, over a month of hourly sessions (tests/journey/test_month.py): TLS 1.3 with a certificate
chain of 1 kB; a longer one costs as much more.
"""

import datetime
import sqlite3
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from balise_gateway.journal import tables

SESSION_BYTES = 3_300  # TCP and TLS up and down, HTTP's and IP's headers, acknowledgements
PER_BYTE = 1.06  # headers of full packets, and the acknowledgements of them
_MS_PER_S = 1_000


def cost_bytes(payload_bytes: int, sessions: int) -> int:
    """What so many bytes in so many sessions cost on the link, both ways."""
    return round(payload_bytes * PER_BYTE) + sessions * SESSION_BYTES


@dataclass(frozen=True)
class Month:
    """One month of a plan: from its first moment to the first of the next, UTC milliseconds."""

    begins_ms: int
    ends_ms: int
    name: str  # its first day, ISO 8601
    next_name: str  # that of the next

    @classmethod
    def of(cls, utc_ms: int, zone: ZoneInfo, plan_day: int) -> "Month":
        today = datetime.datetime.fromtimestamp(utc_ms / _MS_PER_S, zone).date()
        begins = today.replace(day=plan_day)
        if today.day < plan_day:
            begins = (begins.replace(day=1) - datetime.timedelta(days=1)).replace(day=plan_day)
        ends = (begins.replace(day=28) + datetime.timedelta(days=4)).replace(day=plan_day)
        return cls(_midnight_ms(begins, zone), _midnight_ms(ends, zone), begins.isoformat(), ends.isoformat())


def spent_bytes(db: sqlite3.Connection, month: Month) -> int:
    """What left in this month, with the network's share."""
    return tables.count(db, _counter(month))


def note(db: sqlite3.Connection, month: Month, more_bytes: int) -> None:
    """So much more was spent; sums of other months are forgotten."""
    total = tables.count(db, _counter(month)) + more_bytes
    db.execute("DELETE FROM counter WHERE name LIKE 'spent %' AND name <> ?", (_counter(month),))
    tables.COUNTER.put(db, [(_counter(month), total)])


def _counter(month: Month) -> str:
    return f"spent {month.name}"


def _midnight_ms(day: datetime.date, zone: ZoneInfo) -> int:
    return round(datetime.datetime.combine(day, datetime.time(), tzinfo=zone).timestamp() * _MS_PER_S)
