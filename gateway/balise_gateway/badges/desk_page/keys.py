"""Who may use the desk page of which guest place: one token per place, shown once.

Promises that only the token's SHA-256 is kept (`desks.json`, mode 0600), that it is compared in constant time, that a
running gateway obeys a changed file with the next request, and that a file which cannot be read lets nobody in.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from balise_gateway.badges.files import replace_file
from balise_gateway.errors import BadgeError
from balise_wire.errors import WireError
from balise_wire.visits import place_of

FILE_NAME = "desks.json"
PREFIX = "balise_desk"
SECRET_BYTES = 24
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True)
class Desk:
    """One guest place. `index` is never given twice: its visits are numbered by it. Without `sha256` it is closed."""

    place: str
    name: str
    index: int
    sha256: str = field(default="", repr=False)


def read(data_dir: Path) -> list[Desk]:
    """All guest places that there ever were; none without a file. Raises BadgeError."""
    path = data_dir / FILE_NAME
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = [Desk(place_of(d["place"], "place"), str(d["name"]), int(d["index"]), str(d["sha256"])) for d in told]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, WireError) as error:
        raise BadgeError(f"{path}: not a list of desks ({error}); move it away, and give new tokens") from error
    return found


def write(data_dir: Path, desks: Iterable[Desk]) -> None:
    """Writes the file whole. Raises BadgeError."""
    text = json.dumps([asdict(desk) for desk in desks], ensure_ascii=False, indent=1)
    replace_file(data_dir / FILE_NAME, text.encode())


def give(data_dir: Path, place: str, name: str) -> str:
    """Opens a guest place's desk, or gives it a new token in place of the old one. Returns the token."""
    desks, token = read(data_dir), f"{PREFIX}_{secrets.token_urlsafe(SECRET_BYTES)}"
    before = next((desk for desk in desks if desk.place == place), None)
    index = before.index if before else 1 + max((desk.index for desk in desks), default=0)
    new = Desk(place, name or (before.name if before else place), index, _digest(token))
    write(data_dir, [*(desk for desk in desks if desk.place != place), new])
    return token


def close(data_dir: Path, place: str) -> bool:
    """Lets nobody in any more; what was recorded stays. False when there is no such open desk."""
    desks = read(data_dir)
    if not any(desk.place == place and desk.sha256 for desk in desks):
        return False
    write(data_dir, [Desk(d.place, d.name, d.index, "" if d.place == place else d.sha256) for d in desks])
    return True


class DeskKeys:
    """The door."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._stamp: tuple[int, int, int] | None = None
        self._desks: list[Desk] = []

    def desks(self) -> list[Desk]:
        """All guest places, as the file says now. Raises BadgeError."""
        try:
            found = (self._data_dir / FILE_NAME).stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except FileNotFoundError:
            self._desks, self._stamp = [], None
            return self._desks
        if stamp != self._stamp:
            self._desks = []  # what cannot be read lets nobody in
            self._desks = read(self._data_dir)
            self._stamp = stamp
        return self._desks

    def find(self, token: str) -> Desk | None:
        """The desk that this token opens; every desk is compared, in constant time. Raises BadgeError."""
        digest, found = _digest(token), None
        for desk in self.desks():
            if hmac.compare_digest(digest, desk.sha256 or _NOBODY) and desk.sha256:
                found = desk
        return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
