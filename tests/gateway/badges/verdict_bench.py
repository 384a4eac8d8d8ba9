"""From a card on the reader to the verdict on the screen: a whole place at its largest, a PN532 at its modelled times.

The fakes are the chip with its cards, the network between places, and the calendar (ten minutes pass between two
cards). Files lie on the disk of the home directory. Processor time is the kernel's, of the two threads that work.
"""

import asyncio
import contextlib
import functools
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from balise_gateway.badges.cards.writing import Wanted, write
from balise_gateway.badges.office import Office
from balise_gateway.badges.readers import pn532
from balise_gateway.badges.register import Member
from balise_sim.nfc import cards
from balise_sim.nfc.cards import Card
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_sim.processes import free_ports
from balise_wire.card import make_number
from gateway.badges.large_place import CARDS, DAYS, HERE, PAPER_HOMES, TAPS_A_DAY, THERE, two_places
from gateway.badges.places import MORNING_MS, PlaceAt
from gateway.support import START_UTC_MS, FakeClock, until

LIMIT_MS, TAPS = 300, 20
ZERO_TIMES = 20  # how much slower a Pi Zero W computes than the machine that this was measured on: a guess
TODAY = START_UTC_MS // 86_400_000
AWAY_S = (0.6, 0.8)  # a card that is back sooner was never away; by chance, so that no look is in step with it
PARTS = ("recognise", "find", "commit", "show")
_CARDS = (  # what it is called, chip, UID, grade, home
    ("UID only (MIFARE Classic), ours", "mifare_classic", "a1b2c33d", 0, HERE),
    ("UID only, of another home", "mifare_classic", "a1b2c34d", 0, THERE),
    ("signed NDEF (NTAG213), ours", "ntag21x", "04a1b2c3d4e5f6", 1, HERE),
    ("SUN (NTAG 424), ours", "ntag424", "0463474aa26a80", 2, HERE),
    ("SUN (NTAG 424), of another home", "ntag424", "0463474aa26a81", 2, THERE),
)
_WATCH = """
import sys, time, urllib.error, urllib.request
while True:
    try:
        events = urllib.request.urlopen(sys.argv[1])
        break
    except urllib.error.URLError:  # the page is not served yet
        time.sleep(0.05)
for line in events:
    if line.startswith(b"data: {"):
        print(time.monotonic(), line.decode()[6:], end="", flush=True)
"""


class Tap(NamedTuple):
    """One card laid down. Milliseconds; `modelled` is a part of `reader`, `cpu` of the whole."""

    whole: float
    reader: float
    modelled: float
    recognise: float
    find: float
    commit: float
    show: float
    cpu: float


class Screen:
    """The page's events as a browser gets them, in a process of its own: when, and which state."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        self._news = asyncio.Event()

    async def watch(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            at_s, _, told = line.decode().partition(" ")
            self.events.append((float(at_s), str(json.loads(told)["state"])))
            self._news.set()

    async def change_after(self, at_s: float) -> float:
        """When it showed something else than "ready", after then."""
        while True:
            self._news.clear()
            for seen_s, state in self.events:
                if seen_s > at_s and state != "ready":
                    return seen_s
            await self._news.wait()


@dataclass
class Probe:
    """What the parts of a verdict take, written down by the parts as they are called."""

    began_s: float = 0.0
    modelled_s: float = 0.0

    def __post_init__(self) -> None:
        self.took_ms = dict.fromkeys(PARTS, 0.0)
        self.taken = asyncio.Event()

    def put_into(self, office: Office, chip: Pn532Tty) -> None:
        desk, take = office.works.desk, office.take
        self._time(desk, "_recognise", "recognise")
        self._time(desk._finder, "find", "find")
        self._time(desk._book, "write", "commit")

        def taking(seen: Any) -> Any:
            self.began_s, self.modelled_s = time.monotonic(), chip.modelled_s
            self.took_ms = dict.fromkeys(PARTS, 0.0)
            verdict = take(seen)
            self.taken.set()
            return verdict

        office.take = taking  # type: ignore[method-assign]

    def _time(self, of: Any, name: str, part: str) -> None:
        called: Callable[..., Any] = getattr(of, name)

        @functools.wraps(called)
        def timed(*told: Any) -> Any:
            began_s = time.monotonic()
            try:
                return called(*told)
            finally:
                self.took_ms[part] += (time.monotonic() - began_s) * 1000

        setattr(of, name, timed)


@dataclass
class Stand:
    """Everything at the door."""

    here: PlaceAt
    chip: Pn532Tty
    screen: Screen
    probe: Probe

    async def tap(self, card: Card) -> Tap:
        office = self.here.office
        await until(lambda: office.front.now.state != "unplugged")
        self.probe.taken.clear()
        before_cpu_s, before_modelled_s = self._cpu_s(), self.chip.modelled_s
        laid_s = time.monotonic()
        self.chip.lay(card)
        await self.probe.taken.wait()
        probe = self.probe
        shown_s = await self.screen.change_after(probe.began_s)
        cpu_s = self._cpu_s() - before_cpu_s
        assert office.verdicts[-1].showing.state == "accepted", office.verdicts[-1]
        self.chip.take_away()
        await asyncio.sleep(random.uniform(*AWAY_S))
        self.here.clock.now_ms += 600_000
        found = {part: probe.took_ms[part] for part in PARTS}
        whole, reader = (shown_s - laid_s) * 1000, (probe.began_s - laid_s) * 1000
        found["show"] = whole - reader - sum(found.values())
        return Tap(whole, reader, (probe.modelled_s - before_modelled_s) * 1000, **found, cpu=cpu_s * 1000)

    def _cpu_s(self) -> float:
        """Of the gateway's loop, where the page is served too, and of the reader's thread; not of the chip's."""
        names = {"MainThread", "reader door_0"}
        idents = [thread.ident for thread in threading.enumerate() if thread.name in names and thread.ident]
        return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in idents)


