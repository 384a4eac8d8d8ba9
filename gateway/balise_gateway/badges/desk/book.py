"""The book of taps, `badges.db`: what was shown here, kept before anybody is told that it counts.

Promises that a tap which was written is there after a power cut, that its number is never given twice, and that times
older than the place keeps them are gone. A tap holds no UID, no card number and no name. Leaves the signed item to the
journal: a row with `said` 0 is not there yet.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.badges.database import leave_no_trace, open_database, transaction, years_of

FILE_NAME = "badges.db"
NOTE_S = 3_600
STEPS = (
    """
    CREATE TABLE note (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE tap (
      tap INTEGER PRIMARY KEY, utc_s INTEGER, unsure_s INTEGER NOT NULL,
      boot INTEGER NOT NULL, ticks_s INTEGER NOT NULL,
      reader TEXT NOT NULL, via TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
      home TEXT, who BLOB, grade INTEGER, client TEXT, said INTEGER NOT NULL
    );
    CREATE INDEX tap_of_who ON tap (who, utc_s);
    CREATE INDEX tap_unsaid ON tap (said) WHERE said = 0;
    CREATE TABLE provisional (
      tap INTEGER PRIMARY KEY, home TEXT NOT NULL, token BLOB NOT NULL, year INTEGER NOT NULL
    );
    CREATE TABLE sun (tap INTEGER PRIMARY KEY, home TEXT NOT NULL, uri TEXT NOT NULL);
    """,
)
FORGET_AT_ONCE = -1
SPARE_TAPS, SPARE_STARTS = 1 << 20, 1 << 16  # as many may have come since a backup
_FORGOT = "forgot day"
_SHOWN = "shown "  # and the verdict: a note that counts
_COLUMNS = "tap, utc_s, unsure_s, boot, ticks_s, reader, via, state, reason, home, who, grade, client, said"


@dataclass(frozen=True)
class Tap:
    """One card that was shown. `who` is None where nothing was recorded: the card was not known, or refused.

    `utc_s` is None while the clock is not known; `boot` and `ticks_s` always are. `said`: its visit is in the journal.
    """

    tap: int
    utc_s: int | None
    unsure_s: int
    boot: int
    ticks_s: int
    reader: str
    via: str
    state: str
    reason: str
    home: str | None
    who: bytes | None
    grade: int | None
    client: str | None
    said: bool


@dataclass(frozen=True)
class Provisional:
    """A tap whose home had not said a pseudonym yet."""

    tap: int
    home: str
    token: bytes
    year: int
    was: bytes


class Book:
    """The file, open. `start` counts this run of the gateway: a clock domain of its own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._db: sqlite3.Connection | None = None
        self.start, self._noted_utc_s = 0, -NOTE_S

    def open(self) -> None:
        """Opens the file, and counts one start more when this run has none yet. Raises BadgeError."""
        if self._db is None:
            self._db = open_database(self._path, STEPS)
            if self.start:
                return
            with transaction(self.db):
                self.start = self._note("starts") + 1
                self._set("starts", self.start)

    def go_on_as(self, before: "Book") -> None:
        """This is still the same run of the gateway: its ticks go on, and so does its clock domain."""
        self.start = before.start

    @property
    def db(self) -> sqlite3.Connection:
        """The connection; only after `open`."""
        if self._db is None:
            raise RuntimeError("the book of taps is not open")
        return self._db

    def close(self) -> None:
        """Closes the file; harmless when it is closed."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def write(self, tap: Tap, provisional: Provisional | None = None, sun_uri: str = "") -> int:
        """Writes a tap, under the next number whatever it says; returns the number. Raises BadgeError."""
        with transaction(self.db) as db:
            number = self._note("next_tap") + 1
            self._set("next_tap", number)
            shown = _SHOWN + _verdict(tap.state, tap.reason)
            self._set(shown, self._note(shown) + 1)
            row = (number, *(getattr(tap, name) for name in _COLUMNS.split(", ")[1:]))
            db.execute(f"INSERT INTO tap VALUES ({', '.join('?' * len(row))})", row)
            if provisional is not None:
                waits = (number, provisional.home, provisional.token, provisional.year)
                db.execute("INSERT INTO provisional VALUES (?, ?, ?, ?)", waits)
            if sun_uri:
                db.execute("INSERT INTO sun VALUES (?, ?, ?)", (number, tap.home, sun_uri))
        return number

    def unsaid(self) -> list[Tap]:
        """The recorded taps that are not in the journal yet, oldest first."""
        return list(self._taps("said = 0 ORDER BY tap"))

    def date(self, tap: int, utc_s: int, unsure_s: int) -> None:
        """The time of a tap has become known: from now on it is this."""
        with transaction(self.db) as db:
            db.execute("UPDATE tap SET utc_s = ?, unsure_s = ? WHERE tap = ?", (utc_s, unsure_s, tap))

    def note_said(self, taps: Sequence[int]) -> None:
        """These are in the journal."""
        with transaction(self.db) as db:
            db.executemany("UPDATE tap SET said = 1 WHERE tap = ?", [(tap,) for tap in taps])

    def of_day(self, who: bytes, since_utc_s: int) -> list[int]:
        """When this person's card was shown here since then, in order."""
        found = self.db.execute("SELECT utc_s FROM tap WHERE who = ? AND utc_s >= ? ORDER BY utc_s", (who, since_utc_s))
        return [utc_s for (utc_s,) in found]

    def visits_since(self, utc_s: int) -> list[Tap]:
        """All that were recorded since then, in order."""
        return list(self._taps("who IS NOT NULL AND utc_s >= ? ORDER BY utc_s, tap", (utc_s,)))

    def provisional(self) -> list[Provisional]:
        """Taps in the journal that wait for their home's pseudonym."""
        query = (
            "SELECT p.tap, p.home, p.token, p.year, t.who FROM provisional p JOIN tap t USING (tap) WHERE t.said = 1"
        )
        return [Provisional(*row) for row in self.db.execute(f"{query} ORDER BY p.tap")]

    def resolve(self, tap: int, who: bytes) -> None:
        """The home has said who that was."""
        with transaction(self.db) as db:
            db.execute("UPDATE tap SET who = ? WHERE tap = ?", (who, tap))
            db.execute("DELETE FROM provisional WHERE tap = ?", (tap,))

    def sun_waiting(self) -> list[tuple[Tap, str]]:
        """Taps whose SUN message their home has not verified yet, with the message."""
        uris = dict(self.db.execute("SELECT tap, uri FROM sun").fetchall())
        return [(tap, uris[tap.tap]) for tap in self._taps("tap IN (SELECT tap FROM sun) ORDER BY tap")]

    def sun_answered(self, tap: int, grade: int | None, refused: str = "") -> None:
        """The home has verified the message (its grade), or refused it (None, and why)."""
        with transaction(self.db) as db:
            if grade is not None:
                db.execute("UPDATE tap SET grade = ? WHERE tap = ?", (grade, tap))
            else:
                db.execute("UPDATE tap SET reason = ? WHERE tap = ?", (refused, tap))
            db.execute("DELETE FROM sun WHERE tap = ?", (tap,))

    def note_utc(self, utc_s: int) -> None:
        """The clock is known and says this: a bracket for taps of a start that never knew the time.

        Written once an hour at most: cards wear out.
        """
        if 0 <= utc_s - self._noted_utc_s < NOTE_S:
            return
        first = f"first utc of start {self.start}"
        with transaction(self.db):
            if not self._note(first):
                self._set(first, utc_s)
            self._set(f"last utc of start {self.start}", utc_s)
        self._noted_utc_s = utc_s

    def last_known_utc_s(self) -> int:
        """The latest time that is known to have been; 0 when none is."""
        query = "SELECT max(value) FROM note WHERE name GLOB 'last utc of start *'"
        (last_s,) = self.db.execute(query).fetchone()
        return int(last_s or 0)

    def bracket(self, start: int) -> tuple[int, int] | None:
        """(not before, not after) in UTC seconds for a start without any; None where one side is open."""
        edges = dict(self.db.execute("SELECT name, value FROM note WHERE name GLOB '* utc of start *'").fetchall())
        before = [v for name, v in edges.items() if name.startswith("last") and _start_of(name) < start]
        after = [v for name, v in edges.items() if name.startswith("first") and _start_of(name) > start]
        return (max(before), min(after)) if before and after else None

    def forget(self, before_utc_s: int) -> int:
        """Deletes taps of before then; those of an unknown time when a later one goes. Returns how many."""
        with transaction(self.db) as db:
            (last,) = db.execute("SELECT max(tap) FROM tap WHERE utc_s < ?", (before_utc_s,)).fetchone()
            gone = db.execute("DELETE FROM tap WHERE utc_s < ? OR (utc_s IS NULL AND tap < ?)", (before_utc_s, last))
            for table in ("provisional", "sun"):
                db.execute(f"DELETE FROM {table} WHERE tap NOT IN (SELECT tap FROM tap)")
        leave_no_trace(self.db)
        return gone.rowcount

    @property
    def forgot_day(self) -> int:
        """The day since 1970-01-01 on which taps were last forgotten; 0: never; FORGET_AT_ONCE after a restore."""
        return self._note(_FORGOT)

    def note_forgot(self, day: int) -> None:
        """Taps were forgotten on this day."""
        with transaction(self.db):
            self._set(_FORGOT, day)

    def years(self) -> list[int]:
        """The years (UTC) of which there are taps."""
        return years_of(self.db, "tap")

    def erase(self, pseudonyms: Sequence[bytes]) -> int:
        """Deletes all taps of these pseudonyms; returns how many."""
        marks = ", ".join("?" * len(pseudonyms))
        with transaction(self.db) as db:
            gone = db.execute(f"DELETE FROM tap WHERE who IN ({marks})", tuple(pseudonyms))
            for table in ("provisional", "sun"):
                db.execute(f"DELETE FROM {table} WHERE tap NOT IN (SELECT tap FROM tap)")
        leave_no_trace(self.db)
        return gone.rowcount

    def counts(self) -> dict[str, int]:
        """How many taps had which verdict, those with a reason by it."""
        query = "SELECT state, reason, count(*) FROM tap GROUP BY state, reason ORDER BY state, reason"
        return {_verdict(state, reason): n for state, reason, n in self.db.execute(query)}

    def shown(self) -> dict[str, int]:
        """The same of all taps there ever were, also those that are forgotten."""
        found = self.db.execute(f"SELECT name, value FROM note WHERE name GLOB '{_SHOWN}*' ORDER BY name")
        return {name.removeprefix(_SHOWN): value for name, value in found}

    def _taps(self, where: str, values: Sequence[object] = ()) -> Iterator[Tap]:
        for row in self.db.execute(f"SELECT {_COLUMNS} FROM tap WHERE {where}", tuple(values)):
            yield Tap(**dict(zip(_COLUMNS.split(", "), (*row[:-1], bool(row[-1])), strict=True)))

    def _note(self, name: str) -> int:
        row = self.db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _set(self, name: str, value: int) -> None:
        self.db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))


def make_older(db: sqlite3.Connection) -> str:
    """A copy from a backup: numbers and starts that came after it are left out; old taps go at the first look."""
    for name, spare in (("next_tap", SPARE_TAPS), ("starts", SPARE_STARTS)):
        db.execute("INSERT INTO note VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = value + ?2", (name, spare))
    db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (_FORGOT, FORGET_AT_ONCE))
    # These have got a time since, and were said with it; said again, without one, each would be a second visit.
    undated = db.execute("UPDATE tap SET said = 1 WHERE said = 0 AND utc_s IS NULL").rowcount
    return f"{undated} taps had no time yet at the backup; if no partner has them, note them by hand" if undated else ""


def _verdict(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state


def _start_of(name: str) -> int:
    return int(name.rpartition(" ")[2])
