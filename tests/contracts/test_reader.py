"""The contract `Reader`, on every kind in the folder.

A new kind needs one bench in tests/gateway/badges/readers/benches.py: how its device comes and goes, and how something
is held before it.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from balise_gateway import plugins, settings
from balise_gateway.badges import readers
from balise_gateway.badges.needs import Need
from balise_gateway.badges.readers import Reader
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import BadgeError, CardRefused, ConfigError
from contracts import bare
from gateway.badges.readers.benches import BENCHES, Bench
from gateway.support import played, until

KINDS = plugins.kinds(readers)
CONTRACT = ("run", "status", "with_card", "close")
HEAVY = ("nfc", "ndef", "serial", "smartcard", "PIL", "zxingcpp", "cv2", "numpy")
MOST_CHARS = 1024  # of a code; nothing of ours has as many
# What counters say when all is well; every other one is the name of a reason for which something was dropped.
WELL = {"seen", "reconnects", "repeated", "pictures", "looks"}


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    assert request.param in BENCHES, f"benches.py does not know how to plug in a reader of kind {request.param!r}"
    made = BENCHES[request.param](tmp_path)
    yield made
    made.reader.close()
    made.close()


class Desk:
    """What the reader handed over, and on which thread."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.seen = bench, list[Seen]()
        self.threads: set[int] = set()

    def take(self, reader: Any, seen: Seen) -> None:
        assert reader is self.bench.reader
        self.seen.append(seen)
        self.threads.add(threading.get_ident())

    def are(self, *numbers: int) -> bool:
        return len(self.seen) == len(numbers) and all(
            self.bench.is_it(seen, number) for seen, number in zip(self.seen, numbers, strict=True)
        )

    @property
    def state(self) -> str:
        return str(self.bench.reader.status()["state"])

    def counter(self, name: str) -> int:
        return int(self.bench.reader.status()["counters"].get(name, 0))

    async def up(self) -> None:
        await until(lambda: self.state == "up")

    async def away(self) -> None:
        await until(lambda: self.state.startswith("away: "))


@contextlib.asynccontextmanager
async def reading(bench: Bench) -> AsyncIterator[Desk]:
    desk = Desk(bench)
    task = asyncio.create_task(bench.reader.run(desk.take))
    try:
        yield desk
        assert not task.done(), "the reader gave up"
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert desk.state == "stopped"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_methods_of_the_contract_and_none_of_its_own(kind: str) -> None:
    module = plugins.load(readers, kind)
    public = [name for name, _ in inspect.getmembers(module.Reader, inspect.isfunction) if not name.startswith("_")]
    assert sorted(public) == sorted(CONTRACT)
    for name in CONTRACT:
        theirs, ours = inspect.signature(getattr(module.Reader, name)), inspect.signature(getattr(Reader, name))
        assert list(theirs.parameters) == list(ours.parameters)


def test_building_one_opens_nothing(bench: Bench) -> None:
    module = plugins.load(readers, bench.reader.status()["kind"])
    files, threads = open_files(), threading.active_count()
    made = module.Reader(module.Settings(**bench.settings()))
    assert (open_files(), threading.active_count()) == (files, threads)
    assert made.status()["state"] == "starting"


