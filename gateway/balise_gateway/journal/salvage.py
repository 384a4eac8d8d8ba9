"""A damaged journal: set aside, and what is readable of it carried into a new one.

Promises that the damaged file stays as it was found (`journal.db.damaged-1`, `-2`, ...); that every row whose checksum
holds is kept, wherever in the file it stands; that no number is given a second time; and that what is missing is
written as loss items into the home log and the hubs' logs. A power cut at any point is picked up at the next start.
Leaves the file format to `pages.py`, and to the uplink to ask a hub for a log's highest number when the file forgot it.
"""

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from balise_gateway.disk import make_private, sync_folder
from balise_gateway.journal import pages, tables
from balise_gateway.journal.tables import HOME_LOG, Row, Table
from balise_wire import cbor
from balise_wire.items import Loss

SPARE_ACKS = 1 << 20  # a nonce must never come back: the newest count may stand on the lost page
LOSS_KIND = Loss.kind
MakeSchema = Callable[[sqlite3.Connection], None]


def set_aside(path: Path) -> Path:
    """Renames the damaged file, its write-ahead log first, and returns its new name."""
    number = 1 + max((_number_of(other) for other in path.parent.glob(f"{path.name}.damaged-*")), default=0)
    aside = path.with_name(f"{path.name}.damaged-{number}")
    _with_suffix(path, "-shm").unlink(missing_ok=True)
    if _with_suffix(path, "-wal").exists():
        os.replace(_with_suffix(path, "-wal"), _with_suffix(aside, "-wal"))
    os.replace(path, aside)
    sync_folder(path.parent)
    return aside


def finish_interrupted(path: Path) -> None:
    """A power cut in the middle of a rescue: puts the newest set-aside file back, so that the rescue starts again."""
    _remove(_new_name(path))
    if path.exists() and not any(path.parent.glob(f"{path.name}.damaged-*-wal")):
        return
    for log in path.parent.glob(f"{path.name}.damaged-*-wal"):
        aside = log.with_name(log.name.removesuffix("-wal"))
        if path.exists() and not aside.exists():  # only the write-ahead log was moved
            os.replace(log, _with_suffix(path, "-wal"))
    numbered = [other for other in path.parent.glob(f"{path.name}.damaged-*") if not other.name.endswith("-wal")]
    if not path.exists() and numbered:
        newest = max(numbered, key=_number_of)
        if _with_suffix(newest, "-wal").exists():
            os.replace(_with_suffix(newest, "-wal"), _with_suffix(path, "-wal"))
        os.replace(newest, path)


def rebuild(aside: Path, path: Path, origin: str, make_schema: MakeSchema) -> dict[str, int]:
    """Writes a new journal at `path` from the readable rows of `aside`; returns how many of each table it kept.

    `origin` names this gateway in the loss items. The new file gets its name only when it is whole and on disk.
    """
    fresh = _new_name(path)
    _remove(fresh)
    make_private(fresh)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.text_factory = tables.text
        db.execute(f"PRAGMA page_size = {pages.PAGE_BYTES}")
        db.execute("PRAGMA synchronous = FULL")
        make_schema(db)
        db.execute("BEGIN IMMEDIATE")
        kept = _copy(db, read_tables(aside))
        _settle(db, origin, aside.name)
        db.execute("COMMIT")
    os.replace(fresh, path)
    sync_folder(path.parent)
    return kept


def read_tables(aside: Path) -> Iterator[tuple[Table, Row]]:
    """Every row of ours in the file, known by its checksum; deleted ones may be among them."""
    by_width: dict[int, list[Table]] = {}
    for table in tables.TABLES:
        by_width.setdefault(len(table.columns) + 1, []).append(table)
    for rowid, values in pages.read_rows(aside, _with_suffix(aside, "-wal")):
        for table in by_width.get(len(values), []):
            row = _row_of(table, rowid, values)
            if row is not None and table.crc(row) == values[-1]:
                yield table, row
                break


def _row_of(table: Table, rowid: int, values: list[Any]) -> Row | None:
    """An INTEGER PRIMARY KEY stands in the file as NULL: its value is the rowid. None when it is no row of the table.

    A whole number in a column of reals stands there as an integer (sqlite.org/datatype3.html section 3).
    """
    first = rowid if values[0] is None else values[0]
    try:
        return table.stored((first, *values[1:-1]))
    except (TypeError, ValueError):
        return None


# Which of two rows of one name is the newer one: a deleted page may still hold an old one. Rows of the other tables
# never change, so that any copy is the right one.
_NEWEST: dict[str, Callable[[Row], Any]] = {
    "node": lambda row: (row[1], row[2], row[3]),
    "boot": lambda row: (row[2], int.from_bytes(row[3], "big").bit_count(), row[5] is not None, row[8] or 0),
    "log": lambda row: (row[1], row[2], row[5]),
    "log_domain": lambda row: row[4],
    "counter": lambda row: row[1],
    "ledger": lambda row: (row[7], row[8]),
    "span": lambda row: row[4],
    "aggregate": lambda row: (row[4], row[5]),
}


