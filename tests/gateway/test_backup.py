"""Backups: one moment beside a running gateway, checked twice, never over anything; no number given again after one."""

import asyncio
import json
import os
import random
import sqlite3
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway import backup, keys
from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.errors import BackupError, GatewayError, JournalUnavailable
from balise_gateway.grants.withdrawal import erase_unsent
from balise_gateway.hubs import Holding
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.logbook import logs
from balise_gateway.logbook.closing import Closer
from balise_gateway.logbook.logs import Log
from balise_tools.gateway import app
from balise_wire import cbor
from balise_wire.items import Loss, unpack_item
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, toml, views

T0 = START_UTC_MS // 1000
ASKED, UNASKED = 1, 2
LOGS = [0, ASKED, UNASKED]
PASSPHRASE = "correct horse battery"


class Home:
    """A gateway without sockets. `live` takes rows and closes every log; what a hub holds is told by `holds`."""

    def __init__(self, folder: Path, node: AirNode | None = None) -> None:
        self.folder, self.node, self.carrier = folder, node or AirNode(), FakeIngest()
        self.signer = keys.load_or_make(folder)
        self.journal = Journal(folder, f"balise/{self.signer.kid.hex()}")
        self.intake = Intake(self.journal, [NodeSettings(name=NAME, key=KEY)], FakeClock(), 1e6)
        self.closer = Closer(self.journal, self.signer, FakeClock(), views(LOGS))
        self.intake.ready()
        with self.journal.transaction() as db:
            logs.ensure(db, LOGS)

    def live(self, rounds: int) -> "Home":
        for _ in range(rounds):
            frame = self.node.hello() if self.node.count == 0 else self.node.row(T0 + 60 * self.node.count)
            self.intake.take(self.carrier, "t", frame, None)
            assert self.intake.commit()
            self.close_logs()
        return self

    def close_logs(self) -> None:
        for log in LOGS:
            while self.closer.close(log, "array"):
                pass

    def holds(self, log: int, below: int) -> None:
        with self.journal.transaction() as db:
            logs.note_holding(db, log, Holding(below), "balise/test")

    def envelopes(self) -> dict[tuple[int, int], bytes]:
        return {(row[0], row[1]): row[5] for row in tables.ENVELOPE.read(self.journal.db)}

    def stop(self) -> None:
        self.intake.abandon()
        self.journal.close()


def scene(folder: Path, rounds: int = 6) -> Home:
    """A home that has lived and stopped."""

    async def lived() -> Home:
        home = Home(folder).live(rounds)
        home.stop()
        return home

    return asyncio.run(lived())


def test_a_backup_beside_a_running_gateway_is_one_moment(tmp_path: Path) -> None:
    async def whole() -> dict[tuple[int, int], bytes]:
        home = Home(tmp_path / "data").live(6)
        backup.write(home.folder, tmp_path / "b.zip", START_UTC_MS)
        then = home.envelopes()
        home.live(3)
        home.stop()
        return then

    then = asyncio.run(whole())
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.namelist() == ["about.json", FILE_NAME]
        archive.extract(FILE_NAME, tmp_path / "out")
    db = sqlite3.connect(tmp_path / "out" / FILE_NAME)
    assert {(row[0], row[1]): row[5] for row in tables.ENVELOPE.read(db)} == then
    assert os.listdir(tmp_path / "out") == [FILE_NAME]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip", "data", "out"]


def restored(home: Home, folder: Path, **options: object) -> None:
    """A new disk: the backup and the key that was kept elsewhere."""
    folder.mkdir()
    (folder / keys.FILE_NAME).touch(0o600)
    (folder / keys.FILE_NAME).write_bytes((home.folder / keys.FILE_NAME).read_bytes())
    backup.restore(folder.parent / "b.zip", folder, {ASKED})


