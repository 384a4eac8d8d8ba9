"""What a backup holds of a place with badges, and what an older copy of each file means when it comes back.

Promises that each copy is one moment, checked; that a place's keys leave it encrypted only, and come back as the keys
of this place or not at all; and that after a restore no tap number and no list number is given a second time. Leaves
the archive to `backup.py`. `billing.db`, `exchange.db`, `lists.db`, `sun.db` and `connectors.db` may be older without
harm: what is told again counts once.
"""

import contextlib
import hashlib
import hmac
import os
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from balise_gateway.badges import connector_outbox
from balise_gateway.badges.billing import lines
from balise_gateway.badges.cards.keys import BOX_KEY, CHANGE_FILE, HOME_KEY, NEXT_KEY, PLACE_KEY
from balise_gateway.badges.connectors import _mail_book
from balise_gateway.badges.database import APPLICATION_ID, open_database
from balise_gateway.badges.desk import book
from balise_gateway.badges.desk_page import book as typed_book
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.badges.desk_page import places as guest_places
from balise_gateway.badges.federation import exchange, home_lists, lists, sun_service, table_cache
from balise_gateway.badges.register import book as register
from balise_gateway.errors import BackupError, BadgeError

# badges.db first: a tap that is said between its copy and the journal's is said again, which counts once.
_DATABASES = (
    book.FILE_NAME,
    register.FILE_NAME,
    lines.FILE_NAME,
    lists.FILE_NAME,
    home_lists.FILE_NAME,
    exchange.FILE_NAME,
    sun_service.FILE_NAME,
    connector_outbox.FILE_NAME,
    _mail_book.FILE_NAME,
    typed_book.FILE_NAME,
)
FILES = (*_DATABASES, table_cache.FILE_NAME, desk_keys.FILE_NAME, CHANGE_FILE)
KEYS = {key.name: key for key in (PLACE_KEY, HOME_KEY, NEXT_KEY, BOX_KEY)}
_STEPS = {
    book.FILE_NAME: book.STEPS,
    register.FILE_NAME: register.STEPS,
    home_lists.FILE_NAME: home_lists.STEPS,
    typed_book.FILE_NAME: typed_book.STEPS,
}
_OLDER: Mapping[str, Callable[[sqlite3.Connection], str]] = {
    book.FILE_NAME: book.make_older,
    register.FILE_NAME: register.make_older,
    home_lists.FILE_NAME: home_lists.make_older,
    typed_book.FILE_NAME: typed_book.make_older,
}
_CHUNK_BYTES = 1 << 20
_PLACE = re.compile(r"[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True)
class Copies:
    """The files of a place in one folder, with what `about.json` says of them; all by their paths in `data_dir`."""

    files: Mapping[str, Path]
    digests: Mapping[str, str]
    key_marks: Mapping[str, str]
    seeds: Mapping[str, bytes] = field(repr=False)  # of its keys


def take(data_dir: Path, folder: Path) -> Copies:
    """Copies what there is of a place into `folder`; nothing where there are no badges. Raises BackupError."""
    seeds = {name: _load(data_dir, name) for name in _there(data_dir, KEYS)}
    files = {}
    for name in _there(data_dir, FILES):
        files[name] = folder / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        if files[name].name in _DATABASES:
            _copy(data_dir / name, files[name])
        else:
            shutil.copyfile(data_dir / name, files[name])
    digests = {name: _digest(path) for name, path in files.items()}
    return Copies(files, digests, {name: mark_of(seed) for name, seed in seeds.items()}, seeds)


def mark_of(seed: bytes) -> str:
    """What a key is known by, in a backup that does not hold it; it does not tell the key."""
    return hmac.digest(seed, b"balise backup", "sha256")[:8].hex()


def wanted_keys(marks: Mapping[str, str], data_dir: Path) -> list[str]:
    """The key files of the backup's place that are not here. Raises BackupError when another place's are."""
    _refuse_strange(marks, KEYS)
    there = [name for name in marks if (data_dir / name).exists()]
    for name in there:
        if mark_of(_load(data_dir, name)) != marks[name]:
            what = KEYS[Path(name).name].what
            raise BackupError(f"{data_dir / name}: is not the {what} of this backup's place; move it away")
    return [name for name in marks if name not in there]


def _there(data_dir: Path, names: Iterable[str]) -> list[str]:
    """Those files of the place, and of the guest places in its care, that there are."""
    guests = sorted(path.relative_to(data_dir).as_posix() for path in data_dir.glob(f"{guest_places.FOLDER}/*"))
    found = [*names, *(f"{guest}/{name}" for guest in guests for name in names)]
    return [name for name in found if (data_dir / name).exists()]


def _load(data_dir: Path, name: str) -> bytes:
    path = data_dir / name
    return KEYS[path.name].load(path.parent)


def _refuse_strange(paths: Iterable[str], names: Collection[str]) -> None:
    """A path in a backup leads nowhere but to a place's file in a place's folder. Raises BackupError."""
    for path in paths:
        folder, _, name = path.rpartition("/")
        head, _, guest = folder.partition("/")
        if name not in names or (folder and (head != guest_places.FOLDER or not _PLACE.fullmatch(guest))):
            raise BackupError(f"a file named {path[:80]!r} is in the backup; it is of a newer Balise, or spoilt")


@contextlib.contextmanager
def drafts(file: Path, archive: zipfile.ZipFile, digests: Mapping[str, str], data_dir: Path) -> Iterator["Drafts"]:
    """The backup's files beside their places in `data_dir`, ready to be put there; gone afterwards.

    Raises BackupError when one of them is not the one that was written.
    """
    _refuse_strange(digests, FILES)
    made = Drafts({}, [])
    try:
        for name in digests:
            draft = made.files[name] = data_dir / f"{name}.restored"
            draft.parent.mkdir(parents=True, exist_ok=True)
            _extract(file, archive, name, digests[name], draft)
        for registered in [name for name in digests if Path(name).name == register.FILE_NAME]:
            made_lists = (Path(registered).parent / home_lists.FILE_NAME).as_posix()
            made.files[made_lists] = data_dir / f"{made_lists}.restored"  # numbers may have been given since
        told = dict.fromkeys(_make_older(Path(name).name, draft) for name, draft in made.files.items())
        made.notes.extend(filter(None, told))
        yield made
    finally:
        for draft in made.files.values():
            for suffix in ("", "-wal", "-shm"):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)


