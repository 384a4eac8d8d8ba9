"""Virtual time jumps, paced time passes, shared time never goes back: and timers are exact in all of them."""

import asyncio
import math
import os
import selectors
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from balise_sim.clocks import LoopClock, Stalled, VirtualLoop
from balise_sim.pace import Follower, Leader, PacedLoop
from balise_sim.shared_clock import STATE, STATE_AT, ClockError, SharedClock

START_UTC_MS = 1_544_300_000_000


@pytest.fixture
def virtual() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_virtual_time_jumps_to_the_next_timer(virtual: VirtualLoop) -> None:
    seen: list[tuple[str, float]] = []

    async def nap(name: str, duration_s: float) -> None:
        await asyncio.sleep(duration_s)
        seen.append((name, virtual.time()))

    async def both() -> None:
        await asyncio.gather(nap("year", 31_536_000.0), nap("blink", 0.1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(10)

    virtual.run_until_complete(both())
    assert seen == [("blink", 0.1), ("year", 31_536_000.0)]
    assert virtual.time() == 31_536_005.0


def test_no_timer_runs_before_its_microsecond(virtual: VirtualLoop) -> None:
    late_us: list[int] = []

    async def count() -> None:
        for at_us in range(1, 10**13, 77_777_777_777):
            virtual.call_at(at_us / 1e6, lambda at_us=at_us: late_us.append(round(virtual.time() * 1e6) - at_us))  # type: ignore[misc]
        await asyncio.sleep(1e7)

    virtual.run_until_complete(count())
    assert set(late_us) == {0}


def test_a_timer_that_asks_again_until_its_time_has_come_ends(virtual: VirtualLoop) -> None:
    """Two moments closer than any clock's resolution: the later one must not be run at the earlier one's time."""
    runs: list[float] = []

    async def main() -> None:
        await asyncio.sleep(1000)
        first_s, second_s = virtual.time() + 1, math.nextafter(virtual.time() + 1, 2000)

        def look() -> None:
            runs.append(virtual.time())
            if virtual.time() < second_s:
                virtual.call_at(second_s, look)

        virtual.call_at(first_s, lambda: None)
        virtual.call_at(second_s, look)
        await asyncio.sleep(5)

    virtual.run_until_complete(main())
    assert runs == [math.nextafter(1001.0, 2000)]


def test_a_deadlock_in_virtual_time_is_told(virtual: VirtualLoop) -> None:
    with pytest.raises(Stalled, match="deadlock"):
        virtual.run_until_complete(asyncio.Event().wait())


def test_threads_have_no_place_in_virtual_time(virtual: VirtualLoop) -> None:
    async def main() -> None:
        await virtual.run_in_executor(None, os.getpid)

    with pytest.raises(RuntimeError, match="thread"):
        virtual.run_until_complete(main())


def test_an_asgi_app_answers_in_virtual_time(virtual: VirtualLoop) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(3)
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"later"})  # type: ignore[operator]

    async def main() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.example") as client:
            return (await client.get("/")).text

    assert virtual.run_until_complete(main()) == "later"
    assert virtual.time() == 3


def test_the_clock_that_guests_are_handed(virtual: VirtualLoop) -> None:
    async def main() -> tuple[int, int, int]:
        await asyncio.sleep(100)
        clock = LoopClock(virtual, START_UTC_MS, uncertainty_ms=20)
        await asyncio.sleep(0.25)
        return clock.utc_ms(), clock.boot_ms(), clock.uncertainty_ms()

    assert virtual.run_until_complete(main()) == (START_UTC_MS + 100_250, 250, 20)


def test_a_paced_loop_runs_timers_at_their_time_and_real_sockets_beside_them(tmp_path: Path) -> None:
    loop = PacedLoop(Leader(SharedClock.make(tmp_path / "clock", START_UTC_MS), pace=500))
    seen: list[float] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async def main() -> bytes:
        for at_s in (0.5, 30.0, 30.000001, 60.25):
            loop.call_at(at_s, lambda: seen.append(loop.time()))
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"hello\n")
        line = await reader.readline()
        await asyncio.sleep(61 - loop.time())
        server.close()
        return line

    assert loop.run_until_complete(main()) == b"HELLO\n"
    loop.close()
    assert seen == [0.5, 30.0, 30.000001, 60.25]


FOLLOW = """
import asyncio, sys
from pathlib import Path
from balise_sim.pace import Follower, PacedLoop
from balise_sim.shared_clock import SharedClock
clock = SharedClock.open(Path(sys.argv[1]))
loop = PacedLoop(Follower(clock))
async def main():
    start = loop.time()
    for _ in range(3):
        print(clock.start_utc_ms, loop.time(), flush=True)
        await asyncio.sleep(20)
loop.run_until_complete(main())
"""


