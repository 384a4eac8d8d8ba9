"""What files need beyond writing them: that a new name, too, outlives a power cut, and that others cannot read them.

Promises nothing about contents. Leaves them to their owners.
"""

import errno
import os
import stat
from pathlib import Path

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def make_folder(path: Path) -> None:
    """The folder, and those above it that are not there, for their owner alone. Raises OSError."""
    if not path.is_dir():
        if path.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        make_folder(path.parent)
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def make_private(path: Path) -> None:
    """A file for its owner alone, whatever the umask; one that is there already becomes so. Raises OSError.

    SQLite gives the files that it makes beside a database the same mode (sqlite.org/tempfiles.html, os_unix.c); those
    of an older start are brought to it too.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
    for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        if each.exists() and stat.S_IMODE(each.stat().st_mode) & 0o077:
            each.chmod(PRIVATE_FILE)


def sync_folder(folder: Path) -> None:
    """Puts the folder's names on disk: a file that was linked or renamed is then there after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