@dataclass(frozen=True)
class Drafts:
    """Files by name, and what people should know of their being older."""

    files: dict[str, Path]
    notes: list[str]


def _copy(path: Path, copy: Path) -> None:
    """One moment of a database, beside a gateway that runs, checked."""
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
            (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
            (made_by,) = target.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{path}: cannot be copied ({error}); is it damaged, or is there no room?") from error
    if found != "ok" or made_by != APPLICATION_ID:
        what = found if found != "ok" else "not a file of Balise's badges"
        raise BackupError(f"{path}: {what}; set it aside, or restore it from an earlier backup, then take this one")


def _extract(file: Path, archive: zipfile.ZipFile, name: str, digest: str, draft: Path) -> None:
    draft.unlink(missing_ok=True)
    with archive.open(name) as packed, os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as raw:
        shutil.copyfileobj(packed, raw, _CHUNK_BYTES)
        raw.flush()
        os.fsync(raw.fileno())
    if _digest(draft) != digest:
        raise BackupError(f"{file}: its {name} is not the one that was written; take another backup")


def _make_older(name: str, draft: Path) -> str:
    """Lets a copy know that it is old; returns what people should know. A file that is needed is made."""
    if name not in _OLDER:
        return ""
    try:
        with contextlib.closing(open_database(draft, _STEPS[name])) as db:
            db.execute("BEGIN IMMEDIATE")
            told = _OLDER[name](db)
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (BadgeError, sqlite3.Error) as error:
        raise BackupError(f"{draft}: {error}") from error
    return told


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
