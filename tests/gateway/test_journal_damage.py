"""Damaged journals, real files with real wounds: told, set aside, the readable rest kept, no number given twice."""

import asyncio
import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.errors import JournalUnavailable
from balise_gateway.journal import Journal, salvage, tables
from balise_gateway.journal.pages import PAGE_BYTES
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.logs import Log
from balise_gateway.nodes.boots import Boot
from balise_wire.envelope import Envelope, Signer
from balise_wire.items import Loss, Readings
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, envelopes_of, utc_rows, views

ORIGIN = "balise/0011223344556677"
SIGNER = Signer(b"s" * 32)
T0 = START_UTC_MS // 1000
HUB_LOG = 1
SEED = int(os.environ.get("DAMAGE_SEED", "1000"))  # where the bits are
FORMS = {HOME_LOG: "array", HUB_LOG: "rice"}  # arrays make envelopes that need more than one page


@dataclass
class Past:
    """What a journal held before its disk went bad."""

    folder: Path
    envelopes: dict[tuple[int, int], bytes]
    rows: int


def closer(journal: Journal) -> Closer:
    return Closer(journal, SIGNER, FakeClock(), views(FORMS))


async def _live(folder: Path) -> Past:
    """A gateway's short life: five envelopes in each log, one of them long, and rows that no log has yet."""
    journal = Journal(folder, ORIGIN)
    intake = Intake(journal, [NodeSettings(name=NAME, key=KEY)], FakeClock(), 1e6)
    intake.ready()
    node, carrier, rows = AirNode(), FakeIngest(), 0
    noise = random.Random(7)
    intake.take(carrier, "t", node.hello(), None)
    for batch in (400, 3, 1, 20, 50):
        for _ in range(batch):
            values = (noise.randrange(300), noise.randrange(400), noise.randrange(2000), 8483, 98_000 + rows)
            intake.take(carrier, "t", node.row(T0 + 60 * rows, values), None)
            rows += 1
        assert intake.commit()
        for log, form in FORMS.items():
            while closer(journal).close(log, form):
                pass
    for _ in range(90):
        intake.take(carrier, "t", node.row(T0 + 60 * rows), None)
        rows += 1
    intake.take(carrier, "t", b"garbage", None)
    assert intake.commit()
    found = {(row[0], row[1]): row[5] for row in tables.ENVELOPE.read(journal.db)}
    intake.abandon()
    journal.close()
    return Past(folder, found, rows)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return asyncio.run(_live(tmp_path_factory.mktemp("past")))


def copy_of(past: Past, folder: Path) -> Path:
    shutil.copytree(past.folder, folder, dirs_exist_ok=True)
    return folder / "journal.db"


def page_count(past: Past) -> int:
    return (past.folder / "journal.db").stat().st_size // PAGE_BYTES


