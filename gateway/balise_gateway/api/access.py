"""Keys to the API: who may read which streams, how fine, for what, and until when.

Promises that a token is shown once and only its SHA-256 is kept (file `access.json`, mode 0600, written whole or not at
all); that it is compared in constant time; that a running gateway obeys a changed file with the next request; and that
a file that cannot be read lets nobody in. Leaves what a scope means to `grants/`, and HTTP to `app.py`.
"""

import dataclasses
import datetime
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from balise_gateway import settings
from balise_gateway.disk import sync_folder
from balise_gateway.errors import AccessError, ConfigError
from balise_gateway.grants.grant import Grant

FILE_NAME = "access.json"
PREFIX = "balise"
ID_BYTES, SECRET_BYTES = 6, 24
DEFAULT_PER_MIN = 60
_MODE = 0o600
_MS_PER_S = 1_000


@dataclass(frozen=True)
class Key:
    """One key. `grant` is its scope; the last day of `expires` is its last; `per_min` requests are let through."""

    id: str
    name: str
    digest: bytes = dataclasses.field(repr=False)
    grant: Grant
    expires: datetime.date
    per_min: int = DEFAULT_PER_MIN

    def is_over(self, utc_ms: int, zone: ZoneInfo) -> bool:
        """Days are the host's: in the zone of the configuration."""
        return datetime.datetime.fromtimestamp(utc_ms / _MS_PER_S, zone).date() > self.expires

    def table(self) -> dict[str, Any]:
        """As it stands in the file."""
        grant = {name: value for name, value in dataclasses.asdict(self.grant).items() if value is not None}
        whole = {"id": self.id, "name": self.name, "sha256": self.digest.hex(), "per_min": self.per_min}
        return {**whole, "expires": self.expires.isoformat(), "grant": grant}


def make(name: str, grant: Grant, expires: datetime.date, per_min: int) -> tuple[Key, str]:
    """A new key and its token, which nobody can find out again."""
    number, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return Key(number, name, _digest(secret), grant, expires, per_min), f"{PREFIX}_{number}_{secret}"


def read(data_dir: Path) -> list[Key]:
    """The keys of this gateway; none when there is no file. Raises AccessError."""
    path = data_dir / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(f"{path}: cannot be read ({error}); move it away, and give new keys") from error
    try:
        return [_key(table, number, path.name) for number, table in enumerate(json.loads(text), start=1)]
    except (ValueError, TypeError, KeyError, ConfigError) as error:
        raise AccessError(f"{path}: not a list of keys ({error}); move it away, and give new keys") from error


def write(data_dir: Path, keys: list[Key]) -> None:
    """Writes the file beside its place, then exchanges the two. Raises AccessError."""
    path = data_dir / FILE_NAME
    draft = path.with_name(f"{path.name}.new")
    text = json.dumps([key.table() for key in keys], ensure_ascii=False, indent=1, default=str)
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(data_dir)
    except OSError as error:
        raise AccessError(f"{path}: cannot be written ({error.strerror}); is the folder there, and yours?") from error


class Access:
    """The door. `now_s` is a clock that never jumps, for the rates."""

    def __init__(self, data_dir: Path, now_s: Callable[[], float]) -> None:
        self._data_dir, self._now_s = data_dir, now_s
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._spent: dict[str, tuple[float, float]] = {}  # (tokens left, when), by key

    def find(self, token: str) -> Key | None:
        """The key of this token, if there is one now. Raises AccessError."""
        self._look()
        number, _, secret = token.removeprefix(f"{PREFIX}_").partition("_")
        key = self._keys.get(number)
        same = hmac.compare_digest(_digest(secret), key.digest if key else _digest("nobody"))
        return key if same else None

    def is_known(self, key: Key) -> bool:
        """Whether this key is still there, unchanged."""
        self._look()
        return self._keys.get(key.id) == key

    def wait_s(self, key: Key) -> float:
        """Takes one request from the key's rate; 0, or how long until the next one is let through."""
        now_s = self._now_s()
        left, since_s = self._spent.get(key.id, (float(key.per_min), now_s))
        left = min(float(key.per_min), left + (now_s - since_s) * key.per_min / 60)
        if left < 1:
            self._spent[key.id] = (left, now_s)
            return (1 - left) * 60 / key.per_min
        self._spent[key.id] = (left - 1, now_s)
        return 0.0

    def _look(self) -> None:
        """Reads the file again when it has changed."""
        try:
            found = (self._data_dir / FILE_NAME).stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except FileNotFoundError:
            stamp = None
        if stamp is None or stamp != self._stamp:
            self._keys = {}  # what cannot be read lets nobody in
            self._keys = {key.id: key for key in read(self._data_dir)}
            self._stamp = stamp


def _key(table: dict[str, Any], number: int, file: str) -> Key:
    grant = dict(table["grant"])
    for day in ("first_day", "last_day"):
        if day in grant:
            grant[day] = datetime.date.fromisoformat(grant[day])
    return Key(
        str(table["id"]),
        str(table["name"]),
        bytes.fromhex(table["sha256"]),
        settings.build(Grant, grant, f"key {number}: grant", file),
        datetime.date.fromisoformat(table["expires"]),
        max(1, int(table["per_min"])),
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
