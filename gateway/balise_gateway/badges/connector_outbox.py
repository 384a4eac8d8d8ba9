"""What waits for the place's own software, and what it said last: one SQLite file, `connectors.db`.

Promises that a usage is on the disk when `put` returns, for each connector by itself, until that one has recorded its
newest figure; that what was refused stays with its reason; and that of what is recorded no member is remembered. Leaves
when to tell what to `connector_runner.py`.
"""

import datetime
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from balise_gateway.badges.connectors import Balance, Usage
from balise_gateway.badges.database import open_database, transaction
from balise_gateway.errors import BadgeError

FILE_NAME = "connectors.db"
KEEP_DAYS = 400  # that a figure was recorded: longer than any place keeps the taps it was made of
MAX_REASON_CHARS = 300
MOST_HALF_DAYS = 48
_RECORDED, _REFUSED = 1, 2  # 0: waiting
_STEPS = (
    """
    CREATE TABLE usage (
        connector TEXT NOT NULL, key TEXT NOT NULL, half_days INTEGER NOT NULL, day TEXT NOT NULL,
        state INTEGER NOT NULL, reason TEXT NOT NULL, member TEXT NOT NULL, client TEXT NOT NULL, host TEXT NOT NULL,
        PRIMARY KEY (connector, key)
    ) WITHOUT ROWID;
    CREATE INDEX usage_state ON usage (connector, state, day);
    CREATE TABLE balance (
        connector TEXT NOT NULL, member TEXT NOT NULL, half_days INTEGER NOT NULL, utc_s INTEGER NOT NULL,
        PRIMARY KEY (connector, member)
    ) WITHOUT ROWID;
    """,
)
_PUT = """
    INSERT INTO usage VALUES (:connector, :key, :half_days, :day, 0, '', :member, :client, :host)
    ON CONFLICT (connector, key) DO UPDATE SET half_days = :half_days, day = :day, state = 0, reason = '',
        member = :member, client = :client, host = :host
    WHERE half_days != :half_days OR (state != 1 AND (member != :member OR day != :day))
"""
_SETTLE = """
    UPDATE usage SET state = ?1, reason = ?2, member = iif(?1 = 1, '', member), client = iif(?1 = 1, '', client)
    WHERE connector = ?3 AND key = ?4 AND half_days = ?5 AND state = 0
"""


class Outbox:
    """One file. Builds only; `open` opens."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._open: sqlite3.Connection | None = None

    def open(self) -> None:
        """Opens the file or makes it; harmless when it is open. Raises BadgeError."""
        if self._open is None:
            self._open = open_database(self._path, _STEPS)

    def close(self) -> None:
        """May be called twice."""
        db, self._open = self._open, None
        if db is not None:
            db.close()

    def put(self, connectors: Iterable[str], usage: Usage) -> None:
        """This figure is to be recorded by each of these, unless it is already. Raises BadgeError."""
        _check(usage)
        told = {"key": usage.key, "half_days": usage.half_days, "day": usage.day}
        told |= {"member": usage.member, "client": usage.client, "host": usage.host}
        with transaction(self._db) as db:
            db.executemany(_PUT, [{**told, "connector": name} for name in connectors])

    def waiting(self, connector: str, most: int) -> list[Usage]:
        """The oldest days first."""
        query = """SELECT key, member, client, host, day, half_days FROM usage
                   WHERE connector = ? AND state = 0 ORDER BY day, key LIMIT ?"""
        return [Usage(*row) for row in self._rows(query, connector, most)]

    def settle(self, connector: str, told: Sequence[Usage], refused: Mapping[str, str]) -> None:
        """These were told just so; a figure that came meanwhile goes on waiting."""
        rows = []
        for usage in told:
            reason = refused.get(usage.key)
            state = _RECORDED if reason is None else _REFUSED
            rows.append((state, (reason or "")[:MAX_REASON_CHARS], connector, usage.key, usage.half_days))
        with transaction(self._db) as db:
            db.executemany(_SETTLE, rows)
            db.execute(
                """DELETE FROM usage WHERE connector = ? AND state = 1 AND day <
                   (SELECT date(max(day), ?) FROM usage WHERE connector = ?)""",
                (connector, f"-{KEEP_DAYS} days", connector),
            )

    def again(self, connector: str) -> None:
        """What was refused waits again: it may be taken now."""
        with transaction(self._db) as db:
            db.execute("UPDATE usage SET state = 0 WHERE connector = ? AND state = 2", (connector,))

    def count(self, connector: str) -> tuple[int, dict[str, int]]:
        """How many wait, and how many were refused last time, by the first words of the reason."""
        (waiting,) = self._rows("SELECT count(*) FROM usage WHERE connector = ? AND state = 0", connector)[0]
        query = "SELECT reason, count(*) FROM usage WHERE connector = ? AND state != 1 AND reason != '' GROUP BY reason"
        reasons: Counter[str] = Counter()
        for reason, number in self._rows(query, connector):
            reasons[str(reason).partition(":")[0]] += number
        return waiting, dict(reasons)

    def refused(self, connector: str) -> list[tuple[Usage, str]]:
        """What was refused last time, with the whole reason; for the people of the place alone."""
        query = """SELECT key, member, client, host, day, half_days, reason FROM usage
                   WHERE connector = ? AND state != 1 AND reason != '' ORDER BY day, key"""
        return [(Usage(*row[:6]), row[6]) for row in self._rows(query, connector)]

    def keep(self, connector: str, member: str, balance: Balance | None) -> None:
        """What this member has left, as far as this connector knows."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM balance WHERE connector = ? AND member = ?", (connector, member))
            if balance is not None:
                db.execute(
                    "INSERT INTO balance VALUES (?, ?, ?, ?)", (connector, member, balance.half_days, balance.utc_s)
                )

    def balances(self, connector: str) -> dict[str, Balance]:
        """All that this connector has told, by member."""
        query = "SELECT member, half_days, utc_s FROM balance WHERE connector = ?"
        return {member: Balance(half_days, utc_s) for member, half_days, utc_s in self._rows(query, connector)}

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            raise BadgeError(f"{self._path}: not open")
        return self._open

    def _rows(self, query: str, *words: str | int) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, words).fetchall()
        except sqlite3.Error as error:
            raise BadgeError(f"{self._path}: {error}; check the disk") from error


def _check(usage: Usage) -> None:
    try:
        is_day = datetime.date.fromisoformat(usage.day).isoformat() == usage.day
    except ValueError:
        is_day = False
    if not is_day:
        raise BadgeError(f"the day of a usage is {usage.day!r}; it must be such as 2026-03-01")
    if not usage.key or not usage.member or not 0 <= usage.half_days <= MOST_HALF_DAYS:
        raise BadgeError("a usage without key or member, or with half-days that no day has")
