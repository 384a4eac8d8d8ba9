"""The gateway's signing key, and how any key file is made: 32 raw bytes, once, readable by its owner only.

Promises that a key is never made twice over another and never read from a file that others can read.
Leaves signing to `balise_wire.envelope`, and a place's own two keys to `badges/cards/keys.py`.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from balise_gateway.disk import make_folder, sync_folder
from balise_gateway.errors import KeyFileError
from balise_wire.envelope import Signer

FILE_NAME = "signing.key"
SEED_BYTES = 32
_MODE = 0o600


@dataclass(frozen=True)
class KeyFile:
    """One kind of key file. The texts are for people: what it is, how it comes to be, what to do without it."""

    name: str
    what: str
    made_by: str
    if_lost: str

    def load_or_make(self, folder: Path) -> bytes:
        """The seed; the file is made when there is none. Raises KeyFileError."""
        path = folder / self.name
        if not path.exists():
            self._make(path)
        return self._read(path)

    def load(self, folder: Path) -> bytes:
        """The seed of a file that was made before. Raises KeyFileError."""
        path = folder / self.name
        if not path.exists():
            raise KeyFileError(f"{path}: no {self.what} yet; {self.made_by}")
        return self._read(path)

    def _make(self, path: Path) -> None:
        """Writes a new key beside its place, then links it there: a power cut leaves a whole key or none."""
        draft = path.with_name(f"{path.name}.new")
        try:
            make_folder(path.parent)
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
                f"{path}: cannot make the {self.what} ({error.strerror}); is the folder writable?"
            ) from error

    def _read(self, path: Path) -> bytes:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            seed = path.read_bytes()
        except OSError as error:
            raise KeyFileError(f"{path}: cannot read the {self.what} ({error.strerror})") from error
        if mode & 0o077:
            raise KeyFileError(f"{path}: others can read the {self.what} (mode {mode:04o}); try: chmod 600 {path}")
        if len(seed) != SEED_BYTES:
            raise KeyFileError(f"{path}: {len(seed)} bytes instead of {SEED_BYTES}; {self.if_lost}")
        if not any(seed):
            raise KeyFileError(f"{path}: nothing but zeros, which everybody knows; {self.if_lost}")
        return seed


_SIGNING = KeyFile(
    FILE_NAME,
    "signing key",
    "start the gateway once with 'balise gateway run'",
    "restore it from your backup, or move it away and enrol the new key that the next start makes",
)


def load_or_make(data_dir: Path) -> Signer:
    """The signer of this gateway; its key file is made when there is none. Raises KeyFileError."""
    return Signer(_SIGNING.load_or_make(data_dir))


def load(data_dir: Path) -> Signer:
    """The signer of a gateway that has run before. Raises KeyFileError."""
    return Signer(_SIGNING.load(data_dir))
