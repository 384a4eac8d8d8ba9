"""The gateway's signing key: one file of 32 raw bytes, made on first run, readable by its owner only.

Promises that a key is never made twice over another and never read from a file that others can read.
Leaves signing to `balise_wire.envelope`.
"""

import os
import stat
from pathlib import Path

from balise_gateway.disk import sync_folder
from balise_gateway.errors import KeyFileError
from balise_wire.envelope import Signer

FILE_NAME = "signing.key"
SEED_BYTES = 32
_MODE = 0o600


def load_or_make(data_dir: Path) -> Signer:
    """The signer of this gateway; its key file is made when there is none. Raises KeyFileError."""
    path = data_dir / FILE_NAME
    if not path.exists():
        _make(path)
    return Signer(_read(path))


def load(data_dir: Path) -> Signer:
    """The signer of a gateway that has run before. Raises KeyFileError."""
    path = data_dir / FILE_NAME
    if not path.exists():
        raise KeyFileError(f"{path}: no signing key yet; start the gateway once with 'balise gateway run'")
    return Signer(_read(path))


def _make(path: Path) -> None:
    """Writes a new key beside its place, then links it there: a power cut leaves a whole key or none."""
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(SEED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails when somebody else was faster: never over another key
        draft.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        draft.unlink(missing_ok=True)
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot make the signing key ({error.strerror}); is the folder writable?"
        ) from error


def _read(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        seed = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read the signing key ({error.strerror})") from error
    if mode & 0o077:
        raise KeyFileError(f"{path}: others can read the signing key (mode {mode:04o}); try: chmod 600 {path}")
    if len(seed) != SEED_BYTES:
        raise KeyFileError(
            f"{path}: {len(seed)} bytes instead of {SEED_BYTES}; restore it from your backup, or move it away "
            "and enrol the new key that the next start makes"
        )
    return seed
