"""A guest lives on the host's time, and when it is abandoned nothing of it runs again."""

import asyncio
import gc

from balise_sim.clocks import VirtualLoop
from balise_sim.guests import GuestLoop


async def tick(log: list[tuple[str, float]], period_s: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        while True:
            log.append(("tick", loop.time()))
            await asyncio.sleep(period_s)
    finally:
        log.append(("finally", loop.time()))


def test_guest_and_host_share_time_in_order() -> None:
    host = VirtualLoop()
    guest, log = GuestLoop(host), list[tuple[str, float]]()

    async def play() -> None:
        guest.start(tick(log, 10))
        for _ in range(3):
            await asyncio.sleep(7)
            log.append(("host", host.time()))

    host.run_until_complete(play())
    guest.abandon()
    assert log == [("tick", 0), ("host", 7), ("tick", 10), ("host", 14), ("tick", 20), ("host", 21)]


def test_an_abandoned_guest_runs_not_even_its_finally() -> None:
    host = VirtualLoop()
    guest, log = GuestLoop(host), list[tuple[str, float]]()

    async def play() -> None:
        guest.start(tick(log, 1))
        await asyncio.sleep(2.5)
        guest.abandon()
        await asyncio.sleep(10)

    host.run_until_complete(play())
    gc.collect()
    assert log == [("tick", 0), ("tick", 1), ("tick", 2)]


def test_what_the_host_posts_runs_inside_the_guest() -> None:
    host = VirtualLoop()
    guest, seen = GuestLoop(host), list[object]()

    async def play() -> None:
        host.call_later(3, guest.post, lambda: seen.append(asyncio.get_running_loop()))
        await asyncio.sleep(4)
        seen.append(asyncio.get_running_loop())

    host.run_until_complete(play())
    guest.abandon()
    assert seen == [guest, host]


def test_timeouts_inside_a_guest() -> None:
    host = VirtualLoop()
    guest, seen = GuestLoop(host), list[float]()

    async def wait() -> None:
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(guest.time())

    async def play() -> None:
        guest.start(wait())
        await asyncio.sleep(20)

    host.run_until_complete(play())
    guest.abandon()
    assert seen == [5]
