"""A large journal: not read whole at each start, and read whole all the same, a bit at a time."""

import sqlite3
from pathlib import Path

import pytest

from balise_gateway.errors import JournalDamaged
from balise_gateway.journal import Journal, schema, tables
from balise_gateway.journal import file as journal_file
from balise_gateway.journal.file import AUDIT_ENVELOPES, CHECKED_ENVELOPES, FILE_NAME

COUNT = 3 * CHECKED_ENVELOPES


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal that counts as large."""
    monkeypatch.setattr(journal_file, "CHECKED_BYTES", 1 << 16)
    journal = Journal(tmp_path, "balise/test")
    journal.open()
    with journal.transaction() as db:
        tables.LOG.put(db, [(log, COUNT + 1, 0, 1, 1, 1, 0, 0, 0) for log in (0, 1)])
        tables.ENVELOPE.put(db, [(log, seq, 0, None, 1, b"cose") for log in (0, 1) for seq in range(1, COUNT + 1)])
    journal.close()
    return tmp_path


def damage(folder: Path, sql: str) -> None:
    db = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    db.execute(sql)
    db.close()


OLD = "UPDATE envelope SET cose = x'00' WHERE log = 1 AND seq = 7"


@pytest.mark.parametrize("sql", ["UPDATE envelope SET cose = x'00' WHERE seq = 2999", "UPDATE log SET rows = 1"])
def test_what_a_power_cut_may_have_hurt_is_found_at_the_start(sql: str, large: Path) -> None:
    damage(large, sql)
    journal = Journal(large, "balise/test")
    journal.open()
    assert (large / f"{FILE_NAME}.damaged-1").exists()
    journal.close()


def test_old_damage_is_found_in_turn_and_salvaged(large: Path) -> None:
    damage(large, OLD)
    journal = Journal(large, "balise/test")
    journal.open()
    assert not (large / f"{FILE_NAME}.damaged-1").exists()

    def audit_all() -> None:
        for _ in range(2 * COUNT // AUDIT_ENVELOPES + 3):
            journal.audit()

    with pytest.raises(JournalDamaged, match="envelope"):
        audit_all()
    journal.open()  # this time it looks at everything
    assert (large / f"{FILE_NAME}.damaged-1").exists()
    (kept,) = journal.db.execute("SELECT count(*) FROM envelope").fetchone()
    assert kept == 2 * COUNT - 1
    audit_all()
    assert list(schema.problems(journal.db)) == []
    journal.close()


def test_an_empty_journal_has_nothing_to_audit(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "balise/test")
    journal.open()
    journal.audit()
    journal.close()
