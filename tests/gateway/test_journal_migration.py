"""Old journals, as the old code wrote them: brought to the newest schema whole, or left as they are."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from balise_gateway.errors import JournalUnavailable
from balise_gateway.journal import Journal, open_to_read, schema, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.journal.tables import AGGREGATE, LEAF, TABLES, Row, Table
from balise_gateway.logbook.closing import Closer
from balise_wire.envelope import Signer
from balise_wire.items import Readings
from gateway.support import START_UTC_MS, FakeClock, envelopes_of, views

JOURNALS = Path(__file__).parent / "journals"
SIGNER = Signer(b"s" * 32)
ORIGIN = f"balise/{SIGNER.kid.hex()}"
ROWS, ROWS_WITHOUT_CLOCK = 180, 10
OLD = range(1, schema.VERSION)


def old_journal(version: int, folder: Path) -> Path:
    shutil.copy(JOURNALS / f"schema_{version}.db", folder / FILE_NAME)
    return folder


def rows_of(db: sqlite3.Connection, version: int) -> dict[str, list[Row]]:
    return {table.name: list(table.read(db)) for table in TABLES if table.since <= version}


def opened(folder: Path) -> Journal:
    journal = Journal(folder, ORIGIN)
    journal.open()
    return journal


def test_there_is_an_old_file_of_every_released_schema() -> None:
    assert sorted(path.name for path in JOURNALS.glob("*.db")) == [f"schema_{version}.db" for version in OLD]


@pytest.mark.parametrize("version", OLD)
def test_an_old_journal_keeps_every_row(version: int, tmp_path: Path) -> None:
    old = sqlite3.connect(old_journal(version, tmp_path) / FILE_NAME)
    before = rows_of(old, version)
    old.close()
    assert all(before[table.name] for table in TABLES if table.since <= version)
    journal = opened(tmp_path)
    assert rows_of(journal.db, version) == before
    assert schema.version_of(journal.db) == schema.VERSION
    assert list(schema.problems(journal.db)) == []
    journal.close()
    assert [path.name for path in tmp_path.glob("*damaged*")] == []
    again = opened(tmp_path)
    assert rows_of(again.db, version) == before


@pytest.mark.parametrize("version", OLD)
def test_an_old_journal_goes_on_where_it_was(version: int, tmp_path: Path) -> None:
    journal = opened(old_journal(version, tmp_path))
    closer = Closer(journal, SIGNER, FakeClock(), views([0, 1]))
    for log in (0, 1):
        while closer.close(log, "rice"):
            pass
        rows = tables.ENVELOPE.read(journal.db, "log = ? ORDER BY seq", (log,))
        envelopes = envelopes_of(((row[1], row[5]) for row in rows), SIGNER)
        assert [envelope.seq for envelope in envelopes] == list(range(1, len(envelopes) + 1))
        held = sum(len(item.times) for found in envelopes for item in found.items if isinstance(item, Readings))
        assert held == ROWS + ROWS_WITHOUT_CLOCK


@pytest.mark.parametrize("version", OLD)
def test_a_migration_without_room_leaves_the_old_journal(version: int, tmp_path: Path) -> None:
    db = sqlite3.connect(old_journal(version, tmp_path) / FILE_NAME, isolation_level=None)
    before = rows_of(db, version)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 3}")  # some of the new tables fit, not all
    with pytest.raises(sqlite3.OperationalError, match="full"):
        schema.migrate(db)
    assert (schema.version_of(db), rows_of(db, version)) == (version, before)
    db.close()
    opened(tmp_path).close()


@pytest.mark.parametrize("version", OLD)
def test_a_damaged_old_journal_is_salvaged_into_the_newest_schema(version: int, tmp_path: Path) -> None:
    file = old_journal(version, tmp_path) / FILE_NAME
    raw = bytearray(file.read_bytes())
    raw[16:18] = b"\0\1"  # the page size in the header: SQLite will not have the file
    file.write_bytes(raw)
    journal = opened(tmp_path)
    assert schema.version_of(journal.db) == schema.VERSION
    (kept,) = journal.db.execute("SELECT count(*) FROM envelope").fetchone()
    assert kept == 7
    assert (tmp_path / f"{FILE_NAME}.damaged-1").exists()


@pytest.mark.parametrize("version", OLD)
def test_an_old_journal_is_not_read_before_it_is_migrated(version: int, tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match=f"schema {version}.*balise gateway run"):
        open_to_read(old_journal(version, tmp_path))


def test_a_journal_from_tomorrow_is_not_read(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    journal.close()
    with pytest.raises(JournalUnavailable, match="update this one"):
        open_to_read(tmp_path)


SAMPLES: dict[str, Row] = {
    "ledger": (1, START_UTC_MS, "hub 1", "research", 1, 1, 9, 90, 4000),
    "parked_row": (1, 2, 3, "422: no such channel"),
    "span": (1, b"12345678", START_UTC_MS, START_UTC_MS + 1, 10),
    "aggregate": (b"12345678", "pm2_5", 3600, START_UTC_MS, 60, 60, 12, 3.5, 40.0),
    "leaf": (1, 1, b"h" * 32),
    "withheld": (1, 7, b"12345678", 3, b"d" * 16, 2, b"body"),
}


@pytest.mark.parametrize(
    "table", [table for table in TABLES if table.since > 1 and table.name != "held"], ids=lambda table: table.name
)
def test_rows_of_new_tables_are_salvaged(table: Table, tmp_path: Path) -> None:
    """But for what a hub holds: it says it again."""
    journal = opened(tmp_path)
    with journal.transaction() as db:
        table.put(db, [SAMPLES[table.name]])
    journal.close()
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek(16)
        file.write(b"\0\1")
    journal = opened(tmp_path)
    assert list(table.read(journal.db)) == [SAMPLES[table.name]]


def test_a_whole_number_in_a_column_of_reals_is_read_as_it_was_checked(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.transaction() as db:
        AGGREGATE.put(db, [SAMPLES["aggregate"], (*SAMPLES["aggregate"][:3], 0, 0, 60, None, None, None)])
    assert sorted(row[4] for row in AGGREGATE.read(journal.db)) == [0, 60]


def test_a_dropped_envelope_is_no_loss_of_a_salvage(tmp_path: Path) -> None:
    """Its leaf says that it was dropped on purpose; also where a page still holds it."""
    journal = opened(tmp_path)
    with journal.transaction() as db:
        tables.LOG.put(db, [(0, 3, 0, 1, 1, 1, 0, 0, 0)])
        tables.ENVELOPE.put(db, [(0, 1, 0, None, 1, b"old"), (0, 2, 0, None, 1, b"new")])
        LEAF.put(db, [(0, 1, b"h" * 32)])
    journal.close()
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek(16)
        file.write(b"\0\1")
    journal = opened(tmp_path)
    assert [row[1] for row in tables.ENVELOPE.read(journal.db)] == [2]
    bodies = [row[7] for row in tables.ENTRY.read(journal.db)]
    assert len(bodies) == 1  # the damaged file itself, no envelope