def test_after_a_restore_no_number_is_given_again(tmp_path: Path) -> None:
    async def whole() -> None:
        home = Home(tmp_path / "data").live(6)
        home.holds(ASKED, 6)
        home.holds(UNASKED, 6)
        backup.write(home.folder, tmp_path / "b.zip", START_UTC_MS)
        home.live(20)
        given, last_ack = home.envelopes(), home.carrier.answers[-1][1]
        home.stop()
        restored(home, tmp_path / "new")
        after = Home(tmp_path / "new", home.node)
        before_life = after.envelopes()
        after.live(5)
        assert Log.read(after.journal.db, ASKED).next_seq == 6  # waits for its hub's word
        with after.journal.reading() as db:
            (ask,) = logs.to_send(db, ASKED, logs.holding(db, ASKED), 1 << 20, 100)
        assert (ask.seq, ask.cose) == (5, given[ASKED, 5])
        after.holds(ASKED, 26)  # its hub holds what was made after the backup, too
        after.live(5)
        for name, cose in after.envelopes().items():
            assert given.get(name, cose) == cose
        new = after.envelopes().keys() - before_life.keys()
        assert min(seq for log, seq in new if log == ASKED) == 26
        assert {log for log, _ in new} == set(LOGS)
        assert home.node.opened(after.carrier.answers[-1][1]).contiguous >= 0
        assert ack_number(after.carrier.answers[-1][1]) > ack_number(last_ack)
        after.stop()

    asyncio.run(whole())


def ack_number(sealed: bytes) -> int:
    """The partial IV of an acknowledgement."""
    tagged = cbor.decode(sealed)
    header = tagged.value[1]  # type: ignore[union-attr,index]
    return int.from_bytes(header[6], "big")  # type: ignore[index,call-overload]