def _copy(db: sqlite3.Connection, rows: Iterable[tuple[Table, Row]]) -> dict[str, int]:
    newest: dict[tuple[Table, Row], Row] = {}
    for table, row in rows:
        rank = _NEWEST.get(table.name)
        if rank is None:
            table.put(db, [row])
            continue
        name = (table, row[: table.keys])
        if name not in newest or rank(row) > rank(newest[name]):
            newest[name] = row
    for (table, _), row in newest.items():
        table.put(db, [row])
    kept = {table.name: int(db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]) for table in tables.TABLES}
    return {name: count for name, count in kept.items() if count}


def _settle(db: sqlite3.Connection, origin: str, aside: str) -> None:
    """Makes the salvaged rows fit together, and writes down what is missing."""
    _settle_logs(db)
    _drop_stale(db)
    db.execute("UPDATE node SET ack_next = ack_next + ?", (SPARE_ACKS,))
    tables.NODE.put(db, [row[:-1] for row in db.execute("SELECT * FROM node").fetchall()])
    losses = list(_losses(db, origin, aside))
    entry = _next_entry(db)
    for number, (loss, only_log) in enumerate(losses):
        body = cbor.encode(loss.pack())
        tables.ENTRY.put(db, [(entry + number, b"", 0, LOSS_KIND, None, only_log, 0, body)])
    tables.COUNTER.put(db, [("next_entry", entry + len(losses))])


def _settle_logs(db: sqlite3.Connection) -> None:
    """A log's next number is above all that it ever gave, as far as any row tells."""
    logs = {row[0]: list(row) for row in tables.LOG.read(db)}
    tops = db.execute("SELECT log, max(seq), max(cursor) FROM envelope GROUP BY log").fetchall()
    tops += db.execute("SELECT log, max(seq), 0 FROM leaf GROUP BY log").fetchall()
    given = [(log, number, 3) for log, _, number in tables.LOG_MANIFEST.read(db)]
    given += [(log, domain, 4) for log, _, _, domain, _ in tables.LOG_DOMAIN.read(db)]
    forgotten = {log for log, *_ in (*tops, *given)} - logs.keys()
    for log in forgotten:
        logs[log] = [log, *tables.NEW_LOG]
        tables.COUNTER.put(db, [(tables.ask_hub(log), 1)])
    for log, seq, cursor in tops:
        logs[log][1:3] = max(logs[log][1], seq + 1), max(logs[log][2], cursor)
    for log, number, column in given:
        logs[log][column] = max(logs[log][column], number + 1)
    tables.LOG.put(db, [tuple(row) for row in logs.values()])


def _drop_stale(db: sqlite3.Connection) -> None:
    """Rows that were deleted before the damage, and whose page still holds them."""
    db.execute("DELETE FROM entry WHERE entry <= (SELECT min(cursor) FROM log)")
    db.execute("DELETE FROM held")  # the hub says it again; an old answer could make us hold back what it lacks
    db.execute("DELETE FROM envelope WHERE (log, seq) IN (SELECT log, seq FROM leaf)")
    db.execute(
        "DELETE FROM waiting WHERE EXISTS (SELECT 1 FROM boot_manifest AS known WHERE known.node = waiting.node "
        "AND known.boot = waiting.boot AND known.number = waiting.number)"
    )


def _next_entry(db: sqlite3.Connection) -> int:
    (entry,) = db.execute("SELECT max(0, coalesce(max(entry), 0)) FROM entry").fetchone()
    (cursor,) = db.execute("SELECT coalesce(max(cursor), 0) FROM log").fetchone()
    return max(int(entry) + 1, int(cursor) + 1, tables.count(db, "next_entry"), 1)


def _losses(db: sqlite3.Connection, origin: str, aside: str) -> Iterator[tuple[Loss, int | None]]:
    """What can be named: the file, envelopes by log and seq, and items that no log had yet."""
    number = _number_of(Path(aside))
    yield Loss(origin, "journal", number, number, f"damaged, set aside as {aside}; what was readable is kept"), None
    for log, next_seq, cursor, *_ in list(tables.LOG.read(db)):
        known = "SELECT seq FROM envelope WHERE log = ?1 UNION SELECT seq FROM leaf WHERE log = ?1 ORDER BY seq"
        held = [seq for (seq,) in db.execute(known, (log,))]
        for first, last in _missing(held, 1, next_seq):
            loss = Loss(origin, "envelope", [log, first], [log, last], "on a damaged page of the journal")
            yield from ((loss, to) for to in {HOME_LOG, log})
        held = [entry for (entry,) in db.execute("SELECT entry FROM entry WHERE entry > ? ORDER BY entry", (cursor,))]
        for first, last in _missing(held, cursor + 1, _next_entry(db)):
            yield Loss(origin, "entry", first, last, "on a damaged page of the journal, before it was signed"), log


def _missing(held: Iterable[int], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges (first, last) of start..end-1 that the rising numbers `held` leave out."""
    expected = start
    for number in [*held, end]:
        if number > expected:
            yield expected, number - 1
        expected = max(expected, number + 1)


def _number_of(path: Path) -> int:
    found = re.search(r"\.damaged-(\d+)", path.name)
    return int(found.group(1)) if found else 0


def _new_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        _with_suffix(path, suffix).unlink(missing_ok=True)
