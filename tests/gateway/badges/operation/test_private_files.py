"""What lies in the data folder is for its owner alone, whatever the umask says, and beside a database too."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from balise_gateway import keys
from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.errors import KeyFileError
from gateway.badges.places import PlaceAt, places
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"
OF_THE_TEST = {"places.cose"}  # which the test's own hand puts there


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    found = [path for path in (folder, *folder.rglob("*")) if path.name not in OF_THE_TEST]
    return [f"{path.name} {stat.S_IMODE(path.stat().st_mode):o}" for path in found if path.stat().st_mode & 0o077]


async def lived(here: PlaceAt, there: PlaceAt) -> None:
    """A guest place, a list, a visit that is signed and delivered."""
    desk_keys.give(here.folder, "guest.example", "Guest")
    number = there.member("zoe")
    await here.office.works.rounds.once()
    assert here.show(number, home=THERE).state in ("accepted", "desk")
    here.office.works.guests.all()
    here.office.wake()
    await until(lambda: not here.office.records.book.unsaid())


def test_every_file_and_folder_of_a_running_place_is_for_its_owner(tmp_path: Path, open_umask: None) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await lived(here, there)
            assert len(list(here.folder.rglob("*-wal"))) > 5
            here.folder.chmod(0o700)  # the test made it
            assert open_to_others(here.folder) == []

    asyncio.run(scene())


def test_files_that_an_older_version_left_open_are_closed_at_the_next_start(tmp_path: Path, open_umask: None) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here, there = made.values()
            await lived(here, there)
            await here.crash()  # what waits in a write-ahead log stays there
            for path in here.folder.rglob("*"):
                if path.suffix != ".key":
                    path.chmod(0o777 if path.is_dir() else 0o666)
            await here.start(here.config({}))
            here.office.works.guests.all()
            Lines(here.folder).close()  # opened at the end of a month
            databases = [path for path in here.folder.rglob("*") if ".db" in path.name]
            assert len(databases) > 10
            assert [path.name for path in databases if path.stat().st_mode & 0o077] == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("seed", "mode", "told"),
    [
        (b"", 0o600, "0 bytes instead of 32"),
        (bytes(31), 0o600, "31 bytes instead of 32"),
        (bytes(33), 0o600, "33 bytes instead of 32"),
        (bytes(32), 0o600, "nothing but zeros"),
        (b"x" * 32, 0o640, "chmod 600"),
        (b"x" * 32, 0o604, "chmod 600"),
    ],
)
def test_a_key_file_that_cannot_be_a_secret_is_refused(tmp_path: Path, seed: bytes, mode: int, told: str) -> None:
    path = tmp_path / keys.FILE_NAME
    path.write_bytes(seed)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=told):
        keys.load_or_make(tmp_path)
    assert path.read_bytes() == seed
