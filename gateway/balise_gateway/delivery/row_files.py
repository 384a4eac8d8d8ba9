"""Monthly files that grow at their end, once per row, whatever happens in between.

How: a small SQLite file beside them (`STATE`) remembers how many bytes of each file count, and which rows are in them.
An append writes behind the bytes that count, syncs, and only then changes that memory in one transaction. So after a
kill a file's end that is not remembered is cut off, the rows come again, and each is in the files exactly once.

Promises that a row is on the disk when `append` returns. Leaves what a row looks like to `row_forms.py`. Whoever edits
these files edits against that memory: copy them instead.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from balise_gateway.errors import HubAway, HubDenied
from balise_gateway.logbook.rows import HubRow

STATE = "balise-files.db"
_SCHEMA = """
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS owner (log INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, pieces INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS written (kid BLOB, seq INTEGER, first INTEGER, last INTEGER, PRIMARY KEY (kid, seq, first))
WITHOUT ROWID;
"""
Pieces = tuple[str, str, str, list[str]]  # head, between, tail, and what is new


class RowFiles:
    """The files of one log in one folder."""

    def __init__(self, folder: Path, identity: bytes, log: int) -> None:
        self._folder, self._identity, self._log = folder, identity, log
        self._db: sqlite3.Connection | None = None

    def fresh(self, rows: Sequence[HubRow]) -> list[int]:
        """The indices of the rows that are not in the files yet. Raises HubAway, HubDenied."""
        db = self._open()
        query = "SELECT 1 FROM written WHERE kid = ? AND seq = ? AND first <= ? AND last >= ?"
        names = [(self._identity, row.seq, row.index, row.index) for row in rows]
        return [index for index, name in enumerate(names) if db.execute(query, name).fetchone() is None]

    def append(self, rows: Sequence[HubRow], texts: Mapping[str, Pieces], blobs: Mapping[str, bytes]) -> int:
        """Adds the texts to the files of these names, writes the blobs as files of their own; returns the bytes."""
        db, size = self._open(), 0
        try:
            with db:
                for name, pieces in texts.items():
                    size += self._grow(db, name, pieces)
                for name, blob in blobs.items():
                    size += self._place(db, name, blob)
                _sync(self._folder)
                self._note(db, rows)
        except OSError as error:
            raise HubAway(f"{self._folder}: {error.strerror or error}") from error
        except sqlite3.Error as error:
            raise HubAway(f"{self._folder / STATE}: {error}") from error
        return size

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> sqlite3.Connection:
        if not self._folder.exists():
            self.close()
            raise HubAway(f"{self._folder}: no such folder; make it, or mount its disk")
        if not self._folder.is_dir():
            raise HubDenied(f"{self._folder}: is not a folder")
        if self._db is None:
            try:
                self._db = self._made()
            except (sqlite3.Error, OSError) as error:
                raise HubAway(f"{self._folder / STATE}: {error}") from error
        return self._db

    def _made(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._folder / STATE)
        db.executescript(_SCHEMA)
        with db:
            owner = db.execute("SELECT log FROM owner").fetchone()
            if owner is None:
                db.execute("INSERT INTO owner VALUES (?)", (self._log,))
        if owner is not None and owner[0] != self._log:
            db.close()
            raise HubDenied(f"{self._folder}: holds the files of log {owner[0]}; give each log a folder of its own")
        known = {name for (name,) in db.execute("SELECT name FROM file")}
        for path in self._folder.glob("*/*.parquet*"):
            if path.relative_to(self._folder).as_posix() not in known:
                path.unlink()  # of a batch that was cut off
        return db

    def _grow(self, db: sqlite3.Connection, name: str, pieces: Pieces) -> int:
        """Everything behind the bytes that count is written anew, at one go: a reader finds a whole file."""
        head, between, tail, new = pieces
        path = self._folder / name
        found = db.execute("SELECT bytes, pieces FROM file WHERE name = ?", (name,)).fetchone()
        counts, count = found if found is not None and path.exists() else (0, 0)
        body = ("" if counts else head) + (between if count else "") + between.join(new)
        data = body.encode()
        with open(path, "r+b" if path.exists() else "w+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size < counts:
                raise HubDenied(f"{path}: is shorter than what was written into it; move it away, and a new one begins")
            if size > counts + len(tail.encode()):
                file.truncate(counts)
            file.seek(counts)
            file.write(data + tail.encode())
            file.flush()
            os.fsync(file.fileno())
        db.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?)", (name, counts + len(data), count + len(new)))
        return len(data)

    def _place(self, db: sqlite3.Connection, name: str, blob: bytes) -> int:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".parquet-part")
        with open(part, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync(path.parent)
        db.execute("INSERT OR REPLACE INTO file VALUES (?, ?, 1)", (name, len(blob)))
        return len(blob)

    def _note(self, db: sqlite3.Connection, rows: Iterable[HubRow]) -> None:
        """Neighbours become one range, so that an envelope is a row or two."""
        for row in rows:
            first, last = row.index, row.index
            near = "SELECT first, last FROM written WHERE kid = ? AND seq = ? AND (last = ? OR first = ?)"
            for before, after in db.execute(near, (self._identity, row.seq, first - 1, last + 1)).fetchall():
                db.execute(
                    "DELETE FROM written WHERE kid = ? AND seq = ? AND first = ?", (self._identity, row.seq, before)
                )
                first, last = min(first, before), max(last, after)
            db.execute("INSERT OR REPLACE INTO written VALUES (?, ?, ?, ?)", (self._identity, row.seq, first, last))


def _sync(folder: Path) -> None:
    """A new name is on the disk only with its folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
