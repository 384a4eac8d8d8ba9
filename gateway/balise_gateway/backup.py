"""A journal in one file, and back: `balise gateway backup` and `restore`.

The file is a ZIP archive: `about.json` (format, the gateway's key id, when, and a digest), `journal.db` (SQLite's own
online copy: one moment, beside a running gateway), `grants.json` (which grants were paused or withdrawn) and, when
asked for, `signing.key.pem` (PKCS#8, encrypted with a passphrase: any tool reads it). Of a place with badges it holds
the files of `badges/copies.py`, and its two keys in the same way as the signing key. Promises that a copy is checked
row by row before it gets its name, and again before it is used; that nothing is ever overwritten; and that after a
restore no number is given a second time, by asking the hubs that know, and by leaving numbers out where nobody knows.
Leaves the questions to people to the command.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from balise_gateway import keys
from balise_gateway.badges import copies
from balise_gateway.disk import sync_folder
from balise_gateway.errors import BackupError
from balise_gateway.grants.record import FILE_NAME as RECORD_NAME
from balise_gateway.journal import Journal, open_to_read, schema, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.journal.salvage import SPARE_ACKS
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook import logs
from balise_gateway.logbook.logs import Log
from balise_wire.envelope import Signer
from balise_wire.items import Loss

FORMAT, FORMAT_WITH_PLACE = 1, 2  # an older Balise must not restore a place without its files
SPARE_NUMBERS = 1 << 20  # left out where nobody knows how many were given after the backup
MIN_PASSPHRASE_CHARS = 8
NOTE_NAME = "backups.json"
_ABOUT, _PEM = "about.json", ".pem"
_CHUNK_BYTES = 1 << 20
_PEM_BYTES = 4096
_NOT_AN_ARCHIVE = (zipfile.BadZipFile, zlib.error, struct.error, KeyError, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True)
class About:
    """What a backup says of itself."""

    kid: str
    made_utc_ms: int | None
    with_key: bool
    files: Mapping[str, str] = field(default_factory=dict)  # of a place with badges: their digests
    key_marks: Mapping[str, str] = field(default_factory=dict)  # of its keys, by the file's name

    def told(self, journal_sha256: str) -> dict[str, Any]:
        """As `about.json` says it."""
        known = {"kid": self.kid, "made_utc_ms": self.made_utc_ms, "with_key": self.with_key}
        told = {"format": FORMAT, **known, "journal_sha256": journal_sha256}
        if not self.files and not self.key_marks:
            return told
        return {**told, "format": FORMAT_WITH_PLACE, "files": dict(self.files), "key_marks": dict(self.key_marks)}

    def wants(self, data_dir: Path) -> list[str]:
        """The key files that would have to come out of this backup. Raises BackupError or KeyFileError."""
        signing = [] if (data_dir / keys.FILE_NAME).exists() else [keys.FILE_NAME]
        return [*signing, *copies.wanted_keys(self.key_marks, data_dir)]


@dataclass(frozen=True)
class Restored:
    """What was set aside, by its new name, and what people should know."""

    aside: list[str]
    notes: list[str]


def write(data_dir: Path, file: Path, made_utc_ms: int | None, passphrase: str | None = None) -> About:
    """Writes a backup of the journal, with the signing key when there is a passphrase. Works beside a running gateway.

    Raises BackupError, JournalError or KeyFileError; then there is no `file`.
    """
    if file.exists():
        raise BackupError(f"{file}: there is a file of that name; choose another")
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise BackupError(f"the passphrase has less than {MIN_PASSPHRASE_CHARS} characters; choose a longer one")
    signer = keys.load(data_dir)
    try:
        with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=f"{file.name}.") as folder:
            place = copies.take(data_dir, Path(folder))  # before the journal: see there
            about = About(signer.kid.hex(), made_utc_ms, passphrase is not None, place.digests, place.key_marks)
            copy, draft = Path(folder, FILE_NAME), Path(folder, "new.zip")
            _copy(data_dir, copy)
            record = data_dir / RECORD_NAME
            parts = {FILE_NAME: copy, **place.files} | ({RECORD_NAME: record} if record.exists() else {})
            seeds = {keys.FILE_NAME: (data_dir / keys.FILE_NAME).read_bytes(), **place.seeds}
            locked = {} if passphrase is None else {name: _locked(seed, passphrase) for name, seed in seeds.items()}
            _pack(draft, json.dumps(about.told(_digest(copy))), parts, locked)
            os.link(draft, file)  # fails where a file of that name has come meanwhile
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise BackupError(f"{file}: cannot be written ({error.strerror}); is there room, and may you write?") from error
    return about


def note(data_dir: Path, about: About) -> None:
    """Writes down beside the journal when there was a backup, and when one with keys. Raises OSError."""
    path = data_dir / NOTE_NAME
    with_key_ms = about.made_utc_ms if about.with_key else _noted(path).get("with_key_utc_ms")
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"utc_ms": about.made_utc_ms, "with_key_utc_ms": with_key_ms}), encoding="utf-8")
    os.replace(draft, path)


def last_with_key_ms(data_dir: Path) -> int | None:
    """When a backup with keys was made here; None when none was, or nobody knew the time. Raises BackupError."""
    try:
        found = _noted(data_dir / NOTE_NAME).get("with_key_utc_ms")
    except (OSError, ValueError) as error:
        raise BackupError(f"{data_dir / NOTE_NAME}: cannot be read ({error}); make a backup") from error
    return found if isinstance(found, int) else None


def _noted(path: Path) -> dict[str, Any]:
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return told if isinstance(told, dict) else {}


def read_about(file: Path) -> About:
    """What this backup says of itself, when all of it can be read. Raises BackupError when it cannot, or is none."""
    try:
        with _archive(file) as archive:
            told, damaged = _about(file, archive), archive.testzip()
    except OSError as error:
        raise BackupError(f"{file}: cannot be read ({error.strerror})") from error
    if damaged is not None:
        raise BackupError(f"{file}: its {damaged} is damaged; take another backup")
    place = told.get("files", {}), told.get("key_marks", {})
    return About(str(told["kid"]), told["made_utc_ms"], bool(told["with_key"]), *place)


def restore(
    file: Path, data_dir: Path, asked: Collection[int], *, passphrase: str | None = None, replace: bool = False
) -> Restored:
    """Puts a backup's journal and a place's files into `data_dir`, and keys that are not there.

    `asked`: the logs whose hub says by itself what it holds. With `replace` what is there is set aside, never deleted.
    Raises BackupError, JournalError or KeyFileError; then nothing was changed.
    """
    path = data_dir / FILE_NAME
    draft = path.with_name(f"{FILE_NAME}.restored")
    about = read_about(file)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _archive(file) as archive, Journal(data_dir, "").alone():
            _refuse_over(data_dir, about, replace)
            seeds = _seeds(file, archive, about, data_dir, passphrase)
            _extract(file, archive, draft)
            _make_older(draft, about, f"balise/{about.kid}", asked)
            with copies.drafts(file, archive, about.files, data_dir) as place:
                aside = _put_all(data_dir, archive, seeds, {**place.files, FILE_NAME: draft})
    except OSError as error:
        raise BackupError(f"{data_dir}: cannot be written ({error.strerror}); is there room, and may you?") from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    return Restored(aside, place.notes)


def _put_all(
    data_dir: Path, archive: zipfile.ZipFile, seeds: Mapping[str, bytes], files: Mapping[str, Path]
) -> list[str]:
    """Puts keys, record and files in their places; returns the new names of what was there."""
    for name, seed in seeds.items():
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        _put_key(data_dir / name, seed)
    _put_record(data_dir / RECORD_NAME, archive)
    aside = {name: _put_over(data_dir / name, found) for name, found in files.items()}
    for folder in {(data_dir / name).parent for name in files}:
        sync_folder(folder)
    return [Path(name).with_name(old).as_posix() for name, old in aside.items() if old]


def _refuse_over(data_dir: Path, about: About, replace: bool) -> None:
    for name in (FILE_NAME, *about.files):
        if (data_dir / name).exists() and not replace:
            what = "a journal" if name == FILE_NAME else "one"
            raise BackupError(f"{data_dir / name}: there is {what} already; --replace sets it aside")


def _pack(draft: Path, about: str, parts: Mapping[str, Path], locked: Mapping[str, bytes]) -> None:
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_ABOUT, about)
            for name, key in locked.items():
                archive.writestr(name + _PEM, key)
            for name, path in parts.items():
                archive.write(path, name)
        raw.flush()
        os.fsync(raw.fileno())


def _copy(data_dir: Path, copy: Path) -> None:
    """One moment of the journal, checked."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with contextlib.closing(open_to_read(data_dir)) as source, contextlib.closing(_plain(copy)) as target:
            source.backup(target)  # all pages at once: a reader of the write-ahead log holds up nobody
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log of its own
            _check(target, f"{data_dir / FILE_NAME}: the copy")
    except sqlite3.Error as error:
        raise BackupError(f"{copy}: cannot be written ({error}); is there room?") from error


