"""A new configuration while cards are shown: what changed begins anew, nothing that was shown is lost."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from balise_gateway.config import Config
from balise_gateway.errors import ConfigError
from balise_sim.processes import free_ports
from balise_wire import card
from gateway.badges.places import PlaceAt, places
from gateway.badges.readers.code_benches import events
from gateway.support import until

HERE, THERE = "coroutine.example", "mappemonde.example"


class Scanner:
    """A scanner that types, plugged in all the time: a FIFO, as its reader's own suite has it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path, self._fd = path, os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def section(self, name: str) -> str:
        return f'[[reader]]\nkind = "keyboard_wedge"\nname = "{name}"\npath = "{self.path}"\naway_s = 0.1\n'

    def show(self, text: str) -> None:
        os.write(self._fd, events(text))

    def close(self) -> None:
        os.close(self._fd)


def config(place: PlaceAt, extra: str, **options: str) -> Config:
    assert place.gateway is not None
    return place.config({}, extra, badge=options.get("badge", ""))


async def reload(place: PlaceAt, new: Config) -> list[str]:
    assert place.gateway is not None
    return await place.gateway.reload(new)


def taps(place: PlaceAt) -> int:
    return sum(place.office.records.book.counts().values())


def test_readers_and_badge_change_while_codes_are_shown_and_every_one_is_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        scanner = Scanner(tmp_path / "scanner")
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            urls = [card.home_url(HERE, here.member(f"member-{n}")) for n in range(12)]
            assert await reload(here, config(here, scanner.section("door 0"))) == ["reader 1: added"]
            for number, url in enumerate(urls):
                scanner.show(url)
                if number % 3 == 0:  # in the middle of it: what the scanner typed waits in the pipe, or in the loop
                    name = f"door {number}"
                    badge = f"show_s = {1 + number}"
                    told = await reload(here, config(here, scanner.section(name), badge=badge))
                    assert {line.partition(":")[0] for line in told} <= {"badge", "reader 1"}
                wanted = number + 1
                await until(lambda wanted=wanted: taps(here) == wanted)  # type: ignore[misc]
            assert here.office.records.book.counts() == {"accepted": 12}
            assert here.office.settings.show_s == 10
            readers = {reader for (reader,) in here.office.records.book.db.execute("SELECT DISTINCT reader FROM tap")}
            assert len(readers) > 1
            assert len(here.office.readers) == 1
        scanner.close()

    asyncio.run(scene())


def test_a_change_elsewhere_leaves_doors_and_readers_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            office = here.office
            limit = '[[limit]]\nchannel = "temperature"\nspike = 9.0\n'
            assert await reload(here, config(here, limit)) != []
            assert here.office is office
            agreement = tmp_path / "agreement.toml"
            agreement.write_text(agreement.read_text(encoding="utf-8") + "\n# a new version\n", encoding="utf-8")
            await reload(here, config(here, limit))
            assert here.office is not office
            assert here.show(here.member("anne")).state == "accepted"

    asyncio.run(scene())


def test_partners_are_answered_after_a_reload(tmp_path: Path) -> None:
    """By the server that listened before: it must not ask the office that is closed."""

    async def scene() -> None:
        (port,) = free_ports(1)
        page = f"[page]\nport = {port}\n"
        async with places(tmp_path, HERE, extra=page) as made, httpx.AsyncClient() as client:
            (here,) = made.values()
            await reload(here, config(here, page, badge="show_s = 7"))
            answers: list[int] = []

            async def ask() -> None:
                while 200 not in answers:
                    try:
                        answers.append((await client.get(f"http://127.0.0.1:{port}/badge/v1/table")).status_code)
                    except httpx.TransportError:
                        await asyncio.sleep(0.02)

            async with asyncio.timeout(30):
                await ask()

    asyncio.run(scene())


def test_a_place_that_was_replaced_leaves_no_file_open(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE, THERE) as made:
            here = made[HERE]
            await reload(here, config(here, "", badge="show_s = 2"))
            before = len(os.listdir("/proc/self/fd"))
            for seconds in range(3, 23):
                await reload(here, config(here, "", badge=f"show_s = {seconds}"))
            await until(lambda: len(os.listdir("/proc/self/fd")) < before + 20)  # some open when it runs

    asyncio.run(scene())


def test_a_tap_of_before_the_reload_gets_its_time_when_that_becomes_known(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            here.clock.unsure_ms = 1 << 40
            number, start = here.member("anne"), here.office.records.book.start
            assert here.show(number).reason == "no clock"
            shown_ms = here.clock.now_ms
            here.clock.now_ms += 60_000
            await reload(here, config(here, "", badge="show_s = 9"))
            assert here.office.records.book.start == start
            here.clock.unsure_ms = 20
            here.office.works.sayer.say()
            row = here.office.records.book.db.execute("SELECT utc_s, said FROM tap").fetchone()
            assert row == (shown_ms // 1000, 1)

    asyncio.run(scene())


def test_a_place_that_cannot_be_opened_changes_nothing_and_stops_no_sensor(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            office, number = here.office, here.member("anne")
            agreement = tmp_path / "agreement.toml"
            good = agreement.read_text(encoding="utf-8")
            agreement.write_text("no agreement", encoding="utf-8")
            with pytest.raises(ConfigError, match="badge: "):
                await reload(here, config(here, ""))
            assert here.office is office
            assert here.show(number).state == "accepted"
            await here.stop()
            await here.start(config(here, ""))  # the gateway starts all the same
            assert here.gateway is not None
            badge = here.gateway.status()["badge"]
            assert isinstance(badge, dict)
            assert "agreement" in badge["error"]
            agreement.write_text(good, encoding="utf-8")
            await reload(here, config(here, ""))
            assert here.show(number).state == "accepted"

    asyncio.run(scene())


class Doomed:
    """A reader with a fault that nobody has thought of, and a card's number in its words."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, take: object) -> None:
        self.runs += 1
        raise ZeroDivisionError("04a1b2c3d4e5f6")

    def status(self) -> dict[str, object]:
        return {"name": "door"}

    def close(self) -> None: ...


def test_a_reader_that_fails_in_a_new_way_takes_nothing_else_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            doomed = Doomed()
            running = asyncio.create_task(here.office._keep_running(doomed, again_s=0))  # type: ignore[arg-type]
            await until(lambda: doomed.runs > 2)
            running.cancel()
            await asyncio.wait([running])
            assert here.show(here.member("anne")).state == "accepted"

    with caplog.at_level("INFO"):
        asyncio.run(scene())
    told = [record.getMessage() for record in caplog.records if "reader failed" in record.getMessage()]
    assert told[0] == "reader failed reader=door why=ZeroDivisionError retry_s=0"
    assert "04a1b2" not in caplog.text
