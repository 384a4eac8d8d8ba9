"""Billing lines: what is kept for the accounts, in a store of its own without a single time.

Taps with times are forgotten after at most 90 days; lines are accounting evidence and kept for ten years (Code de
commerce, article L123-22): agreement, period, host, home, pseudonym, day, half-days, flags. Promises that no time, no
tap and no grade gets in, that a month that is drawn up again replaces itself, and that what is over ten years old goes.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from balise_gateway.badges.billing.agreement import Agreement
from balise_gateway.badges.billing.sessions import Session
from balise_gateway.badges.billing.settlement import is_billed
from balise_gateway.badges.database import open_database, transaction

FILE_NAME = "billing.db"
KEEP_YEARS = 10
FORGOTTEN_DAYS = 90  # how long a place may keep times at most
_STEPS = (
    """CREATE TABLE line (agreement TEXT NOT NULL, period TEXT NOT NULL, host TEXT NOT NULL, home TEXT NOT NULL,
        who TEXT NOT NULL, day TEXT NOT NULL, half_days INTEGER NOT NULL, flags TEXT NOT NULL, client TEXT NOT NULL,
        PRIMARY KEY (host, home, who, day)) WITHOUT ROWID, STRICT;""",
)


@dataclass(frozen=True)
class Line:
    """One day of one person at one host, as it was billed. `period` is the month of the day."""

    agreement: str
    period: str
    host: str
    home: str
    who: str
    day: str
    half_days: int
    flags: tuple[str, ...]
    client: str


@dataclass(frozen=True)
class Count:
    """What an employer may know: how many half-days of a month, and where."""

    month: str
    host: str
    half_days: int


class Lines:
    """The file of billing lines of one place."""

    def __init__(self, data_dir: Path) -> None:
        self._db = open_database(data_dir / FILE_NAME, _STEPS)

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    def keep(self, sessions: Iterable[Session], agreement: Agreement, today: date) -> int:
        """Keeps the billed sessions of a bill instead of the ones of the same months; tells how many.

        A month whose visits are being forgotten already keeps the lines that it has: fewer would come of it now.
        """
        whole_from = today - timedelta(days=FORGOTTEN_DAYS)
        done = {line.period for line in self.all() if date.fromisoformat(f"{line.period}-01") <= whole_from}
        billed = [each for each in sessions if is_billed(each, agreement) and f"{each.day:%Y-%m}" not in done]
        months = {f"{session.day:%Y-%m}" for session in billed}
        with transaction(self._db) as db:
            db.executemany("DELETE FROM line WHERE agreement = ? AND period = ?", [(agreement.id, m) for m in months])
            db.executemany(
                "INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(session, agreement.id) for session in billed],
            )
        self.forget(today)
        return len(billed)

    def forget(self, today: date) -> int:
        """Erases what is over ten years old; tells how many lines."""
        with transaction(self._db) as db:
            return db.execute(
                "DELETE FROM line WHERE day < ?", (f"{today.year - KEEP_YEARS:04}-{today:%m-%d}",)
            ).rowcount

    def all(self, period: str | None = None) -> list[Line]:
        """All lines, or those of one month, sorted."""
        rows = self._db.execute(
            "SELECT * FROM line WHERE ?1 IS NULL OR period = ?1 ORDER BY host, home, who, day", (period,)
        )
        return [
            Line(agreement, month, host, home, who, day, half_days, tuple(json.loads(flags)), client)
            for agreement, month, host, home, who, day, half_days, flags, client in rows
        ]

    def counts(self, client: str, home: str) -> list[Count]:
        """Half-days by month and host of one client of this home: no day and no pseudonym."""
        rows = self._db.execute(
            "SELECT period, host, sum(half_days) FROM line WHERE client = ? AND home = ?"
            " GROUP BY period, host ORDER BY period, host",
            (client, home),
        )
        return [Count(*row) for row in rows]


def _row(session: Session, agreement: str) -> tuple[object, ...]:
    day = session.day.isoformat()
    flags = json.dumps(session.flags)
    who = session.host, session.home, session.who
    return agreement, day[:7], *who, day, session.half_days, flags, session.client