def hurt(path: Path, page: int, dice: random.Random, *, bits: int) -> None:
    """Flips bits within one page."""
    data = bytearray(path.read_bytes())
    for _ in range(bits):
        bit = dice.randrange(PAGE_BYTES * 8)
        data[(page - 1) * PAGE_BYTES + bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def logs_of(journal: Journal) -> dict[int, list[Envelope]]:
    """All envelopes there are, after closing what waited."""
    for log, form in FORMS.items():
        with journal.transaction() as db:
            db.execute("DELETE FROM counter WHERE name = ?", (tables.ask_hub(log),))  # as after the hub's answer
        while closer(journal).close(log, form):
            pass
    found: dict[int, list[Envelope]] = {}
    for log in FORMS:
        rows = tables.ENVELOPE.read(journal.db, "log = ? ORDER BY seq", (log,))
        found[log] = envelopes_of(((row[1], row[5]) for row in rows), SIGNER)
    return found


def losses_of(envelopes: list[Envelope]) -> list[Loss]:
    return [item for envelope in envelopes for item in envelope.items if isinstance(item, Loss)]


def check_salvaged(past: Past, journal: Journal) -> None:
    """What must hold after any damage that was noticed."""
    for (log, seq), cose in past.envelopes.items():
        row = tables.ENVELOPE.one(journal.db, "log = ? AND seq = ?", (log, seq))
        assert row is None or row[5] == cose  # kept as it was sent, or gone; never another
    for log, envelopes in logs_of(journal).items():
        top = max(seq for known, seq in past.envelopes if known == log)
        fresh = [envelope for envelope in envelopes if (log, envelope.seq) not in past.envelopes]
        assert [e.seq for e in fresh] == list(range(top + 1, top + 1 + len(fresh))), "a number given twice, or a hole"
        told = losses_of(fresh)
        assert any(loss.what == "journal" and loss.node == ORIGIN for loss in told)
        check_rows(past, log, envelopes, told)
    assert Log.read(journal.db, HUB_LOG).next_seq > top


def lost_names(told: list[Loss]) -> set[tuple[int, int]]:
    """(log, seq) of the envelopes that are said to be lost."""
    names: set[tuple[int, int]] = set()
    for loss in told:
        if loss.what == "envelope" and isinstance(loss.first, list) and isinstance(loss.last, list):
            names |= {(loss.first[0], seq) for seq in range(loss.first[1], loss.last[1] + 1)}
    return names


def check_rows(past: Past, log: int, envelopes: list[Envelope], told: list[Loss]) -> None:
    """Each row at most once; those missing are explained by a loss that is told."""
    rows: Counter[int] = Counter()
    for envelope in envelopes:
        for item in envelope.items:
            if isinstance(item, Readings):
                rows.update(item.times)
    assert not rows or max(rows.values()) == 1, "a row came twice"
    lost_envelopes = {seq for known, seq in lost_names(told) if known == log}
    gone = {seq for known, seq in past.envelopes if known == log} - {e.seq for e in envelopes}
    assert gone == lost_envelopes
    if len(rows) < past.rows:
        assert lost_envelopes or any(loss.what == "entry" for loss in told), "rows are missing and nobody said so"


@pytest.mark.parametrize("bits", [1, 20, 400])
def test_flipped_bits_in_any_page(past: Past, tmp_path: Path, bits: int) -> None:
    """Every page in turn. Either the bits do not matter, or they are noticed and all but that page is kept."""
    noticed = 0
    for page in range(1, page_count(past) + 1):
        folder = tmp_path / str(page)
        path = copy_of(past, folder)
        hurt(path, page, random.Random(SEED + page), bits=bits)
        wounded = path.read_bytes()
        journal = Journal(folder, ORIGIN)
        journal.open()
        aside = folder / "journal.db.damaged-1"
        if aside.exists():
            noticed += 1
            assert len(aside.read_bytes()) == len(wounded)
            check_salvaged(past, journal)
        else:
            assert past.envelopes == {(row[0], row[1]): row[5] for row in tables.ENVELOPE.read(journal.db)}
        journal.close()
    assert noticed > 2


def test_a_whole_page_of_zeros(past: Past, tmp_path: Path) -> None:
    for page in range(1, page_count(past) + 1):
        folder = tmp_path / str(page)
        path = copy_of(past, folder)
        data = bytearray(path.read_bytes())
        data[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = bytes(PAGE_BYTES)
        path.write_bytes(data)
        journal = Journal(folder, ORIGIN)
        journal.open()
        if (folder / "journal.db.damaged-1").exists():
            check_salvaged(past, journal)
        journal.close()


@pytest.mark.parametrize("kept", [0.3, 0.75])
def test_a_file_cut_short(past: Past, tmp_path: Path, kept: float) -> None:
    path = copy_of(past, tmp_path)
    pages = int(page_count(past) * kept)
    path.write_bytes(path.read_bytes()[: pages * PAGE_BYTES])
    journal = Journal(tmp_path, ORIGIN)
    journal.open()
    assert (tmp_path / "journal.db.damaged-1").exists()
    for log, envelopes in logs_of(journal).items():
        assert any(loss.what == "journal" for loss in losses_of(envelopes)), log


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database" * 1_000)
    journal = Journal(tmp_path, ORIGIN)
    journal.open()
    assert (tmp_path / "journal.db.damaged-1").read_bytes().startswith(b"not a database")
    for envelopes in logs_of(journal).values():
        assert [loss.what for loss in losses_of(envelopes)] == ["journal"]


def test_damage_that_sqlite_cannot_see(past: Past, tmp_path: Path) -> None:
    """A bit inside a signed envelope: SQLite finds nothing wrong, the row's checksum does."""
    path = copy_of(past, tmp_path)
    cose = past.envelopes[HOME_LOG, 1]
    data = path.read_bytes()
    at = data.index(cose[:64])
    path.write_bytes(data[: at + 40] + bytes((data[at + 40] ^ 1,)) + data[at + 41 :])
    journal = Journal(tmp_path, ORIGIN)
    journal.open()
    home = logs_of(journal)[HOME_LOG]
    (loss,) = [loss for loss in losses_of(home) if loss.what == "envelope"]
    assert (loss.node, loss.first, loss.last) == (ORIGIN, [HOME_LOG, 1], [HOME_LOG, 1])
    assert [envelope.seq for envelope in home][:4] == [2, 3, 4, 5]
    assert not [loss for loss in losses_of(logs_of(journal)[HUB_LOG]) if loss.what == "envelope"]
    check_salvaged(past, journal)


def test_the_lost_rows_are_still_in_the_other_log(past: Past, tmp_path: Path) -> None:
    path = copy_of(past, tmp_path)
    data = path.read_bytes()
    at = data.index(past.envelopes[HOME_LOG, 4][:64])
    path.write_bytes(data[: at + 40] + bytes((data[at + 40] ^ 1,)) + data[at + 41 :])
    journal = Journal(tmp_path, ORIGIN)
    journal.open()
    assert len(list(utc_rows(logs_of(journal)[HUB_LOG]))) == past.rows


def test_committed_frames_of_the_write_ahead_log_are_salvaged_too(past: Path, tmp_path: Path) -> None:
    """A power cut left a write-ahead log, and the database file is damaged at its head: SQLite would open neither."""

    async def scene() -> None:
        journal = Journal(tmp_path / "live", ORIGIN)
        intake = Intake(journal, [NodeSettings(name=NAME, key=KEY)], FakeClock(), 1e6)
        intake.ready()
        node, carrier = AirNode(), FakeIngest()
        for frame in (node.hello(), *(node.row(T0 + 60 * n) for n in range(30))):
            intake.take(carrier, "t", frame, None)
            assert intake.commit()
        (tmp_path / "cut").mkdir()
        for name in ("journal.db", "journal.db-wal"):
            shutil.copy(tmp_path / "live" / name, tmp_path / "cut" / name)
        intake.abandon()
        journal.close()

    asyncio.run(scene())
    path = tmp_path / "cut" / "journal.db"
    assert (tmp_path / "cut" / "journal.db-wal").stat().st_size > PAGE_BYTES
    path.write_bytes(b"\0" * 64 + path.read_bytes()[64:])
    found = Journal(tmp_path / "cut", ORIGIN)
    found.open()
    if (tmp_path / "cut" / "journal.db.damaged-1").exists():
        assert (tmp_path / "cut" / "journal.db.damaged-1-wal").exists()
    assert len(list(utc_rows(logs_of(found)[HOME_LOG]))) == 30
    boot = Boot.of_row(next(tables.BOOT.read(found.db)))
    assert boot.window.contiguous == 31  # nothing of it will be taken twice


def test_acknowledgement_numbers_jump_after_damage(past: Past, tmp_path: Path) -> None:
    path = copy_of(past, tmp_path)
    with_page = Journal(tmp_path, ORIGIN)
    with_page.open()
    (before,) = with_page.db.execute("SELECT ack_next FROM node").fetchone()
    with_page.close()
    data = path.read_bytes()
    at = data.index(past.envelopes[HOME_LOG, 1][:64]) + 40
    path.write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
    journal = Journal(tmp_path, ORIGIN)
    journal.open()
    assert next(tables.NODE.read(journal.db))[1] == before + salvage.SPARE_ACKS


def test_damage_twice(past: Past, tmp_path: Path) -> None:
    path = copy_of(past, tmp_path)
    for number in (1, 2):
        data = path.read_bytes()
        at = data.index(past.envelopes[HOME_LOG, number][:64]) + 40
        path.write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        journal = Journal(tmp_path, ORIGIN)
        journal.open()
        home = logs_of(journal)[HOME_LOG]
        journal.close()
    assert [(loss.first, loss.last) for loss in losses_of(home) if loss.what == "journal"] == [(1, 1), (2, 2)]
    assert (tmp_path / "journal.db.damaged-2").exists()


CUTS = ("write-ahead log moved", "both moved", "new file half written")


@pytest.mark.parametrize("cut", CUTS)
def test_a_power_cut_during_the_rescue(past: Past, tmp_path: Path, cut: str) -> None:
    path = copy_of(past, tmp_path)
    hurt(path, 2, random.Random(1), bits=30)
    (tmp_path / "journal.db-wal").write_bytes(b"")
    aside = tmp_path / "journal.db.damaged-1"
    (tmp_path / "journal.db-wal").rename(tmp_path / "journal.db.damaged-1-wal")
    if cut != CUTS[0]:
        path.rename(aside)
    if cut == CUTS[2]:
        (tmp_path / "journal.db.new").write_bytes(b"half")
    journal = Journal(tmp_path, ORIGIN)
    journal.open()
    assert aside.exists()
    assert not (tmp_path / "journal.db.new").exists()
    check_salvaged(past, journal)


def test_damage_found_while_running(tmp_path: Path) -> None:
    """SQLite meets the damage in the middle of the day: the next commit salvages, and the node sends again."""

    async def scene() -> None:
        past = await _live(tmp_path)
        journal = Journal(tmp_path, ORIGIN)
        intake = Intake(journal, [NodeSettings(name=NAME, key=KEY)], FakeClock(), 1e6)
        intake.ready()
        journal.db.execute("UPDATE boot SET contiguous = contiguous + 1")  # its checksum does not fit any more
        node, carrier = AirNode(boot=2), FakeIngest()
        old = AirNode()
        frames = [old.hello(), node.hello(), node.row(T0)]
        intake.take(carrier, "t", frames[0], 1)
        assert carrier.dropped == [1]
        assert "not what was written" in str(intake.state.error)
        assert intake.commit()
        assert (tmp_path / "journal.db.damaged-1").exists()
        for number, frame in enumerate(frames):
            intake.take(carrier, "t", frame, number)
        assert intake.commit()
        assert {1, 2} <= set(carrier.released)
        assert past.rows
        intake.abandon()
        journal.close()

    asyncio.run(scene())


def test_nothing_can_be_written_during_the_rescue(past: Past, tmp_path: Path) -> None:
    """Damaged, and the new file cannot be made: said, and tried again, with the damaged file still there."""
    path = copy_of(past, tmp_path)
    hurt(path, 2, random.Random(1), bits=30)
    (tmp_path / "journal.db.new").mkdir()
    journal = Journal(tmp_path, ORIGIN)
    with pytest.raises(JournalUnavailable):
        journal.open()
    (tmp_path / "journal.db.new").rmdir()
    journal.open()
    check_salvaged(past, journal)