def test_another_process_follows_and_one_that_was_killed_goes_on(tmp_path: Path) -> None:
    """The world goes on, at its pace, until both followers have had their time."""
    path = tmp_path / "clock"
    loop = PacedLoop(Leader(SharedClock.make(path, START_UTC_MS), pace=200))
    done: list[list[float]] = []

    async def follow(kill: bool) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOLLOW, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        lines = [await process.stdout.readline()]
        if kill:
            process.kill()
        lines += [line async for line in process.stdout]
        await process.wait()
        done.append([float(line.split()[1]) for line in lines])
        assert all(int(line.split()[0]) == START_UTC_MS for line in lines)

    async def main() -> None:
        await follow(kill=True)
        await follow(kill=False)

    loop.run_until_complete(main())
    world_s = loop.time()
    loop.close()
    first, second = done
    assert 0 <= first[0] <= second[0]
    assert second == sorted(second)
    assert second[2] - second[0] >= 40
    assert second[2] <= world_s


def test_shared_time_stops_at_the_limit_and_never_goes_back(tmp_path: Path) -> None:
    clock = SharedClock.make(tmp_path / "clock", START_UTC_MS)
    reader = SharedClock.open(tmp_path / "clock")
    clock.publish(5_000_000, 6_000_000, 1e12)
    assert reader.now_us() == 6_000_000
    clock.publish(5_500_000, 5_600_000, 1e12)
    assert reader.now_us() == 6_000_000
    clock.publish(7_000_000, 7_000_000, 1.0)
    assert (reader.now_us(), reader.utc_ms()) == (7_000_000, START_UTC_MS + 7000)


class RealTime:
    """A real clock that only waiting moves."""

    now_s = 0.0

    def wait(self, pause_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += pause_s
        return []


def leader(path: Path, pace: float) -> tuple[Leader, SharedClock, RealTime]:
    real = RealTime()
    return Leader(SharedClock.make(path, START_UTC_MS), pace, lambda: real.now_s), SharedClock.open(path), real


def test_time_passes_at_its_pace_and_no_faster(tmp_path: Path) -> None:
    world, _, real = leader(tmp_path / "clock", 100)
    for until_s in (10.0, 15.0, 60.0):
        world.select(real.wait, until_s)
        assert (world.now_s(), round(real.now_s, 6)) == (until_s, until_s / 100)


def test_a_world_that_fell_far_behind_does_not_race(tmp_path: Path) -> None:
    world, _, real = leader(tmp_path / "clock", 100)
    real.now_s = 60.0  # a debugger held it
    world.select(real.wait, 50.0)
    assert real.now_s == pytest.approx(60.5)


def test_the_world_waits_for_who_is_busy_but_not_for_ever(tmp_path: Path) -> None:
    world, follower, real = leader(tmp_path / "clock", 1000)
    follower.promise(10_000_000)
    held_s: list[float] = []

    def wait(pause_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        held_s.append(world.now_s())
        if len(held_s) == 40:
            follower.promise(20_000_000)
        return real.wait(pause_s)

    world.select(wait, 1000.0)
    assert held_s[38] == 14.0  # the slack at this pace is 4 s
    assert held_s[60] == 24.0
    assert world.now_s() == 1000.0  # who does not move for 0.1 s is not waited for


def test_files_that_are_no_clock(tmp_path: Path) -> None:
    with pytest.raises(ClockError, match="is the world running"):
        SharedClock.open(tmp_path / "none")
    (tmp_path / "other").write_bytes(bytes(4096))
    with pytest.raises(ClockError, match="not a shared clock"):
        SharedClock.open(tmp_path / "other")


def test_a_world_that_died_while_writing_is_told(tmp_path: Path) -> None:
    clock = SharedClock.make(tmp_path / "clock", START_UTC_MS)
    content = bytearray((tmp_path / "clock").read_bytes())
    struct.pack_into("<Q", content, 16, 7)
    (tmp_path / "clock").write_bytes(content)
    with pytest.raises(ClockError, match="middle of writing"):
        clock.read()
    assert STATE_AT + STATE.size < len(content)


def test_a_pace_must_move(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not move"):
        Leader(SharedClock.make(tmp_path / "clock", START_UTC_MS), pace=0)


def test_followers_need_no_world_to_be_made(tmp_path: Path) -> None:
    SharedClock.make(tmp_path / "clock", START_UTC_MS).close()
    code = (
        "import sys; from pathlib import Path; from balise_sim.shared_clock import SharedClock; "
        "print(SharedClock.open(Path(sys.argv[1])).utc_ms())"
    )
    shown = subprocess.run([sys.executable, "-c", code, tmp_path / "clock"], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == START_UTC_MS
    assert Follower(SharedClock.open(tmp_path / "clock")).now_s() == 0
