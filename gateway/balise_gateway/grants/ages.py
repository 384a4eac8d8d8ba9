"""Since when entries are here: what a grant's delay is counted from.

A row was measured before it arrived, so what has been here for the delay is older than the delay, whatever its node's
clock says. Promises that an entry is never called older than it is; a restart may make it look younger, by at most the
time between two envelopes of the home log, which remember when they were made. Entries are numbered as they arrive, so
what is old enough is a beginning of the journal: a delayed log never holds another up, and keeps the order.
"""

import sqlite3

from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG

EVERY = 1 << 62  # above any entry's number
_MARKS = 256  # remembered over the longest delay


class Ages:
    """One for all logs; it remembers for as long as the longest delay that was asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._longest_ms = clock, 0
        self._marks: list[tuple[int, int]] = []  # (boot ms, the newest entry there was), rising

    def newest_entry(self, db: sqlite3.Connection, delay_ms: int) -> int:
        """The newest entry that has been here for so long; 0 for none."""
        self._longest_ms = max(self._longest_ms, delay_ms)
        if self._longest_ms:
            self._mark(tables.count(db, "next_entry") - 1)
        if not delay_ms:
            return EVERY
        until_ms = self._clock.boot_ms() - delay_ms
        seen = max((entry for at_ms, entry in self._marks if at_ms <= until_ms), default=0)
        return max(seen, self._in_home_log(db, delay_ms))

    def _mark(self, newest: int) -> None:
        now_ms = self._clock.boot_ms()
        if not self._marks or now_ms - self._marks[-1][0] >= self._longest_ms // _MARKS:
            self._marks.append((now_ms, newest))
            old = [mark for mark in self._marks if mark[0] <= now_ms - self._longest_ms]
            self._marks = old[-1:] + self._marks[len(old) :]  # of those older than any delay only the newest matters

    def _in_home_log(self, db: sqlite3.Connection, delay_ms: int) -> int:
        """As the home log remembers: all entries up to an envelope's cursor were here when it was made."""
        now_ms = known_utc_ms(self._clock)
        if now_ms is None:
            return 0
        where = "log = ? AND made_utc_ms <= ? ORDER BY seq DESC"
        row = tables.ENVELOPE.one(db, where, (HOME_LOG, now_ms - delay_ms))
        return 0 if row is None else int(row[2])
