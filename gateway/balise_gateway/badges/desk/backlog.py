"""How many visits are still to be sent, for the screen: those in envelopes that a hub lacks, and those in none yet.

Promises a number from the journal alone, of the visits that a grant lets through, at most `MOST` envelopes of a log
counted; that an envelope is read once, however often the screen asks; and that a look reads no more than `READS` of
them: after a start with a long backlog the number grows from look to look. Leaves sending to `delivery/`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from balise_gateway.journal import tables
from balise_gateway.journal.bodies import unpacked
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import OWN, Log
from balise_wire.envelope import read_envelope
from balise_wire.items import Visit

MOST = 64  # envelopes with visits, of a log; beyond that nobody at the door cares how many more there are
READS = 16
MOST_LOOSE = 1_000  # visits in no envelope yet: those of a few minutes


class Backlog:
    """Of these logs, each with the homes whose members' visits leave in it (names, or patterns).

    `signed`: how many of them stand in envelopes, so that nothing but the hub is waited for; as of the last look.
    """

    def __init__(self, homes: Mapping[int, Sequence[str]]) -> None:
        self._homes, self.signed = homes, 0
        self._visits: dict[int, dict[int, int]] = {log: {} for log in homes}  # by number of an envelope
        self._reads, self._is_whole = 0, True
        self._told: tuple[object, int] = (None, 0)  # as of which state of the journal

    def waiting(self, db: sqlite3.Connection) -> int:
        """The visits that the slowest of these logs' hubs lacks."""
        state = db, db.total_changes, db.execute("PRAGMA data_version").fetchone()
        if state != self._told[0]:
            self._reads, self._is_whole = READS, True
            counted = [self._counted(db, log) for log in self._homes]
            found = max(map(sum, counted), default=0)
            self.signed = max((signed for signed, _ in counted), default=0)
            self._told = (state if self._is_whole else None), found
        return self._told[1]

    def _counted(self, db: sqlite3.Connection, log: int) -> tuple[int, int]:
        """Those in envelopes that its hub lacks, and those in none yet."""
        held, counted, found, with_visits = logs.holding(db, log), self._visits[log], 0, 0
        parked = {row[1] for row in tables.PARKED.read(db, "log = ?", (log,))}
        for gone in [seq for seq in counted if seq < held.next_seq]:
            del counted[gone]
        for seq in logs.lacking(db, log, held):
            if seq in parked:
                continue
            if with_visits == MOST or (seq not in counted and not self._may_read()):
                break
            if seq not in counted:
                counted[seq] = _visits_of(db, log, seq)
            found, with_visits = found + counted[seq], with_visits + bool(counted[seq])
        return found, self._in_none(db, log)

    def _in_none(self, db: sqlite3.Connection, log: int) -> int:
        where = f"entry > ? AND node = ? AND kind = ? AND (only_log IS NULL OR only_log = ?) LIMIT {MOST_LOOSE}"
        values = (Log.read(db, log).cursor, OWN, Visit.kind, log)
        bodies = db.execute(f"SELECT body FROM entry WHERE {where}", values)
        items = [unpacked(Visit.kind, body) for (body,) in bodies]
        homes = [str(item.map.get("home")) for item in items if isinstance(item, Visit)]
        return sum(any(fnmatchcase(home, pattern) for pattern in self._homes[log]) for home in homes)

    def _may_read(self) -> bool:
        self._is_whole = self._reads > 0
        self._reads -= self._is_whole
        return self._is_whole


def _visits_of(db: sqlite3.Connection, log: int, seq: int) -> int:
    row = tables.ENVELOPE.one(db, "log = ? AND seq = ?", (log, seq))
    return 0 if row is None else sum(isinstance(item, Visit) for item in read_envelope(row[5]).items)
