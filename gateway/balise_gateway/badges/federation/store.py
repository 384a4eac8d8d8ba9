"""SQLite files and small files that only their owner reads.

Promises that a file is 0600 before anything is in it, and that what was committed outlives a power cut. Leaves tables
to their owners.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balise_gateway.disk import sync_folder
from balise_gateway.errors import BadgeError

MODE = 0o600
_PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"


def open_store(path: Path, schema: str) -> sqlite3.Connection:
    """The database at this place, made when there is none. Raises BadgeError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, MODE))
        path.chmod(MODE)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.executescript(_PRAGMAS + schema)
    except (OSError, sqlite3.Error) as error:
        raise BadgeError(f"{path}: cannot be used ({error}); is the folder there, and yours?") from error
    return db


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """What is done inside is kept as one, or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def replace_file(path: Path, data: bytes) -> None:
    """Writes beside the place, then exchanges the two: a power cut leaves the old or the new. Raises BadgeError."""
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BadgeError(f"{path}: cannot be written ({error.strerror}); is the folder there, and yours?") from error


def secret_of(path: Path, size: int) -> bytes | None:
    """The bytes of a key file, None when there is none. Raises BadgeError when others can read it, or by its size."""
    try:
        mode, data = path.stat().st_mode & 0o777, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadgeError(f"{path}: cannot be read ({error.strerror})") from error
    if mode & 0o077:
        raise BadgeError(f"{path}: others can read this key (mode {mode:04o}); try: chmod 600 {path}")
    if len(data) != size:
        raise BadgeError(f"{path}: {len(data)} bytes instead of {size}; bring it back from your backup")
    return data


def secret_made(path: Path, size: int) -> bytes:
    """The same, made of chance when there is none; never over another. Raises BadgeError."""
    found = secret_of(path, size)
    if found is not None:
        return found
    draft = path.with_name(f"{path.name}.new")
    replace_file(draft, os.urandom(size))
    try:
        os.link(draft, path)  # fails when somebody else was faster
        draft.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        draft.unlink()
    except OSError as error:
        raise BadgeError(f"{path}: cannot be made ({error.strerror}); is the folder yours?") from error
    made = secret_of(path, size)
    if made is None:
        raise BadgeError(f"{path}: was made and is gone again")
    return made