def test_a_kind_loads_no_library_before_it_is_opened(bench: Bench) -> None:
    """In a process of its own; where the library is missing, the gateway still starts and says which extra has it."""
    script = (
        "import sys\nfrom pathlib import Path, PosixPath\n"
        "from balise_gateway import plugins\nfrom balise_gateway.badges import readers\n"
        f"module = plugins.load(readers, {bench.settings()['kind']!r})\n"
        f"module.Reader(module.Settings(**{bench.settings()!r})).status()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_missing_device_is_said_and_found_when_it_comes(bench: Bench) -> None:
    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.away()
            bench.plug()
            await desk.up()
            await bench.show(1)
            await until(lambda: desk.are(1))
            assert desk.threads == {threading.get_ident()}

    played(scene)


def test_what_stays_is_one_sighting_and_after_it_was_away_another(bench: Bench) -> None:
    bench.plug()

    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.up()
            await bench.show(1)
            await until(lambda: desk.are(1))
            await bench.keep()
            await bench.take_away()
            await bench.show(2)
            await until(lambda: desk.are(1, 2))
            await bench.take_away()
            await bench.show(1)
            await until(lambda: desk.are(1, 2, 1))
            assert desk.counter("seen") == 3

    played(scene)


def test_survives_being_unplugged_and_shows_it(bench: Bench) -> None:
    bench.plug()

    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.up()
            for number in (1, 2):
                await bench.take_away()
                bench.unplug()
                await desk.away()
                fault, _, advice = desk.state.removeprefix("away: ").partition(": ")
                assert advice, "the state must say what to try"
                assert desk.counter(fault) >= 1
                bench.plug()
                await desk.up()
                await bench.show(number)
                await until(lambda number=number: desk.are(*range(1, number + 1)))  # type: ignore[misc]
            assert desk.counter("reconnects") >= 2

    files = open_files()
    played(scene)
    bench.rest()
    assert open_files() <= files


def test_noise_never_ends_it_and_is_dropped_with_a_reason(bench: Bench) -> None:
    bench.plug()

    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.up()
            await bench.disturb()
            await bench.show(1)
            await until(lambda: any(bench.is_it(seen, 1) for seen in desk.seen))
            await bench.keep()
            assert bench.is_it(desk.seen[-1], 1)
            for seen in desk.seen:
                assert seen.uri.isprintable()
                assert len(seen.uri) <= MOST_CHARS
            counters = bench.reader.status()["counters"]
            dropped = [name for name, count in counters.items() if count and name not in WELL]
            assert dropped or len(desk.seen) > 1, "neither handed over nor counted"  # a card that garbles has a UID

    played(scene)


def test_a_cancelled_reader_leaves_no_thread_and_no_open_file(bench: Bench) -> None:
    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.away()
        files, threads = open_files(), threading.active_count()
        bench.plug()
        plugged = open_files() - files
        for number in (1, 2, 3):  # and it can be started again
            async with reading(bench) as desk:
                await desk.up()
                await bench.take_away()
                await bench.show(number)
                await until(lambda: desk.seen)
        bench.rest()
        assert threading.active_count() == threads
        assert open_files() == files + plugged

    played(scene)


def test_cancelled_twice_it_still_ends(bench: Bench) -> None:
    bench.plug()

    async def scene() -> None:
        desk = Desk(bench)
        task = asyncio.create_task(bench.reader.run(desk.take))
        await desk.up()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader")]

    played(scene)


def test_close_may_be_called_at_any_time_and_twice(bench: Bench) -> None:
    bench.plug()
    bench.reader.close()

    async def scene() -> None:
        desk = Desk(bench)
        task = asyncio.create_task(bench.reader.run(desk.take))
        await desk.up()
        bench.reader.close()
        bench.reader.close()
        await asyncio.wait_for(task, 20)
        assert desk.state == "stopped"

    played(scene)


def test_no_status_no_log_and_no_repr_tells_what_was_shown(
    bench: Bench, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.plug()

    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.up()
            await bench.show(0x5EC2E7)
            await until(lambda: desk.seen)
            await bench.keep()
            await bench.disturb()
            told = f"{bench.reader.status()} {bench.reader!r} {desk.seen!r}"
            bench.unplug()
            await desk.away()
            told += f"{bench.reader.status()} {caplog.text} {''.join(capfd.readouterr())}"
        for secret in bench.secrets(0x5EC2E7):
            assert secret.lower() not in told.lower()

    with caplog.at_level(logging.NOTSET):
        logging.getLogger().setLevel(1)
        played(scene)


def test_the_status_has_the_keys_of_the_contract(bench: Bench) -> None:
    status = bench.reader.status()
    assert {"kind", "name", "state", "where", "counters"} <= set(status)
    assert {"seen", "unreadable", "reconnects"} <= set(status["counters"])
    assert (status["kind"], status["name"]) == (bench.settings()["kind"], "door")


def test_one_thing_at_a_time(bench: Bench) -> None:
    bench.plug()

    async def scene() -> None:
        async with reading(bench) as desk:
            await desk.up()
            with pytest.raises(BadgeError, match="in use" if bench.writes else "only sees codes|in use"):
                await bench.reader.with_card(lambda chip: chip.kind, 1.0)
            with pytest.raises(BadgeError, match="in use"):
                await bench.reader.run(desk.take)
            await bench.show(1)
            await until(lambda: desk.are(1))

    played(scene)


def test_a_reader_of_codes_writes_no_card(bench: Bench) -> None:
    if bench.writes:
        pytest.skip("writes cards: see its own tests")

    async def scene() -> None:
        with pytest.raises(CardRefused, match="only sees codes"):
            await bench.reader.with_card(lambda chip: chip.kind, 1.0)

    played(scene)


def table(bench: Bench) -> dict[str, object]:
    """Its settings as they stand in a TOML file."""

    def plain(value: object) -> object:
        return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in bench.settings().items()}


def test_its_settings_are_read_from_a_table(bench: Bench) -> None:
    module = plugins.load(readers, str(bench.settings()["kind"]))
    made = settings.build(module.Settings, table(bench), "reader", "gateway.toml")
    assert made == module.Settings(**bench.settings())


def test_a_wrong_key_is_named_with_its_file(bench: Bench) -> None:
    module = plugins.load(readers, str(bench.settings()["kind"]))
    for key in settings.keys_of(module.Settings):
        wrong: object = 7 if key.type.startswith(("text", "a path", "a list")) or '"' in key.type else ["seven"]
        with pytest.raises(ConfigError) as told:
            settings.build(module.Settings, table(bench) | {key.name: wrong}, "reader", "gateway.toml")
        assert "gateway.toml: reader" in str(told.value)
        assert key.name in str(told.value)
    if any(key.name == "path" for key in settings.keys_of(module.Settings)):
        with pytest.raises(ConfigError, match="whole path"):
            settings.build(module.Settings, table(bench) | {"path": "ttyUSB0"}, "reader", "gateway.toml")
    with pytest.raises(ConfigError, match=r"gateway\.toml: reader: unknown key 'pth'"):
        settings.build(module.Settings, table(bench) | {"pth": "x"}, "reader", "gateway.toml")


BARE = """
import asyncio, pickle
settings = pickle.loads(bytes.fromhex(sys.argv[1]))
from balise_gateway import plugins
from balise_gateway.badges import readers
from balise_gateway.badges.needs import Need
reader = plugins.load(readers, settings.kind).Reader(settings)
async def scene():
    task = asyncio.create_task(reader.run(lambda *_: None))
    while reader.status()["state"] == "starting":
        await asyncio.sleep(0.01)
    state = reader.status()["state"]
    await asyncio.sleep(0.05)
    assert not task.done(), "the reader gave up"
    task.cancel()
    await asyncio.wait([task])
    return state
tell(asyncio.run(scene()))
"""


def test_a_missing_library_is_said_in_its_state_and_ends_nothing(bench: Bench) -> None:
    """Where it needs none, as the guide says, it does not ask for one."""
    kind = str(bench.reader.status()["kind"])
    module = plugins.load(readers, kind)
    told = bare.told(BARE, pickle.dumps(module.Settings(**bench.settings())).hex())
    manual = (Path(__file__).parents[2] / "gateway/BADGES.md").read_text(encoding="utf-8")
    row = next(line for line in manual.splitlines() if line.startswith(f"| `{kind}` |"))
    extra = row.split("|")[3].partition("`balise[")[2].partition("]")[0]
    assert bool(told.wanted) == bool(extra), told
    if extra:
        assert told.said.startswith(f"away: not installed: a reader of kind {kind} needs "), told
        assert told.said.endswith(f": pip install 'balise[{extra}]'")
    else:
        assert "not installed" not in told.said


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_a_service_must_be_let_at_for_it(kind: str) -> None:
    assert isinstance(plugins.load(readers, kind).NEEDS, Need)
    manual = (Path(__file__).parents[2] / "gateway/BADGES.md").read_text(encoding="utf-8")
    section = manual.partition("\n### As a service\n")[2].partition("\n### ")[0]
    assert f"`{kind}`" in section


@pytest.mark.parametrize("kind", KINDS)
def test_the_manual_says_with_what_it_was_tested(kind: str) -> None:
    manual = (Path(__file__).parents[2] / "gateway/BADGES.md").read_text(encoding="utf-8")
    section = manual.partition("\n## Readers\n")[2].partition("\n## ")[0]
    assert f"\n| `{kind}` |" in section
