"""A new signing key: the old key names it, logs begin again under it, and what was not delivered goes out as it is.

Envelopes are named (key id, log, seq), so each log of a new key starts at 1. The last envelope of the old key in each
log is a source item `{"next_key": public key}`, the first of the new one `{"after": [old key id, log, seq]}`: the two
signatures together say that both keys are of one gateway, and that nothing lies between. Promises that a power cut
leaves the old key or the new one, never a mixture; that replay windows, acknowledgement counts, what waits to be
signed, the ledger and hourly means go on; and that the old private key is gone afterwards. Leaves the delivery of what
the old key signed to `retired.py`.
"""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from balise_gateway import keys
from balise_gateway.disk import make_private, sync_folder
from balise_gateway.errors import JournalUnavailable
from balise_gateway.grants import withdrawal
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.logbook.logs import RESTORED, Log
from balise_wire.envelope import Signer, sign_envelope
from balise_wire.items import Item, Loss, Source

RETIRED, READY, DRAFT = "retired", "rotation.ready", "rotation.new"
_OLD_KID = "old.kid"
_OF_OLD_LOGS = ("envelope", "log_manifest", "log_domain", "parked", "parked_row", "span", "leaf", "held")


def rotate(data_dir: Path, seed: bytes, made_utc_ms: int | None) -> Signer:
    """Changes the key of a gateway that does not run; returns the new one.

    Raises JournalError, KeyFileError or OSError: then the old key stays, or the next start finishes what was begun.
    """
    finish_interrupted(data_dir)
    old = keys.load(data_dir)
    draft = data_dir / DRAFT
    new = Signer(_seed(draft, seed))
    journal = Journal(data_dir, f"balise/{old.kid.hex()}")
    journal.open()
    try:
        ends = _end_logs(journal, old, new, made_utc_ms)
        make_private(draft / FILE_NAME)
        with contextlib.closing(sqlite3.connect(draft / FILE_NAME, isolation_level=None)) as copy:
            journal.db.backup(copy)
            _begin_logs(copy, old, new, ends, made_utc_ms)
        (draft / _OLD_KID).write_text(old.kid.hex(), encoding="ascii")
        for file in draft.iterdir():
            _sync(file)
        os.replace(draft, data_dir / READY)  # from here on it will be finished, also after a power cut
        sync_folder(data_dir)
    finally:
        journal.close()
    finish_interrupted(data_dir)
    return new


def finish_interrupted(data_dir: Path) -> None:
    """Puts a rotation that is ready in place; may be cut off and called again. Raises JournalUnavailable."""
    ready = data_dir / READY
    if not ready.exists():
        return
    with Journal(data_dir, "").alone():
        retired = data_dir / RETIRED / (ready / _OLD_KID).read_text(encoding="ascii")
        retired.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (ready / FILE_NAME).exists():  # so what lies in its place is the old one
            _retire(data_dir, retired)
            os.replace(ready / FILE_NAME, data_dir / FILE_NAME)
        if (ready / keys.FILE_NAME).exists():
            os.replace(ready / keys.FILE_NAME, data_dir / keys.FILE_NAME)
        sync_folder(data_dir)
        shutil.rmtree(ready)


def _retire(data_dir: Path, retired: Path) -> None:
    """The old journal, and what SQLite keeps beside it, in this order: its own name goes last."""
    for suffix in ("-wal", "-shm", ""):
        name = f"{FILE_NAME}{suffix}"
        if (data_dir / name).exists():
            os.replace(data_dir / name, retired / name)
    sync_folder(retired)


def undated(data_dir: Path) -> int:
    """Clock domains that the logs still wait to date: under a new key they would never be told their time."""
    journal = Journal(data_dir, "")
    journal.open()
    try:
        with journal.reading() as db:
            return sum(1 for row in tables.LOG.read(db) for _ in Log(*row).undated(db))
    finally:
        journal.close()


def _seed(draft: Path, seed: bytes) -> bytes:
    """The new key's seed, on disk before it is named; that of a rotation that was cut off is used again."""
    path = draft / keys.FILE_NAME
    if path.exists():
        return path.read_bytes()
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(seed)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(draft)
    return seed


def _end_logs(journal: Journal, old: Signer, new: Signer, made_utc_ms: int | None) -> dict[int, int]:
    """The old key's last word in each log: who comes next, and what was erased and not told yet."""
    ends: dict[int, int] = {}
    with journal.transaction() as db:
        for row in list(tables.LOG.read(db)):
            log = Log(*row)
            if tables.count(db, tables.ask_hub(log.log)):
                raise JournalUnavailable(f"log {log.log}: only its hub knows how far it went; run the gateway first")
            items: list[Item] = [Source({"next_key": new.public_key})]
            erased = tables.count(db, f"erased {log.log}")
            if erased:
                span = [log.log, erased], [log.log, log.next_seq - 1]
                items.append(Loss(f"balise/{old.kid.hex()}", "envelope", *span, withdrawal.REASON))
            ends[log.log] = log.next_seq
            cose = sign_envelope(old, log.log, log.next_seq, [item.pack() for item in items])
            log.append(db, cose, 0, made_utc_ms)
            log.save(db)
    return ends


def _begin_logs(
    db: sqlite3.Connection, old: Signer, new: Signer, ends: dict[int, int], made_utc_ms: int | None
) -> None:
    """The new journal: everything but what was signed; in each log first of all where it comes from."""
    db.text_factory = tables.text
    db.execute("BEGIN IMMEDIATE")
    for table in _OF_OLD_LOGS:
        db.execute(f"DELETE FROM {table}")
    for name in ("grant %", "row %", "erased %", RESTORED):  # a grant is told again, the others are of the old numbers
        db.execute("DELETE FROM counter WHERE name LIKE ?", (name,))
    for row in list(tables.LOG.read(db)):
        log = Log(row[0], cursor=row[2])
        item = Source({"after": [old.kid, log.log, ends[log.log]]})
        log.append(db, sign_envelope(new, log.log, log.next_seq, [item.pack()]), 0, made_utc_ms)
        log.save(db)
    db.execute("COMMIT")
    db.execute("VACUUM")
    db.execute("PRAGMA journal_mode = DELETE")  # one file, without a log of its own


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
