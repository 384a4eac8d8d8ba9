"""The badges' SQLite files: opened with the right to read for their owner only, of a known schema, safe at a power cut.

Promises that a file of another program or of a newer Balise is not touched. Leaves tables to their modules: each gives
its steps, of which number N brings schema N-1 to N.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from balise_gateway.disk import make_folder, make_private
from balise_gateway.errors import BadgeError

APPLICATION_ID = 0x42414C42  # "BALB"
_PATIENCE = "PRAGMA busy_timeout = 5000"  # a command may read or write beside the gateway


def open_database(path: Path, steps: Sequence[str], *, any_thread: bool = False) -> sqlite3.Connection:
    """The file, made or brought to the newest schema. Raises BadgeError with what to try.

    With `any_thread` the caller sees to it that only one thread uses it at a time.
    """
    try:
        make_folder(path.parent)
        make_private(path)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=not any_thread)
    except (OSError, sqlite3.Error) as error:
        raise BadgeError(f"{path}: cannot be opened ({error}); is the folder there, and yours?") from error
    try:
        _prepare(db, path, steps)
    except sqlite3.Error as error:
        db.close()
        raise BadgeError(f"{path}: {error}; set it aside and restore it from a backup") from error
    except BadgeError:
        db.close()
        raise
    return db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it is on disk afterwards, or nothing. Raises BadgeError. Never await inside."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise BadgeError(f"nothing was written: {error}; check the disk") from error
    finally:
        if db.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                db.execute("ROLLBACK")


def leave_no_trace(db: sqlite3.Connection) -> None:
    """What was deleted is gone from the write-ahead log too, which SQLite else overwrites only as it is used again.

    Waits for nobody: while a command reads beside the gateway the log stays, until the next time. Raises BadgeError.
    """
    try:
        db.execute("PRAGMA busy_timeout = 0")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise BadgeError(f"what was deleted still stands in the write-ahead log: {error}; check the disk") from error
    finally:
        db.execute(_PATIENCE)


def years_of(db: sqlite3.Connection, table: str) -> list[int]:
    """The years (UTC) that stand in the column `utc_s` of a table."""
    query = f"SELECT DISTINCT CAST(strftime('%Y', utc_s, 'unixepoch') AS INTEGER) FROM {table} WHERE utc_s IS NOT NULL"
    return [year for (year,) in db.execute(query)]


def _prepare(db: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten is gone from the file too
    db.execute(_PATIENCE)
    (made_by,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if made_by != APPLICATION_ID and tables:
        raise BadgeError(f"{path}: not a file of Balise's badges; name another data_dir, or move it away")
    if version > len(steps):
        raise BadgeError(f"{path}: of a newer Balise (schema {version}, this is {len(steps)}); update this one")
    if version < len(steps):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(steps)};"
        db.executescript(f"BEGIN IMMEDIATE; {' '.join(steps[version:])} {marks} COMMIT;")