def _plain(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.text_factory = tables.text
    return db


def _check(db: sqlite3.Connection, what: str) -> None:
    found = list(schema.problems(db))
    if found:
        raise BackupError(f"{what} is damaged: {found[0]}; start the gateway once, it salvages its journal")


@contextlib.contextmanager
def _archive(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _NOT_AN_ARCHIVE as error:
        raise BackupError(f"{file}: is no backup of a gateway, or is damaged ({error})") from error
    except FileNotFoundError as error:
        raise BackupError(f"{file}: there is no such file") from error


def _about(file: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        told = json.loads(archive.read(_ABOUT))
    except ValueError as error:
        raise BackupError(f"{file}: its {_ABOUT} cannot be read ({error})") from error
    if not isinstance(told, dict) or told.get("format") not in (FORMAT, FORMAT_WITH_PLACE):
        raise BackupError(f"{file}: of a format that this Balise does not know; update it")
    return told


def _extract(file: Path, archive: zipfile.ZipFile, draft: Path) -> None:
    """The journal of a backup, with the bytes that were written."""
    draft.unlink(missing_ok=True)
    with archive.open(FILE_NAME) as packed, os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as raw:
        shutil.copyfileobj(packed, raw, _CHUNK_BYTES)
        raw.flush()
        os.fsync(raw.fileno())
    if _digest(draft) != _about(file, archive)["journal_sha256"]:
        raise BackupError(f"{file}: its journal is not the one that was written; take another backup")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_older(draft: Path, about: About, origin: str, asked: Collection[int]) -> None:
    """Turns a copy into a journal that knows that it is old: what was given after it is never given again."""
    try:
        with contextlib.closing(_plain(draft)) as db:
            _check(db, str(draft))
            schema.migrate(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            _skip_numbers(db, origin, asked)
            reason = "restored from a backup: what came after it is known to the hubs only"
            logs.tell(db, Loss(origin, "journal", about.made_utc_ms or 0, 0, reason), [HOME_LOG])
            tables.NODE.put(db, [(row[0], row[1] + SPARE_ACKS, *row[2:]) for row in list(tables.NODE.read(db))])
            tables.COUNTER.put(db, [(logs.RESTORED, tables.count(db, logs.RESTORED) + 1)])
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise BackupError(f"{draft}: cannot be written ({error}); is there room?") from error


def _skip_numbers(db: sqlite3.Connection, origin: str, asked: Collection[int]) -> None:
    """A log that its hub knows is asked for before it goes on; any other leaves numbers out, and says so."""
    db.execute("DELETE FROM held")
    for log, *_ in list(tables.LOG.read(db)):
        state = Log.read(db, log)
        held = (log, state.hub_next - 1)
        if log in asked and tables.ENVELOPE.one(db, "log = ? AND seq = ?", held) is not None:
            state.hub_next -= 1  # it is asked with an envelope that it had already then
            tables.COUNTER.put(db, [(tables.ask_hub(log), 1)])
        else:
            first = state.next_seq
            state.skip(db, first + SPARE_NUMBERS)
            reason = "left out: they may have been given after the backup that was restored"
            logs.tell(db, Loss(origin, "envelope", [log, first], [log, state.next_seq - 1], reason), {HOME_LOG, log})
        state.save(db)


def _put_over(path: Path, new: Path) -> str:
    """Sets aside what was there, with its write-ahead log, and returns its new name; empty when nothing was."""
    if not path.exists():
        os.replace(new, path)
        return ""
    number = 1 + len([old for old in path.parent.glob(f"{path.name}.replaced-*") if not old.name.endswith("-wal")])
    aside = path.with_name(f"{path.name}.replaced-{number}")
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists():
        os.replace(wal, aside.with_name(f"{aside.name}-wal"))
    os.replace(path, aside)
    os.replace(new, path)
    return aside.name


def _locked(seed: bytes, passphrase: str) -> bytes:
    """Any 32 bytes are an Ed25519 key: so a home key, which signs nothing, is kept in the same form."""
    secret = serialization.BestAvailableEncryption(passphrase.encode())
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


def _seeds(
    file: Path, archive: zipfile.ZipFile, about: About, data_dir: Path, passphrase: str | None
) -> dict[str, bytes]:
    """The keys to put, by file; those that are there are the right ones. Raises BackupError when they do not fit."""
    if (data_dir / keys.FILE_NAME).exists() and keys.load(data_dir).kid.hex() != about.kid:
        raise BackupError(
            f"{data_dir / keys.FILE_NAME}: is not the key of this backup's gateway {about.kid}; move it away"
        )
    found = {}
    for name in about.wants(data_dir):
        if name + _PEM not in archive.namelist():
            what = "signing key" if name == keys.FILE_NAME else name
            whose = f"the {name} of gateway {about.kid}"
            raise BackupError(f"{file}: holds no {what}, and {data_dir} has none: put {whose} there")
        if passphrase is None:
            raise BackupError(f"{file}: holds the {name}; its passphrase is needed")
        found[name] = _unlocked(file, archive.read(name + _PEM)[:_PEM_BYTES], name, passphrase)
        seed = found[name]
        known = Signer(seed).kid.hex() if name == keys.FILE_NAME else copies.mark_of(seed)
        if known != (about.kid if name == keys.FILE_NAME else about.key_marks[name]):
            raise BackupError(f"{file}: its {name} is not that of gateway {about.kid}")
    return found


def _unlocked(file: Path, pem: bytes, name: str, passphrase: str) -> bytes:
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BackupError(f"{file}: the passphrase does not open its {name}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BackupError(f"{file}: its {name} is of another kind")
    raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    return key.private_bytes(*raw)


def _put_key(path: Path, seed: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(seed)
        file.flush()
        os.fsync(file.fileno())


def _put_record(path: Path, archive: zipfile.ZipFile) -> None:
    """What the host had done with the grants, where nothing newer says so: a withdrawal outlives the card."""
    if path.exists() or RECORD_NAME not in archive.namelist():
        return
    draft = path.with_suffix(".restored")
    with draft.open("wb") as file:
        file.write(archive.read(RECORD_NAME))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
