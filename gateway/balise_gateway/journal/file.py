"""The journal's file: opened, checked, salvaged when damaged, and written in whole transactions.

Promises that a transaction is on disk when `transaction()` returns, or that nothing of it is; that errors say whether
the disk refuses for now (JournalUnavailable) or holds other bytes than were written (JournalDamaged); and that one
gateway uses a folder at a time. Leaves what the rows mean to `intake.py`, `logs.py` and `status.py`.
"""

import contextlib
import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from balise_gateway.disk import make_folder, make_private
from balise_gateway.errors import JournalDamaged, JournalError, JournalUnavailable
from balise_gateway.journal import salvage, schema, tables
from balise_gateway.journal.pages import PAGE_BYTES
from balise_gateway.log import event

CHECKED_BYTES = 64 << 20  # a larger journal is not read whole at each start: one of 1 GB would take a Pi Zero minutes
CHECKED_ENVELOPES = 1_000  # the newest of each log, which a power cut may have hurt
AUDIT_ENVELOPES, AUDIT_BYTES = 500, 1 << 20  # read in one go while the gateway runs
CHECKPOINT_PAGES = 16_384  # 16 MiB: a page that changes in many commits is copied into the file once
FILE_NAME, LOCK_NAME = "journal.db", "journal.lock"

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "the file or its disk is read-only; check permissions and mount options",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that the folder exists and is writable",
    sqlite3.SQLITE_PERM: "the file cannot be written; check its permissions",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check it, and your card",
    sqlite3.SQLITE_BUSY: "another program holds the file; stop it",
    sqlite3.SQLITE_LOCKED: "another program holds the file; stop it",
    sqlite3.SQLITE_NOMEM: "the computer is out of memory",
}
_START_ONCE = "start the gateway once with 'balise gateway run'"
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Journal:
    """One journal. Building it touches nothing; `open` does."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.path = folder / FILE_NAME
        self._origin = origin
        self.generation = 0  # rises with each opening: what was remembered of an earlier one is void
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._is_suspect = False  # damage was met: the next opening looks at everything
        self._audited: tuple[int, int] | None = None  # (log, seq) of the envelope that was read last

    @property
    def db(self) -> sqlite3.Connection:
        """The open connection, for reading."""
        if self._db is None:
            raise JournalUnavailable(f"{self.path}: not open")
        return self._db

    def open(self) -> None:
        """Opens the journal, makes it when there is none, and salvages it when it is damaged (loss items tell).

        Raises JournalUnavailable when the disk refuses; then nothing is open and it may be tried again.
        """
        if self._db is not None:
            return
        try:
            self._take_lock()
            salvage.finish_interrupted(self.path)
            problems = self._connect_and_check()
            if problems:
                self._rescue(problems)
            self.generation += 1
        except OSError as error:
            self.close()
            raise JournalUnavailable(f"{self.path}: {error.strerror}; check the folder and its disk") from error
        except (sqlite3.Error, JournalError) as error:
            self.close()
            raise (error if isinstance(error, JournalError) else told(error, self.path)) from error

    def close(self) -> None:
        """Closes the file; harmless when it is closed."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):  # a full disk: what was committed stays in the write-ahead log
                self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """`with journal.alone():` no gateway uses this folder meanwhile. Raises JournalUnavailable when one does."""
        self._take_lock()
        try:
            yield
        finally:
            self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """`with journal.transaction() as db:` all of it is on disk afterwards, or nothing. Never await inside.

        Raises JournalUnavailable or JournalDamaged; after the second the file is closed, and `open` will salvage it.
        """
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except (sqlite3.Error, JournalDamaged) as error:
            raise self.fault(error) from error
        finally:
            if self._db is not None and db.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    db.execute("ROLLBACK")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """`with journal.reading() as db:` the errors of `transaction`, and nothing written: it works on a full disk."""
        try:
            yield self.db
        except (sqlite3.Error, JournalDamaged) as error:
            raise self.fault(error) from error

    def leave_no_trace(self) -> None:
        """What was deleted is gone from the write-ahead log too; while somebody reads, it stays until the next time.

        Raises JournalUnavailable or JournalDamaged.
        """
        with self.reading() as db:
            (patience_ms,) = db.execute("PRAGMA busy_timeout").fetchone()
            db.execute("PRAGMA busy_timeout = 0")
            try:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                db.execute(f"PRAGMA busy_timeout = {patience_ms}")

    def audit(self) -> None:
        """Reads some envelopes, beginning anywhere and then in turn, so that all are read within days.

        Raises JournalUnavailable or JournalDamaged as `transaction`: what nobody asks for is found damaged all the
        same, while other copies still exist.
        """
        with self.reading() as db:
            start = self._audited or _anywhere(db)
            where = f"(log, seq) > (?, ?) ORDER BY log, seq LIMIT {AUDIT_ENVELOPES}"
            size, self._audited = 0, None
            for row in tables.ENVELOPE.read(db, where, start):
                size, self._audited = size + len(row[5]), (row[0], row[1])
                if size > AUDIT_BYTES:
                    return

    def fault(self, error: sqlite3.Error | JournalError) -> JournalError:
        """The same fault as one of ours; a damaged file is closed, so that the next `open` salvages it."""
        fault = error if isinstance(error, JournalError) else told(error, self.path)
        if isinstance(fault, JournalDamaged):
            self._is_suspect = True
            self.close()
        return fault

    def _take_lock(self) -> None:
        make_folder(self.path.parent)
        if self._lock is None:
            self._lock = os.open(self.path.parent / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise JournalUnavailable(f"{self.path}: another gateway uses this folder; stop it first") from error

    def _connect_and_check(self) -> list[str]:
        """Opens the file; what is wrong with it, nothing when all is well."""
        try:
            if not self.path.is_dir():  # of which SQLite says what is wrong
                make_private(self.path)
            self._db = sqlite3.connect(self.path, isolation_level=None)
            _prepare(self._db)
            schema.make_if_new(self._db)
            is_large = self.path.stat().st_size > CHECKED_BYTES and not self._is_suspect
            problems = list(schema.problems(self._db, CHECKED_ENVELOPES if is_large else None))
            if not problems:
                self._migrate(self._db)
                self._is_suspect = False
            return problems
        except sqlite3.DatabaseError as error:
            if _code(error) in _ADVICE:
                raise
            return [str(error)]  # whatever else SQLite says of a file that only we write is damage
        except UnicodeDecodeError:  # what SQLite says quotes a damaged schema
            return ["the schema is damaged"]

    def _migrate(self, db: sqlite3.Connection) -> None:
        before, now = schema.migrate(db)
        if before < now:
            event("journal migrated", file=self.path, from_schema=before, to_schema=now)

    def _rescue(self, problems: list[str]) -> None:
        """The damaged file is set aside; what is readable goes into a new one, which says what is missing."""
        event("journal damaged", file=self.path, found="; ".join(problems[:3]))
        if self._db is not None:
            self._db.close()
            self._db = None
        aside = salvage.set_aside(self.path)
        kept = salvage.rebuild(aside, self.path, self._origin, schema.make_schema)
        event("journal salvaged", damaged=aside.name, **kept)
        self._db = sqlite3.connect(self.path, isolation_level=None)
        _prepare(self._db)


def _anywhere(db: sqlite3.Connection) -> tuple[int, int]:
    """Behind some envelope, another one after each start."""
    (count,) = db.execute("SELECT count(*) FROM envelope").fetchone()
    place = zlib.crc32(tables.count(db, "next_entry").to_bytes(8, "big")) % max(1, count)
    query = "SELECT log, seq FROM envelope ORDER BY log, seq LIMIT 1 OFFSET ?"
    log, seq = db.execute(query, (place,)).fetchone() or (0, 0)
    return int(log), int(seq) - 1


def open_to_read(folder: Path) -> sqlite3.Connection:
    """A connection that only reads, beside a running gateway or without one. Raises JournalError."""
    path = folder / FILE_NAME
    if not path.exists():
        raise JournalUnavailable(f"{path}: no journal yet; {_START_ONCE}")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        version = schema.version_of(db)
    except sqlite3.Error as error:
        raise told(error, path) from error
    if version != schema.VERSION:
        db.close()
        what = f"{path}: schema {version}, this Balise reads {schema.VERSION}"
        raise JournalUnavailable(f"{what}; " + ("update this one" if version > schema.VERSION else _START_ONCE))
    return db


def told(error: sqlite3.Error, path: Path) -> JournalError:
    """The same fault in our words. What only a mistake of ours can raise is raised as it is."""
    code = _code(error)
    malformed = code == sqlite3.SQLITE_ERROR and "malformed" in str(error)  # a damaged schema
    if code in _DAMAGE or malformed:
        return JournalDamaged(f"{path}: {error}")
    if code in _ADVICE:
        return JournalUnavailable(f"{path}: {_ADVICE[code]} ({error})")
    raise error


def _code(error: sqlite3.Error) -> int:
    """The primary result code; extended ones have it in their low byte (sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _prepare(db: sqlite3.Connection) -> None:
    db.text_factory = tables.text
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    db.execute("PRAGMA synchronous = FULL")  # a commit is on disk when it returns, also at a power cut
    db.execute("PRAGMA cell_size_check = ON")
    db.execute("PRAGMA secure_delete = ON")  # what is erased is gone from the file too, however SQLite was built
