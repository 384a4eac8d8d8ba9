"""Disks that refuse, for real: a full one, and one that is read-only. Nothing is acknowledged, nothing half kept.

Mounting needs root; where it is refused, a limit on file sizes stands for the full disk, permissions for the other.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balise_gateway import keys
from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.daemon import Gateway
from balise_gateway.errors import JournalUnavailable
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.file import FILE_NAME
from gateway.support import KEY, NAME, START_UTC_MS, AirNode, FakeClock, FakeIngest, config_in, played, until

T0 = START_UTC_MS // 1000
DISK_KB = 512
NEVER_S = 1e6
NOBODY = 65_534
Change = Callable[[], None]


def _mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


def _can_mount(folder: Path) -> bool:
    return os.geteuid() == 0 and _mount("-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(folder))


@contextlib.contextmanager
def filling_disk(folder: Path) -> Iterator[tuple[Path, Change]]:
    """(a folder on a disk that is nearly full, what frees it)."""
    if _can_mount(folder):
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(DISK_KB * 1024 - 320 * 1024))
        try:
            yield folder, ballast.unlink
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (192 * 1024, hard))  # Python ignores SIGXFSZ: writes fail with EFBIG
    try:
        yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(folder: Path, fill: Callable[[Path], None]) -> Iterator[tuple[Path, Change]]:
    """(a folder that `fill` has filled and that is read-only now, what makes it writable)."""
    if _can_mount(folder):
        try:
            fill(folder)
            assert _mount("-o", "remount,ro", str(folder))
            yield folder, lambda: subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True) and None
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    fill(folder)
    paths = [folder, *folder.iterdir()]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)  # root does not feel permissions

    def restore() -> None:
        os.seteuid(me)
        for path in paths:
            path.chmod(0o700 if path.is_dir() else 0o600)

    try:
        yield folder, restore
    finally:
        restore()


def new_intake(folder: Path) -> Intake:
    return Intake(Journal(folder, "balise/test"), [NodeSettings(name=NAME, key=KEY)], FakeClock(), NEVER_S)


def used_journal(folder: Path) -> None:
    journal = Journal(folder, "balise/test")
    journal.open()
    journal.close()


def test_a_full_disk(tmp_path: Path) -> None:
    """Commits fail at some point; what was acknowledged is there, the rest is committed when there is room again."""

    async def scene() -> None:
        with filling_disk(tmp_path) as (folder, free):
            intake, carrier, node = new_intake(folder), FakeIngest(), AirNode()
            intake.ready()
            intake.take(carrier, "t", node.hello(), 0)
            number = 0
            while intake.commit() and number < 100_000:
                for _ in range(50):
                    number += 1
                    intake.take(carrier, "t", node.row(T0 + 60 * number), number)
            assert "disk" in str(intake.state.error)
            acknowledged = len(carrier.released)
            assert acknowledged == number + 1 - 50  # all but the last commit
            assert intake.pending == 50
            assert not intake.commit()  # still full: nothing happens twice, nothing half
            assert len(carrier.released) == acknowledged
            (kept,) = intake._journal.db.execute("SELECT count(*) FROM entry").fetchone()
            assert kept == acknowledged - 1  # the hello is no entry
            free()
            assert intake.commit()
            assert len(carrier.released) == number + 1
            assert intake.state.error is None
            (kept,) = intake._journal.db.execute("SELECT count(*) FROM entry").fetchone()
            assert kept == number
            intake.abandon()
            intake._journal.close()

    played(scene)


def test_a_power_cut_on_a_full_disk(tmp_path: Path) -> None:
    """What was acknowledged is there at the next start, also when that start has no room to write."""

    async def scene() -> None:
        with filling_disk(tmp_path) as (folder, free):
            intake, carrier, node = new_intake(folder), FakeIngest(), AirNode()
            intake.ready()
            intake.take(carrier, "t", node.hello(), 0)
            number = 0
            while intake.commit() and number < 100_000:
                for _ in range(50):
                    number += 1
                    intake.take(carrier, "t", node.row(T0 + 60 * number), number)
            intake.abandon()
            intake._journal.close()
            free()
            after = new_intake(folder)
            after.ready()
            (boot,) = tables.BOOT.read(after._journal.db)
            assert boot[2] == len(carrier.released)  # contiguous
            after._journal.close()

    played(scene)


def _fill(folder: Path) -> None:
    """Takes the last byte, of the disk or of the limit."""
    if not (folder / "ballast").exists():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return
    with contextlib.suppress(OSError), (folder / "more").open("wb", buffering=0) as more:
        while more.write(bytes(4096)):
            pass


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    with filling_disk(tmp_path) as (folder, free):
        _fill(folder)
        journal = Journal(folder, "balise/test")
        with pytest.raises(JournalUnavailable):
            journal.open()
        free()
        (folder / "more").unlink(missing_ok=True)
        journal.open()
        journal.close()


def test_a_read_only_journal(tmp_path: Path) -> None:
    """Nothing can be committed, so nothing is acknowledged; it goes on by itself when the disk can be written again."""

    async def scene() -> None:
        with read_only(tmp_path, used_journal) as (folder, mend):
            intake, carrier, node = new_intake(folder), FakeIngest(), AirNode()
            hello = node.hello()
            for number in range(3):
                intake.take(carrier, "t", hello, number)
                assert not intake.commit()
            assert "read-only" in str(intake.state.error) or "check" in str(intake.state.error)
            assert (carrier.released, carrier.answers) == ([], [])
            mend()
            assert intake.commit()
            intake.take(carrier, "t", hello, 9)
            assert intake.commit()
            assert carrier.released == [9]
            assert len(carrier.answers) == 1
            intake.abandon()
            intake._journal.close()

    played(scene)


def test_a_gateway_on_a_read_only_disk_waits_and_says_so(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        keys.load_or_make(folder)
        used_journal(folder)

    async def scene() -> None:
        with read_only(tmp_path, fill) as (folder, mend):
            if os.geteuid() == NOBODY:
                pytest.skip("root without mount(8) can make a disk read-only for itself in no way")
            gateway, stop = Gateway(config_in(folder, hubs=0), FakeClock()), asyncio.Event()
            run = asyncio.create_task(gateway.run(stop))
            await until(lambda: _journal_error(gateway) or run.done())
            assert not run.done()
            assert gateway.ingests[0].status()["state"] == "starting"  # nobody is let in
            mend()
            await until(lambda: gateway.ingests[0].status()["state"] == "up")
            assert _journal_error(gateway) is None
            stop.set()
            await run

    played(scene)


def _journal_error(gateway: Gateway) -> object:
    journal = gateway.status().get("journal")
    return journal["error"] if isinstance(journal, dict) else None


def test_the_file_is_there_and_cannot_be_a_journal(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(JournalUnavailable, match="cannot be opened"):
        Journal(tmp_path, "balise/test").open()
