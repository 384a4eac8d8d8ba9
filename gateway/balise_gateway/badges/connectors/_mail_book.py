"""Lines that wait for their mail, and mails that wait for their server: one SQLite file.

Promises that a mail is on the disk before it is sent, whole, so that what is sent again is the same bytes; and that a
mail that was sent is kept as its digest alone. Leaves what stands in a mail to `csv_mail.py`.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from balise_gateway.badges.database import open_database, transaction
from balise_gateway.errors import BadgeError

FILE_NAME = "csv_mail.db"
_STEPS = (
    """
    CREATE TABLE line (
        key TEXT PRIMARY KEY, period TEXT NOT NULL, day TEXT NOT NULL, host TEXT NOT NULL, member TEXT NOT NULL,
        half_days INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE mail (
        period TEXT NOT NULL, revision INTEGER NOT NULL, digest TEXT NOT NULL, made_utc_s INTEGER NOT NULL,
        message BLOB,
        PRIMARY KEY (period, revision)
    ) WITHOUT ROWID;
    """,
)
_PUT = """
    INSERT INTO line VALUES (:key, :period, :day, :host, :member, :half_days)
    ON CONFLICT (key) DO UPDATE SET day = :day, host = :host, member = :member, half_days = :half_days
"""


class Line(NamedTuple):
    """One line of the table: no time of day."""

    day: str
    host: str
    member: str
    half_days: int


class Mail(NamedTuple):
    """A mail of a period: `message` until it was sent."""

    period: str
    revision: int
    digest: str
    made_utc_s: int
    message: bytes | None


class MailBook:
    """One file. Builds only; the first call opens it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._open: sqlite3.Connection | None = None

    def put(self, lines: Iterable[tuple[str, str, Line]]) -> None:
        """(key, period, line): a later line of a key replaces the earlier one, in the period of the first."""
        rows = [{"key": key, "period": period, **line._asdict()} for key, period, line in lines]
        with transaction(self._db) as db:
            db.executemany(_PUT, rows)

    def periods(self) -> list[str]:
        """All that have lines, the oldest first."""
        return [period for (period,) in self._rows("SELECT DISTINCT period FROM line ORDER BY period")]

    def lines(self, period: str) -> list[Line]:
        """By day, place and member."""
        query = """SELECT day, host, member, sum(half_days) FROM line WHERE period = ?
                   GROUP BY day, host, member HAVING sum(half_days) > 0 ORDER BY day, host, member"""
        return [Line(*row) for row in self._rows(query, period)]

    def last(self, period: str) -> Mail | None:
        """The newest mail of this period."""
        query = "SELECT * FROM mail WHERE period = ? ORDER BY revision DESC LIMIT 1"
        rows = self._rows(query, period)
        return Mail(*rows[0]) if rows else None

    def add(self, mail: Mail) -> None:
        """Is on the disk when this returns."""
        with transaction(self._db) as db:
            db.execute("INSERT INTO mail VALUES (?, ?, ?, ?, ?)", mail)

    def waiting(self) -> list[Mail]:
        """Those not sent yet, in the order of their making."""
        query = "SELECT * FROM mail WHERE message IS NOT NULL ORDER BY made_utc_s, period, revision"
        return [Mail(*row) for row in self._rows(query)]

    def sent(self, mail: Mail) -> None:
        """It is not sent again."""
        with transaction(self._db) as db:
            db.execute("UPDATE mail SET message = NULL WHERE period = ? AND revision = ?", mail[:2])

    def forget(self, period: str) -> None:
        """Its lines are gone; of its mails the digests stay."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM line WHERE period = ?", (period,))

    def close(self) -> None:
        """May be called twice."""
        db, self._open = self._open, None
        if db is not None:
            db.close()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = open_database(self.path, _STEPS)
        return self._open

    def _rows(self, query: str, *words: str) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, words).fetchall()
        except sqlite3.Error as error:
            raise BadgeError(f"{self.path}: {error}; check the disk") from error
