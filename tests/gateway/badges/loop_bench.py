"""What else a place does, and how long each of it keeps the gateway's loop from a card: the longest wait, at full size.

A beat on the loop and a beat in a thread (as a reader has one) say how late they were. Files lie on the disk of the
home directory. Leaves the time from a card to its verdict to `verdict_bench.py`.
"""

import asyncio
import contextlib
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from balise_gateway.badges.daily import Daily
from balise_gateway.badges.seen import Seen
from balise_gateway.logbook import logs
from balise_wire import card
from balise_wire.envelope import sign_envelope
from balise_wire.places import PlaceKeys
from balise_wire.visits import VisitRecord
from gateway.badges.large_place import (
    CARDS,
    DAY_S,
    DAYS,
    HERE,
    PAPER_HOMES,
    TAPS_A_DAY,
    THERE,
    gateway_of,
    keys_of,
    number_of,
    two_places,
)
from gateway.badges.places import MORNING_MS, PlaceAt
from gateway.support import START_UTC_MS, FakeClock, until

LIMIT_MS, BEAT_S = 100, 0.001
ENVELOPES_A_DAY = 4
ZONE = ZoneInfo("Europe/Paris")
_NOW_S = (START_UTC_MS + MORNING_MS) // 1000
TOLD_MS = 30.0
KEYS: dict[str, PlaceKeys] = {}  # of the places that are not paper


@dataclass
class Late:
    """How late the beats were, in milliseconds: the worst of the loop; mean and worst of the thread."""

    loop_ms: float = 0.0
    thread_ms: float = 0.0
    thread_sum_ms: float = 0.0
    thread_beats: int = 0
    where: str = ""


@contextlib.asynccontextmanager
async def beating(tell: bool = False) -> AsyncIterator[Late]:
    """Two hearts, while this runs. `tell`: also what the loop was doing when it was late."""
    late, stop, last = Late(), threading.Event(), [time.monotonic()]
    main = threading.get_ident()

    async def on_loop() -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            now_s = time.monotonic()
            late.loop_ms = max(late.loop_ms, (now_s - last[0] - BEAT_S) * 1000)
            last[0] = now_s

    def in_thread() -> None:
        while not stop.is_set():
            before_s = time.monotonic()
            time.sleep(BEAT_S)
            now_s = time.monotonic()
            ms = (now_s - before_s - BEAT_S) * 1000
            late.thread_ms, late.thread_sum_ms = max(late.thread_ms, ms), late.thread_sum_ms + ms
            late.thread_beats += 1
            if tell and (now_s - last[0]) * 1000 > max(TOLD_MS, late.loop_ms):
                late.where = "".join(traceback.format_stack(sys._current_frames()[main])[-7:])

    thread, task = threading.Thread(target=in_thread), asyncio.create_task(on_loop())
    thread.start()
    try:
        yield late
        await asyncio.sleep(0.02)
    finally:
        stop.set()
        thread.join()
        task.cancel()
        await asyncio.wait([task])


