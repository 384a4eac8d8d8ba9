"""When each reading counter of our SUN cards was shown, so that a message that comes late is told from a replay.

A chip's counter rises with each reading, and a host may hand a message on after a later one has come. Promises that a
counter counts once, and a late one only where its time stands between those of the counters before and after it: what
somebody recorded and shows after the card's next use is refused. Where a time is not known, only a counter that has
risen counts. Leaves the highest counter to the register.
"""

import sqlite3
from typing import Literal

from balise_gateway.badges.cards.recognise import TakeCounter
from balise_gateway.badges.database import transaction

STEP = """
    CREATE TABLE counter (
      number TEXT NOT NULL, counter INTEGER NOT NULL, utc_s INTEGER, PRIMARY KEY (number, counter)
    ) STRICT, WITHOUT ROWID;
"""


class Counters:
    """`take` is the register's own `take_counter`, which wants a counter to have risen."""

    def __init__(self, db: sqlite3.Connection, take: TakeCounter) -> None:
        self._db, self._take = db, take

    def at(self, utc_s: int | None, unsure_s: int = 0) -> TakeCounter:
        """The same question for a tap at this time; None where nobody knows it."""

        def take(number: str, uid: bytes, counter: int) -> Literal["", "unsure", "replay", "revoked"]:
            said = self._take(number, uid, counter)
            if said == "replay" and utc_s is not None and self._fits(number, counter, utc_s, unsure_s):
                said = ""
            if not said:
                with transaction(self._db) as db:
                    db.execute("INSERT OR IGNORE INTO counter VALUES (?, ?, ?)", (number, counter, utc_s))
            return said

        return take

    def forget(self, before_utc_s: int) -> None:
        """Of then and before only the newest of each card stays; inside a transaction of the caller's."""
        self._db.execute(
            "DELETE FROM counter WHERE utc_s < ?1 AND counter < "
            "(SELECT max(newer.counter) FROM counter AS newer WHERE newer.number = counter.number)",
            (before_utc_s,),
        )

    def _fits(self, number: str, counter: int, utc_s: int, unsure_s: int) -> bool:
        query = "SELECT utc_s FROM counter WHERE number = ? AND counter"
        if self._db.execute(f"{query} = ?", (number, counter)).fetchone() is not None:
            return False
        before = self._db.execute(f"{query} < ? ORDER BY counter DESC LIMIT 1", (number, counter)).fetchone()
        after = self._db.execute(f"{query} > ? ORDER BY counter LIMIT 1", (number, counter)).fetchone()
        if before is None or after is None or before[0] is None or after[0] is None:
            return False
        return bool(before[0] < utc_s - unsure_s and utc_s + unsure_s < after[0])
