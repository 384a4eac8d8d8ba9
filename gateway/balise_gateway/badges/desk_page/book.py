"""Visits that were typed at the desk of a place, in a file of its own.

Promises that a visit is written down before anybody is told so, that nothing written is changed but by a mark that it
was said or cancelled, and that times older than the place keeps them are gone. Leaves the signed items to the journal:
what is not there yet is told by `unsaid`.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.badges.database import leave_no_trace, open_database, transaction, years_of

FILE_NAME = "typed.db"
NOT, WANTED, SAID = 0, 1, 2  # whether a visit was cancelled: no; yes, not said yet; yes
STEPS = (
    """
    CREATE TABLE note (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE visit (
      tap INTEGER PRIMARY KEY, utc_s INTEGER NOT NULL, unsure_s INTEGER NOT NULL, home TEXT NOT NULL,
      who BLOB NOT NULL, member TEXT NOT NULL, client TEXT NOT NULL, said INTEGER NOT NULL, cancelled INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX visit_by_time ON visit (utc_s);
    """,
)
SPARE_TAPS = 1 << 20  # as many may have come since a backup
_COLUMNS = "tap, utc_s, unsure_s, home, who, member, client, said, cancelled"


@dataclass(frozen=True)
class Typed:
    """One visit. `member`: the id in this place's own register, empty for a visitor of another home."""

    tap: int
    utc_s: int
    unsure_s: int
    home: str
    who: bytes
    member: str = ""
    client: str = ""
    said: int = 0
    cancelled: int = NOT


class TypedBook:
    """The file, open. Numbers begin above `first_tap`: they are those of this gateway, and no other place has them."""

    def __init__(self, folder: Path, first_tap: int) -> None:
        self._db = open_database(folder / FILE_NAME, STEPS)
        self._first_tap = first_tap

    def close(self) -> None:
        self._db.close()

    def write(self, visit: Typed) -> int:
        """Writes it under the next number, whatever it says; returns the number. Raises BadgeError."""
        with transaction(self._db) as db:
            notes = dict(db.execute("SELECT name, value FROM note").fetchall())
            tap = notes.get("next_tap", self._first_tap) + notes.get("left out", 0) + 1
            db.execute("DELETE FROM note WHERE name = 'left out'")
            db.execute("INSERT OR REPLACE INTO note VALUES ('next_tap', ?)", (tap,))
            told = (visit.utc_s, visit.unsure_s, visit.home, visit.who, visit.member, visit.client)
            db.execute("INSERT INTO visit VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)", (tap, *told))
        return int(tap)

    def since(self, utc_s: int) -> list[Typed]:
        """All visits since then, in order of time, the cancelled ones too."""
        return self._found("utc_s >= ? ORDER BY utc_s, tap", (utc_s,))

    def has(self, tap: int) -> bool:
        """Whether this number is one of those that are given here: readers' are below."""
        return tap > self._first_tap

    def one(self, tap: int) -> Typed | None:
        """The visit of this number."""
        return next(iter(self._found("tap = ?", (tap,))), None)

    def cancel(self, tap: int) -> bool:
        """Marks a visit as entered by mistake; False when there is none, or it is cancelled already."""
        with transaction(self._db) as db:
            done = db.execute("UPDATE visit SET cancelled = ? WHERE tap = ? AND cancelled = ?", (WANTED, tap, NOT))
        return done.rowcount == 1

    def unsaid(self) -> list[Typed]:
        """Visits, and cancelled ones, that are not in the journal yet."""
        return self._found("said = 0 OR cancelled = ? ORDER BY tap", (WANTED,))

    def note_said(self, visits: Sequence[Typed]) -> None:
        """What these say is in the journal."""
        with transaction(self._db) as db:
            db.executemany("UPDATE visit SET said = 1 WHERE tap = ?", [(visit.tap,) for visit in visits])
            marks = [(SAID, visit.tap, WANTED) for visit in visits if visit.cancelled == WANTED]
            db.executemany("UPDATE visit SET cancelled = ? WHERE tap = ? AND cancelled = ?", marks)

    def forget(self, before_utc_s: int) -> int:
        """Deletes visits of before then; returns how many."""
        with transaction(self._db) as db:
            gone = db.execute("DELETE FROM visit WHERE utc_s < ?", (before_utc_s,)).rowcount
        leave_no_trace(self._db)
        return gone

    def years(self) -> list[int]:
        """The years (UTC) of which there are visits."""
        return years_of(self._db, "visit")

    def erase(self, pseudonyms: Sequence[bytes]) -> int:
        """Deletes all visits of these pseudonyms; returns how many."""
        marks = ", ".join("?" * len(pseudonyms))
        with transaction(self._db) as db:
            gone = db.execute(f"DELETE FROM visit WHERE who IN ({marks})", tuple(pseudonyms)).rowcount
        leave_no_trace(self._db)
        return gone

    def _found(self, where: str, values: Sequence[object]) -> list[Typed]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM visit WHERE {where}", tuple(values))
        return [Typed(*row) for row in rows]


def make_older(db: sqlite3.Connection) -> str:
    """A copy from a backup: numbers that came after it are left out."""
    db.execute("INSERT OR REPLACE INTO note VALUES ('left out', ?)", (SPARE_TAPS,))
    return ""