def visits_of(host: str, homes: list[str], first_tap: int, from_s: int, count: int) -> Iterator[VisitRecord]:
    """So many visits within a quarter of a day: each home's members by turns, who come and leave."""
    for which in range(count):
        home = homes[(first_tap + which) // 2 % len(homes)]
        who = KEYS.get(home, keys_of(home)).who(f"member {(first_tap + which) // 2 % 500}", host, 2018)
        at_s = from_s + which * DAY_S // ENVELOPES_A_DAY // count
        yield VisitRecord(host, home, who, at_s, 1, 0, first_tap + which + 1)


def fill_exchange(place: PlaceAt) -> None:
    """90 days of visits of all homes that are paper only."""
    exchange, each = place.office.records.exchange, TAPS_A_DAY // ENVELOPES_A_DAY
    for host in PAPER_HOMES:
        signer, body = gateway_of(host), list[bytes]()
        for seq in range(DAYS * ENVELOPES_A_DAY):
            from_s = _NOW_S - DAYS * DAY_S + seq * DAY_S // ENVELOPES_A_DAY
            visits = visits_of(host, [host, HERE, THERE], seq * each, from_s, each)
            body.append(sign_envelope(signer, 1, seq + 1, [visit.item().pack() for visit in visits]))
        exchange.take(b"".join(body), _NOW_S)


def fill_journal(place: PlaceAt) -> None:
    """90 days of visits of our own, said and closed into every log."""
    assert place.gateway is not None
    parts, each = cast(Any, place.gateway)._parts, TAPS_A_DAY // ENVELOPES_A_DAY
    for round_ in range(DAYS * ENVELOPES_A_DAY):
        from_s = _NOW_S - DAYS * DAY_S + round_ * DAY_S // ENVELOPES_A_DAY
        visits = visits_of(HERE, [HERE, THERE, *PAPER_HOMES], round_ * each, from_s, each)
        with parts.journal.transaction() as db:
            logs.say(db, [visit.item() for visit in visits])
        for log in parts.all_logs:
            parts.closer.close(log, "rice")


Scene = Callable[[PlaceAt, PlaceAt], Awaitable[object]]


async def list_made(here: PlaceAt, there: PlaceAt) -> None:
    """A partner asks for the whole list of our cards, and for what follows it."""
    lists = here.office.records.home_lists
    for base in (0, 1000):
        lists.look_again()
        await lists.message_beside(PAPER_HOMES[0], base, _NOW_S, ZONE)


async def lists_taken(here: PlaceAt, there: PlaceAt) -> None:
    """The whole list of a home comes."""
    there.office.records.home_lists.look_again()
    here.office.records.lists._db.execute("UPDATE list SET number = 0 WHERE home = ?", (THERE,))
    await here.office.works.rounds.once()
    assert here.office.records.lists.number_of(THERE)


async def day_closed(here: PlaceAt, there: PlaceAt) -> None:
    """Once a day: usages told, lines kept; of 90 days of all places."""
    told: list[object] = []
    await Daily(here.office.records, here.folder, told.append).look()
    assert told


async def forgotten(here: PlaceAt, there: PlaceAt) -> None:
    """What the first look after a restored backup forgets: half of all that there is."""
    here.office.records.book.note_forgot(-1)
    here.office.works.forgetting._keep_days = 45
    here.office.works.forgetting.look(_NOW_S + DAY_S)


async def status_asked(here: PlaceAt, there: PlaceAt) -> None:
    """The status page and the metrics."""
    assert here.gateway is not None
    for _ in range(5):
        here.gateway.status()
        await asyncio.sleep(0.005)


async def taps_said(here: PlaceAt, there: PlaceAt) -> None:
    """A thousand cards that were shown while the journal could not be written."""
    for which in range(1_000):
        home = (HERE, *PAPER_HOMES)[which % 16]
        uri = card.home_url(home, number_of(home, which))
        here.office.works.desk.take(Seen("card", "door", b"", uri))
        if which % 10 == 0:
            await asyncio.sleep(0)
    here.office.wake()
    await until(lambda: not here.office.records.book.unsaid())


async def logs_closed(here: PlaceAt, there: PlaceAt) -> None:
    """The visits of a day are signed for the home log and for each partner's."""
    parts = cast(Any, here.gateway)._parts
    with parts.journal.transaction() as db:
        logs.say(db, [visit.item() for visit in visits_of(HERE, [HERE, THERE], 50_000, _NOW_S, TAPS_A_DAY)])
    for log in parts.all_logs:
        more = True
        while more:
            more = parts.closer.close(log, "rice")
            await asyncio.sleep(0)


async def batch_taken(here: PlaceAt, there: PlaceAt) -> None:
    """A partner delivers what waited for a month: as much as one request may hold."""
    import httpx

    host, body, seq = PAPER_HOMES[0], b"", 10_000
    while len(body) < 1_000_000:
        await asyncio.sleep(0)
        visits = visits_of(host, [host, HERE, THERE], seq * 25, _NOW_S - DAY_S, 25)
        body += sign_envelope(gateway_of(host), 1, seq, [visit.item().pack() for visit in visits])
        seq += 1
    url, headers = f"https://{HERE}/badge/v1/batches", {"Balise-Nonce": "00" * 16}
    async with httpx.AsyncClient(transport=here.roads.seen_from(THERE)) as client:
        answer = await client.post(url, content=body, headers=headers)
    assert answer.status_code == 200, answer.text


SCENES: dict[str, Scene] = {
    "nothing else": lambda here, there: asyncio.sleep(0.5),
    "a whole list and its delta made for a partner": list_made,
    "a home's whole list taken": lists_taken,
    "the day closed: usages, and billing lines": day_closed,
    "the status asked": status_asked,
    "a thousand taps said": taps_said,
    "a day's visits signed for 17 logs": logs_closed,
    "1 MB of a partner's visits taken": batch_taken,
    "half of 90 days forgotten": forgotten,
}


@contextlib.asynccontextmanager
async def full(folder: Path) -> AsyncIterator[tuple[PlaceAt, PlaceAt]]:
    """The large place with 90 days of everybody's visits, and its partner; both run."""
    here, there, _ = two_places(folder, FakeClock(START_UTC_MS + MORNING_MS))
    KEYS.update({place.name: place.keys for place in (here, there)})
    partners = {name: keys_of(name).signer.public_key for name in PAPER_HOMES}
    slow: dict[str, Any] = {"batch_s": 86_400.0, "home_batch_s": 86_400.0}
    await there.start(there.config({HERE: here.keys.signer.public_key}, **slow))
    await here.start(here.config({THERE: there.keys.signer.public_key, **partners}, **slow))
    await until(lambda: here.office.records.lists.number_of(THERE))
    fill_exchange(here)
    fill_journal(here)
    try:
        yield here, there
    finally:
        for place in (here, there):
            await place.stop()


async def measured(folder: Path, part: str = "", tell: bool = False) -> list[str]:
    """The rows whose names have this part."""
    rows = []
    async with full(folder) as (here, there):
        for name, scene in SCENES.items():
            if part not in name:
                continue
            began_s = time.monotonic()
            async with beating(tell) as late:
                await scene(here, there)
            took_ms, mean_ms = (time.monotonic() - began_s) * 1000, late.thread_sum_ms / max(1, late.thread_beats)
            figures = f"{took_ms:,.0f} | {late.loop_ms:,.0f} | ≤ {LIMIT_MS} | {mean_ms:.1f} | {late.thread_ms:.0f}"
            rows.append(f"| {name} | {figures} |")
            if late.where:
                print(name, late.where)
    return rows


def loop_table() -> list[str]:
    """For BENCHMARKS.md; about a minute."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        rows = asyncio.run(measured(Path(folder)))
    return [
        "## Badges: what else a place does while a card is shown",
        "",
        "How late the gateway's loop and a thread beside it were, at most and (the thread) on average, milliseconds: a",
        f"place with {CARDS:,} cards and 16 partners, {DAYS} days of {TAPS_A_DAY} taps of each of 16 places in its "
        "files. On a Pi Zero W all of it takes some 20 times",
        "as long: a guess, nothing was measured there.",
        "",
        "| what | took | loop late, worst | limit | thread late, mean | worst |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        print("\n".join(asyncio.run(measured(Path(name), sys.argv[1] if sys.argv[1:] else "", tell=True))))