def test_a_grant_that_changed_meanwhile_leaves_what_the_hub_is_asked_with(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    home.journal.open()
    home.holds(ASKED, 4)
    home.journal.close()
    backup.write(home.folder, tmp_path / "b.zip", START_UTC_MS)
    restored(home, tmp_path / "new")
    journal = Journal(tmp_path / "new", "balise/test")
    journal.open()
    with journal.transaction() as db:
        erase_unsent(db, Log.read(db, ASKED), 1)
        ask = logs.to_send(db, ASKED, logs.holding(db, ASKED), 1 << 20, 100)
    assert [stored.seq for stored in ask] == [3]  # which the hub had before the backup
    journal.close()


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    backup.write(home.folder, tmp_path / "b.zip", START_UTC_MS)
    restored(home, tmp_path / "new")
    db = sqlite3.connect(tmp_path / "new" / FILE_NAME)
    told = [(row[5], unpack_item(cbor.decode(row[7]))) for row in tables.ENTRY.read(db, "kind = 3")]
    ranges = {(log, item.what, str(item.first)) for log, item in told if isinstance(item, Loss)}
    assert ranges == {
        (0, "journal", str(START_UTC_MS)),
        (0, "envelope", "[0, 6]"),
        (0, "envelope", "[1, 6]"),  # its hub held nothing then: there is nothing to ask with
        (1, "envelope", "[1, 6]"),
        (0, "envelope", "[2, 6]"),
        (2, "envelope", "[2, 6]"),
    }


def test_a_log_that_is_new_after_a_restore_starts_where_none_can_have_been(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    backup.write(home.folder, tmp_path / "b.zip", START_UTC_MS)
    restored(home, tmp_path / "new")
    journal = Journal(tmp_path / "new", "balise/test")
    journal.open()
    with journal.transaction() as db:
        logs.ensure(db, [*LOGS, 3])
        assert Log.read(db, 3).next_seq == 1 + logs.NEW_AFTER_RESTORE
    journal.close()


def test_a_key_leaves_only_when_asked_for_and_never_open(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    seed = (home.folder / keys.FILE_NAME).read_bytes()
    backup.write(home.folder, tmp_path / "b.zip", None)
    backup.write(home.folder, tmp_path / "k.zip", None, PASSPHRASE)
    for name in ("b.zip", "k.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert not any(seed in archive.read(member) for member in archive.namelist())
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    with pytest.raises(BackupError, match="holds no signing key"):
        backup.restore(tmp_path / "b.zip", tmp_path / "new", [])
    for passphrase, why in ((None, "passphrase is needed"), ("wrong horse", "does not open")):
        with pytest.raises(BackupError, match=why):
            backup.restore(tmp_path / "k.zip", tmp_path / "new", [], passphrase=passphrase)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["journal.lock"]
    backup.restore(tmp_path / "k.zip", tmp_path / "new", [], passphrase=PASSPHRASE)
    assert keys.load(tmp_path / "new").kid == home.signer.kid
    with pytest.raises(BackupError, match="less than"):
        backup.write(home.folder, tmp_path / "s.zip", None, "short")


def test_a_key_of_another_gateway_is_not_taken(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    backup.write(home.folder, tmp_path / "b.zip", None)
    keys.load_or_make(tmp_path / "other")
    with pytest.raises(BackupError, match="not the key of this backup"):
        backup.restore(tmp_path / "b.zip", tmp_path / "other", [])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    backup.write(home.folder, tmp_path / "b.zip", None)
    taken = (tmp_path / "b.zip").read_bytes()
    with pytest.raises(BackupError, match="choose another"):
        backup.write(home.folder, tmp_path / "b.zip", None)
    assert (tmp_path / "b.zip").read_bytes() == taken
    before = (home.folder / FILE_NAME).read_bytes()
    with pytest.raises(BackupError, match="--replace"):
        backup.restore(tmp_path / "b.zip", home.folder, [ASKED])
    assert (home.folder / FILE_NAME).read_bytes() == before
    assert backup.restore(tmp_path / "b.zip", home.folder, [ASKED], replace=True).aside == [f"{FILE_NAME}.replaced-1"]
    assert (home.folder / f"{FILE_NAME}.replaced-1").read_bytes() == before
    assert backup.restore(tmp_path / "b.zip", home.folder, [ASKED], replace=True).aside == [f"{FILE_NAME}.replaced-2"]


def test_a_running_gateway_keeps_its_journal(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    backup.write(home.folder, tmp_path / "b.zip", None)
    home.journal.open()
    with pytest.raises(JournalUnavailable, match="another gateway"):
        backup.restore(tmp_path / "b.zip", home.folder, [ASKED], replace=True)
    home.journal.close()


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_backup_is_refused_or_whole(seed: int, tmp_path: Path) -> None:
    home = scene(tmp_path / "data", rounds=2)
    backup.write(home.folder, tmp_path / "b.zip", None)
    raw, dice = bytearray((tmp_path / "b.zip").read_bytes()), random.Random(seed)
    for _ in range(3):
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    (tmp_path / "b.zip").write_bytes(raw)
    before = (home.folder / FILE_NAME).read_bytes()
    try:
        backup.restore(tmp_path / "b.zip", home.folder, [ASKED], replace=True)
    except GatewayError:
        assert (home.folder / FILE_NAME).read_bytes() == before
        assert [path.name for path in home.folder.glob("*re*ed*")] == []
    Home(home.folder).stop()


def test_a_damaged_journal_is_not_backed_up(tmp_path: Path) -> None:
    home = scene(tmp_path / "data")
    db = sqlite3.connect(home.folder / FILE_NAME, isolation_level=None)
    db.execute("UPDATE log SET rows = rows + 1")
    db.close()
    with pytest.raises(BackupError, match="damaged"):
        backup.write(home.folder, tmp_path / "b.zip", None)
    assert not (tmp_path / "b.zip").exists()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(toml(tmp_path / "data"), encoding="utf-8")
    scene(tmp_path / "data")
    return file


def balise(*words: str, typed: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words), input=typed)
    return done.exit_code, done.output


def test_the_commands(config: Path, tmp_path: Path) -> None:
    file, here = tmp_path / "b.zip", ["-c", str(config)]
    assert balise("backup", str(file), *here)[0] == 0
    code, said = balise("restore", str(file), *here)
    assert (code, "--replace" in said) == (1, True)
    code, said = balise("restore", str(file), "--replace", *here)
    assert code == 0
    assert "journal.db.replaced-1" in said
    locked = tmp_path / "k.zip"
    code, said = balise("backup", str(locked), "--with-key", *here, typed=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert code == 0, said
    assert PASSPHRASE not in said
    (tmp_path / "data" / keys.FILE_NAME).unlink()
    code, said = balise("restore", str(locked), "--replace", *here, typed=f"{PASSPHRASE}\n")
    assert code == 0, said
    assert balise("restore", str(config), "--replace", *here)[0] == 1
    with zipfile.ZipFile(locked) as archive:
        assert json.loads(archive.read("about.json"))["with_key"] is True