async def _written(chip: Pn532Tty, made_by: dict[str, PlaceAt]) -> list[tuple[str, Card]]:
    """The cards, written over the same reader, each in the register of its home."""
    found: list[tuple[str, Card]] = []
    for name, kind, uid, grade, home in _CARDS:
        card, place = cards.make(kind, bytes.fromhex(uid)), made_by[home]
        number = make_number(bytes.fromhex(uid)[-4:].rjust(6, b"\7"))
        if grade:
            wanted = Wanted(home, grade, number, last_day=TODAY + 365)
            job = functools.partial(write, keys=place.keys, wanted=wanted, may_issue=lambda number: None)
            chip.lay(card)
            settings = pn532.Settings(kind="pn532", name="door", path=chip.path)
            number = (await pn532.Reader(settings).with_card(job, 60)).number
            chip.take_away()
        register = place.office.records.register
        register.put_member(Member(name))
        register.issue(number, name, TODAY, grade=grade, uid=card.uid)
        found.append((name, card))
    return found


@contextlib.asynccontextmanager
async def _stand(folder: Path) -> AsyncIterator[tuple[Stand, list[tuple[str, Card]]]]:
    """A large place with its partner, both running; the partner's list has come."""
    here, there, _ = two_places(folder, FakeClock(START_UTC_MS + MORNING_MS))
    (port,), keys = free_ports(1), {place.name: place.keys.signer.public_key for place in (here, there)}
    await there.start(there.config({HERE: keys[HERE]}))
    await here.start(here.config({THERE: keys[THERE]}))  # once without a reader: the cards are written first
    with Pn532Tty(folder / "reader", pace=1.0) as chip:
        made = await _written(chip, {HERE: here, THERE: there})
        await here.stop()
        extra = f'[page]\nport = {port}\n[[reader]]\nkind = "pn532"\nname = "door"\npath = "{chip.path}"\n'
        extra += '[[output]]\nkind = "screen_page"\n'
        await here.start(here.config({THERE: keys[THERE]}, extra, badge="show_s = 1", batch_s=60, home_batch_s=60))
        await until(lambda: here.office.records.lists.number_of(THERE))
        screen, probe = Screen(), Probe()
        address = f"http://127.0.0.1:{port}/badge/screen/events"
        words = (sys.executable, "-c", _WATCH, address)
        browser = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert browser.stdout is not None
        watching = asyncio.create_task(screen.watch(browser.stdout))
        await until(lambda: screen.events)
        probe.put_into(here.office, chip)
        try:
            yield Stand(here, chip, screen, probe), made
        finally:
            browser.kill()
            await asyncio.gather(browser.wait(), watching)
            for place in (here, there):
                await place.stop()


async def _measured(folder: Path) -> list[str]:
    lines = []
    async with _stand(folder) as (stand, made):
        for link in ("online", "cut"):
            if link == "cut":
                stand.here.roads.cut.add(HERE)
            for name, card in made:
                lines.append(_row(name, link, [await stand.tap(card) for _ in range(TAPS)]))
    return lines


def _row(name: str, link: str, taps: list[Tap]) -> str:
    middle = Tap(*(statistics.median(column) for column in zip(*taps, strict=True)))
    zero = max(tap.whole + (ZERO_TIMES - 1) * tap.cpu for tap in taps)
    worst = max(tap.whole for tap in taps)
    figures = [f"{middle.whole:.0f}", f"{worst:.0f}", f"≤ {LIMIT_MS}", f"{middle.reader:.0f}", f"{middle.modelled:.0f}"]
    figures += [f"{getattr(middle, part):.1f}" for part in PARTS] + [f"{middle.cpu:.1f}", f"{zero:.0f}"]
    return f"| {name} | {link} | " + " | ".join(figures) + " |"


def on_disk(measure: Callable[[Path], Awaitable[list[str]]]) -> list[str]:
    """On a real disk: a commit in memory costs nothing."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        return asyncio.run(measure(Path(folder)))  # type: ignore[arg-type]


def verdict_table() -> list[str]:
    """For BENCHMARKS.md; about four minutes."""
    homes = len(PAPER_HOMES) + 1
    return [
        "## Badges: from card to verdict",
        "",
        f"From laying a card down to the event that changes the screen's page; {TAPS} times each, milliseconds. A",
        f"whole place: {CARDS:,} cards of its own, lists of {homes} homes with {CARDS:,} cards each, {DAYS} days of "
        f"{TAPS_A_DAY} taps, journal on this machine's disk.",
        "Cut: no other place can be reached. Parts are medians. *reader* is the wait for the next look (`poll_s`, up "
        "to 100 ms) and the reading; *modelled*, a share of",
        "it, is no measurement but the model of line and air, PN532 at 115,200 baud; *commit* is the tap in the book "
        "(a SUN card of ours has one in *recognise* too, its",
        "counter). *show* ends at the browser. The chip's model and a partner's gateway run in the same process. No "
        "real chip was measured.",
        "",
        f"The last column is an estimate for a Pi Zero W: the worst of all taps, with {ZERO_TIMES} times the processor "
        "time (*CPU*: the gateway's loop and the reader's",
        "thread). The factor is a guess; an SD card's commits are slower than this disk's, by 5 to 50 ms each, and are "
        "not in it.",
        "",
        "| card | link | median | worst | limit | reader | of it modelled | recognise | find | commit | show | CPU "
        "| Pi Zero W, worst, an estimate |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *on_disk(_measured),
    ]


if __name__ == "__main__":
    print("\n".join(verdict_table()))
