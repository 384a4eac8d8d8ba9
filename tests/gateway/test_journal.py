"""The journal's file: whole transactions, one gateway at a time, schema and code of one mind."""

import sqlite3
from pathlib import Path

import pytest

from balise_gateway.errors import JournalDamaged, JournalUnavailable
from balise_gateway.journal import Journal, open_to_read, tables
from balise_gateway.journal.schema import VERSION, make_schema
from balise_gateway.journal.tables import COUNTER, TABLES

ORIGIN = "balise/0011223344556677"


def opened(folder: Path) -> Journal:
    journal = Journal(folder, ORIGIN)
    journal.open()
    return journal


def test_columns_are_those_of_the_schema() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    make_schema(db)
    for table in TABLES:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table.name})")]
        assert columns == [*table.columns, "crc"]
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert names == {table.name for table in TABLES}


def test_a_commit_is_synchronous_and_the_log_is_written_ahead(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert journal.db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert journal.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal.db.execute("PRAGMA user_version").fetchone() == (VERSION,)


class Unplugged(Exception):
    """The power fails in the middle of a transaction."""


def test_half_a_transaction_is_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)

    def unplug() -> None:
        with journal.transaction() as db:
            COUNTER.put(db, [("half", 1)])
            raise Unplugged

    with pytest.raises(Unplugged):
        unplug()
    assert tables.count(journal.db, "half") == 0
    journal.close()
    assert tables.count(opened(tmp_path).db, "half") == 0


def test_what_was_committed_is_there_without_a_clean_end(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.transaction() as db:
        COUNTER.put(db, [("kept", 7)])
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("journal.db*"):  # as the disk is at this moment
        (copy / file.name).write_bytes(file.read_bytes())
    assert tables.count(opened(copy).db, "kept") == 7


def test_a_row_is_put_over_one_of_its_name(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.transaction() as db:
        COUNTER.put(db, [("a", 1), ("b", 2)])
        COUNTER.put(db, [("a", 3)])
    assert sorted(COUNTER.read(journal.db)) == [("a", 3), ("b", 2)]


def test_a_changed_value_is_noticed(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.transaction() as db:
        COUNTER.put(db, [("a", 1)])
    journal.db.execute("UPDATE counter SET value = 2")
    with pytest.raises(JournalDamaged, match="counter"):
        tables.count(journal.db, "a")


def test_one_gateway_at_a_time(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(JournalUnavailable, match="another gateway"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_opening_twice_is_opening_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.open()
    assert journal.generation == 1


def test_not_open(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="not open"), Journal(tmp_path, ORIGIN).transaction():
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnavailable, match="check the folder"):
        opened(tmp_path / "file" / "data")


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.db.execute(f"PRAGMA user_version = {VERSION + 1}")
    journal.db.execute("CREATE TABLE of_tomorrow (x)")
    journal.close()
    with pytest.raises(JournalUnavailable, match="newer Balise"):
        opened(tmp_path)
    assert [file.name for file in tmp_path.glob("*damaged*")] == []


def test_reading_beside_a_running_gateway(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="balise gateway run"):
        open_to_read(tmp_path)
    journal = opened(tmp_path)
    with journal.transaction() as db:
        COUNTER.put(db, [("a", 1)])
    reader = open_to_read(tmp_path)
    assert tables.count(reader, "a") == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM counter")
