"""Which tables a journal has: made, recognised, and brought from any released schema to the newest.

`schema_N.sql` is the step from schema N-1 to N: a new journal takes all of them, an older one those that it lacks, so
that both end with the same tables. Promises that a migration is one transaction: after a power cut or on a full disk
the file is of the old schema or of the new one, whole, and no copy is needed. Leaves damaged files to `salvage.py`.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from balise_gateway.errors import JournalDamaged, JournalUnavailable
from balise_gateway.journal.tables import ENVELOPE, TABLES, Row, Table

VERSION = 2
APPLICATION_ID = 0x42414C49  # "BALI"
_MAX_PROBLEMS = 20

Described = list[tuple[str, str, str | None]]


def make_schema(db: sqlite3.Connection, version: int = VERSION) -> None:
    """The tables of a version, in one transaction."""
    _take_steps(db, 0, version)


def migrate(db: sqlite3.Connection) -> tuple[int, int]:
    """Brings a sound journal to the newest schema; returns (schema before, schema now)."""
    before = version_of(db)
    if before < VERSION:
        _take_steps(db, before, VERSION)
    return before, VERSION


def make_if_new(db: sqlite3.Connection) -> None:
    """Makes the tables in a file that has none."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if pages <= 1 and not tables:
        make_schema(db)


def version_of(db: sqlite3.Connection) -> int:
    """The schema that the file says it has."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def problems(db: sqlite3.Connection, newest_envelopes: int | None = None) -> Iterator[str]:
    """What is wrong with a journal of any released schema, first in SQLite's eyes, then in each row's checksum.

    With a number, only so many envelopes of each log are looked at: they are nearly all of a large journal. Raises
    JournalUnavailable for one that a newer Balise has written.
    """
    version = version_of(db)
    if version > VERSION and _described(db) not in map(_wanted, range(1, VERSION + 1)):
        raise JournalUnavailable(f"written by a newer Balise (schema {version}, this is {VERSION}); update this one")
    if not 0 < version <= VERSION:
        yield f"version {version} instead of {VERSION}"
        return
    if _described(db) != _wanted(version):
        yield f"the tables are not those of schema {version}"
        return  # nothing below would be worth reading
    tables = [table for table in TABLES if table.since <= version]
    yield from _damage(db, tables, newest_envelopes)


def _damage(db: sqlite3.Connection, tables: list[Table], newest_envelopes: int | None) -> Iterator[str]:
    whole = newest_envelopes is None
    for what in [_MAX_PROBLEMS] if whole else [table.name for table in tables if table is not ENVELOPE]:
        found = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({what})")]
        if found != ["ok"]:
            yield from found
            return
    for table in tables:
        try:
            for _ in table.read(db) if whole or table is not ENVELOPE else _newest(db, newest_envelopes):
                pass  # to read a row is to check it
        except JournalDamaged as error:
            yield str(error)


def _newest(db: sqlite3.Connection, count: int | None) -> Iterator[Row]:
    """That many envelopes of each log."""
    for (log,) in db.execute("SELECT log FROM log").fetchall():
        yield from ENVELOPE.read(db, "log = ? ORDER BY seq DESC LIMIT ?", (log, count))


def _take_steps(db: sqlite3.Connection, before: int, version: int) -> None:
    steps = [
        files("balise_gateway.journal").joinpath(f"schema_{number}.sql").read_text(encoding="utf-8")
        for number in range(before + 1, version + 1)
    ]
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"
    try:
        db.executescript(f"BEGIN IMMEDIATE; {' '.join(steps)} {marks} COMMIT;")
    finally:
        if db.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                db.execute("ROLLBACK")


def _described(db: sqlite3.Connection) -> Described:
    return sorted(db.execute("SELECT type, name, sql FROM sqlite_schema").fetchall())


@cache
def _wanted(version: int) -> Described:
    db = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.closing(db):
        make_schema(db, version)
        return _described(db)
