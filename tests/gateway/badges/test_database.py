"""The badges' SQLite files: whose they are, which schema they have, who may read them."""

import sqlite3
import stat
from pathlib import Path

import pytest

from balise_gateway.badges.database import open_database, transaction
from balise_gateway.errors import BadgeError

STEPS = ("CREATE TABLE one (a INTEGER PRIMARY KEY);", "ALTER TABLE one ADD COLUMN b TEXT;")


def test_a_file_is_made_for_its_owner_only_and_brought_to_the_newest_schema(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "badges.db"
    old = open_database(path, STEPS[:1])
    old.execute("INSERT INTO one VALUES (7)")
    old.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    new = open_database(path, STEPS)
    assert new.execute("SELECT a, b FROM one").fetchall() == [(7, None)]
    new.close()
    with pytest.raises(BadgeError, match="newer Balise"):
        open_database(path, STEPS[:1])


def test_a_file_of_another_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "badges.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(BadgeError, match="not a file of Balise"):
        open_database(path, STEPS)


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "badges.db"
    path.write_bytes(b"no database at all, only some text" * 40)
    with pytest.raises(BadgeError, match="set it aside"):
        open_database(path, STEPS)


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    db = open_database(tmp_path / "badges.db", STEPS)

    def write_twice() -> None:
        with transaction(db):
            db.execute("INSERT INTO one VALUES (1, 'a')")
            db.execute("INSERT INTO one VALUES (1, 'b')")

    with pytest.raises(BadgeError, match="nothing was written"):
        write_twice()
    assert db.execute("SELECT count(*) FROM one").fetchone() == (0,)
    db.close()
