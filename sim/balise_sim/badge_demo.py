"""The demonstration of badges: two places, five cards, a cut link, a lost card, and a settlement both agree on.

Promises that what is told was shown on the running gateways' screens, and that the bill is what really happened there.
Leaves the places to `badge_places.py`, and the exit status to the command.
"""

import asyncio
import contextlib
import datetime
import functools
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from balise_sim.badge_places import ZONE, DemoError, DemoPlace, HandClock, command, in_time
from balise_sim.nfc import cards
from balise_sim.nfc.cards import Card

AWAY_S = 1.0  # a card that is back sooner was never away, to a reader
HOME, HOST = "coroutine.example", "mappemonde.example"
AGREEMENT = f"""
id = "demonstration"
currency = "EUR"
timezone = "Europe/Paris"
period = "month"
mode = "net"
[rules]
debounce_s = 120
day_starts = "04:00"
billable_grades = [0, 1, 2]
[[place]]
id = "{HOME}"
price_cents = 800
half_day = {{ hours = 4.0, grace_min = 15, per_day_max = 2 }}
no_exit = 1
[[place]]
id = "{HOST}"
price_cents = 900
half_day = {{ hours = 5.0, grace_min = 15, per_day_max = 2 }}
no_exit = 1
"""
# Worked out by hand from `_story`: at HOST Bilal 4 h 50 (1), Chloe 9 h (2), Anne without exit (1), 9 euros each; at
# HOME Denis 3 h 30 (1), Elodie 4 h 30 (2), 8 euros each
TRUTH = {"gross": [(HOME, HOST, 4, 3_600), (HOST, HOME, 3, 2_400)], "transfers": [(HOME, HOST, 1_200)]}
_PEOPLE = (  # who, at home where, chip, UID, grade, half-days left
    ("anne", HOME, "ntag424", "0463474aa26a80", 2, 7),
    ("bilal", HOME, "mifare_classic", "a1b2c33d", 0, 0),
    ("chloe", HOME, "ntag21x", "04a1b2c3d4e5f6", 1, 12),
    ("denis", HOST, "ntag21x", "04e10cda993c80", 1, 3),
    ("elodie", HOST, "ntag21x", "04db0bda993c80", 0, 1),
)


class Demonstration:
    """Two places under `root`."""

    def __init__(self, root: Path, console: Console) -> None:
        self._root, self._console = root, console
        self.places = {
            HOME: DemoPlace(root, HOME, "La Coroutine", "cor"),
            HOST: DemoPlace(root, HOST, "Mappemonde", "map"),
        }
        self._cards: dict[str, Card] = {}
        self._numbers: dict[str, str] = {}
        day = datetime.date.today() + datetime.timedelta(days=1)
        self._days = [day + datetime.timedelta(days=n) for n in range(3)]

    async def play(self) -> bool:
        """The whole story; whether both places came to the same bill, and that bill is the truth."""
        clock = HandClock(self._root / "clock", self._moment(0, "08:30"))
        with contextlib.ExitStack() as stack:
            stack.callback(clock.close)
            for place in self.places.values():
                stack.enter_context(place.reader)
                stack.callback(place.kill)
            await asyncio.to_thread(self._set_up)
            for place in self.places.values():
                await place.cable.start()
                place.start(clock)
            async with httpx.AsyncClient(timeout=None) as client:
                await _Day(self, clock, client).story()
            for place in self.places.values():
                await place.cable.stop()
                place.stop()
            return await asyncio.to_thread(self._settle)

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def card(self, who: str) -> Card:
        return self._cards[who]

    def number(self, who: str) -> str:
        return self._numbers[who]

    def moment(self, day: int, hour: str) -> datetime.datetime:
        return self._moment(day, hour)

    def _moment(self, day: int, hour: str) -> datetime.datetime:
        return datetime.datetime.combine(self._days[day], datetime.time.fromisoformat(hour), ZONE)

    def _set_up(self) -> None:
        """Keys, a table of both places, an agreement that both sign, and five cards: all by commands."""
        home, host = self.places.values()
        (self._root / "agreement.toml").write_text(AGREEMENT, encoding="utf-8")
        entries = [
            place.tell("place", "card", "--prefix", place.prefix, "--url", f"http://127.0.0.1:{place.way}")
            for place in (home, host)
        ]
        (self._root / "places.toml").write_text("\n".join(entries), encoding="utf-8")
        table = [str(self._root / name) for name in ("places.toml", "federation.key", "table.cose")]
        made = command("badge", "table", "make", table[0], "--key", table[1], "--out", table[2]).decode()
        self.federation = made.rpartition("= ")[2].strip()
        for place, partner, entry in ((home, host, entries[1]), (host, home, entries[0])):
            place.know_table_of(self.federation)
            place.join(partner, _sign_key(entry))
            place.tell("table", "import", table[2])
            place.tell("sign", str(self._root / "agreement.toml"))
        for place in self.places.values():
            left = [f"{who};{left};{self._days[0]}" for who, where, *_, left in _PEOPLE if where == place.name]
            (place.folder / "credit.csv").write_text("\n".join(["member;half_days;as_of", *left, ""]), encoding="utf-8")
        for who, where, chip, uid, grade, _ in _PEOPLE:
            self._issue(who, self.places[where], cards.make(chip, bytes.fromhex(uid)), grade)

    def _issue(self, who: str, place: DemoPlace, card: Card, grade: int) -> None:
        place.tell("member", who)
        place.reader.lay(card)
        way = "--read" if who == "bilal" else "--write"  # an old card: it is taken as it is
        told = place.tell("issue", who, "--grade", str(grade), way, "door")
        place.reader.take_away()
        self._cards[who], self._numbers[who] = card, told.split()[0]
        self.say(f"{place.title}: {who} has a card of grade {grade} ({card_name(card)}), number {self._numbers[who]}")

    def _settle(self) -> bool:
        """Each place draws up the bill from its own copy of all visits."""
        bills = []
        for place in self.places.values():
            visits = self._root / f"{place.prefix}.cose"
            visits.write_bytes(command("badge", "visits", "-c", str(place.config)))
            bills.append(command("badge", "settle", str(visits), *self._papers(), "--json"))
            drawn = command("badge", "settle", str(visits), *self._papers(), "--out", str(place.folder / "bill"))
            bill = next((place.folder / "bill").glob("*.json"))
            place.tell("countersign", str(bill))
        self.say(f"\n{drawn.decode().rstrip()}\n")
        same, found = bills[0] == bills[1], _figures(bills[0])
        self.say(f"both places came to the same bill: {'yes' if same else 'NO'}; it is the truth: "
                 f"{'yes' if found == TRUTH else f'NO, {found} instead of {TRUTH}'}")  # fmt: skip
        return same and found == TRUTH

    def _papers(self) -> list[str]:
        root = self._root
        return [
            "--agreement",
            str(root / "agreement.toml"),
            "--table",
            str(root / "table.cose"),
            "--key",
            self.federation,
        ]


class _Day:
    """What happens."""

    def __init__(self, demonstration: Demonstration, clock: HandClock, client: httpx.AsyncClient) -> None:
        self._all, self._clock, self._client = demonstration, clock, client
        self._home, self._host = demonstration.places.values()

    async def story(self) -> None:
        await self._opened()
        await self._shows(0, "08:55", "anne", self._home)
        await self._shows(0, "09:00", "denis", self._home)
        await self._shows(0, "09:10", "bilal", self._host)
        await self._shows(0, "09:30", "chloe", self._host)
        self._cut(0, "12:10")
        await self._shows(0, "12:30", "denis", self._home)
        await self._shows(0, "13:00", "anne", self._host)
        await self._shows(0, "14:00", "bilal", self._host)
        await self._shows(0, "18:30", "chloe", self._host)
        await self._mended(0, "19:00")
        await self._lost(0, "20:00", "chloe")
        await self._shows(1, "09:00", "elodie", self._home)
        await self._shows(1, "09:15", "chloe", self._host)
        await self._stranger(1, "09:20")
        await self._shows(1, "13:30", "elodie", self._home)
        self._clock.set(self._all.moment(2, "09:00"))
        await in_time("all visits are at both places", self._all_delivered)

    async def _opened(self) -> None:
        for place in self._all.places.values():
            await in_time(f"the gateway of {place.name} runs", functools.partial(place.status, self._client))
        self._clock.set(self._all.moment(0, "08:45"))  # by then each has asked the other for its list
        for place in self._all.places.values():
            await in_time(f"{place.name} knows the other's cards", self._knows(place))

    def _knows(self, place: DemoPlace) -> Callable[[], Awaitable[object]]:
        async def known() -> bool:
            status = await place.status(self._client)
            return bool(status) and all(each["number"] for each in status["lists"])

        return known

    async def _shows(self, day: int, hour: str, who: str, place: DemoPlace) -> None:
        await self._lays(day, hour, who, self._all.card(who), place)

    async def _stranger(self, day: int, hour: str) -> None:
        await self._lays(day, hour, "a stranger", cards.make("mifare_classic", bytes.fromhex("deadbeef")), self._host)

    async def _lays(self, day: int, hour: str, who: str, card: Card, place: DemoPlace) -> None:
        """Holds a card before a reader until the screen has a verdict."""
        self._clock.set(self._all.moment(day, hour))
        before = _taps(await place.status(self._client))
        place.reader.lay(card)
        await in_time(f"{who}'s card is seen at {place.name}", self._more_taps(place, before))
        said = await place.screen(self._client)
        place.reader.take_away()
        await asyncio.sleep(AWAY_S)
        lines = " · ".join(said[key] for key in ("headline", "text", "credit") if said.get(key))
        self._all.say(f"{self._clock.now():%a %H:%M}  {place.title:12}  {who:10}  {lines}")

    def _more_taps(self, place: DemoPlace, before: int) -> Callable[[], Awaitable[object]]:
        async def more() -> bool:
            return _taps(await place.status(self._client)) > before

        return more

    def _cut(self, day: int, hour: str) -> None:
        self._clock.set(self._all.moment(day, hour))
        for place in self._all.places.values():
            place.cable.cut()
        self._all.say(f"{self._clock.now():%a %H:%M}  the link between the places is cut")

    async def _mended(self, day: int, hour: str) -> None:
        waiting = [(await place.status(self._client))["waiting"] for place in self._all.places.values()]
        for place in self._all.places.values():
            place.cable.mend()
        self._clock.set(self._all.moment(day, hour))
        self._all.say(f"{self._clock.now():%a %H:%M}  the link holds again; visits that waited: {sum(waiting)}")
        await in_time("what waited has arrived", self._all_delivered)

    async def _all_delivered(self) -> bool:
        states = [await place.status(self._client) for place in self._all.places.values()]
        return all(state and not state["waiting"] for state in states)

    async def _lost(self, day: int, hour: str, who: str) -> None:
        """Reported lost at home; the other place hears of it with the next list."""
        self._clock.set(self._all.moment(day, hour))
        number = self._all.number(who)
        tell: Coroutine[Any, Any, str] = asyncio.to_thread(self._home.tell, "revoke", number, "--reason", "lost")
        await tell
        before = (await self._host.status(self._client))["lists"][0]["number"]
        self._clock.set(self._all.moment(day, "20:10"))

        async def heard() -> bool:
            return bool((await self._host.status(self._client))["lists"][0]["number"] > before)

        await in_time(f"{self._host.name} has heard that a card is lost", heard)
        self._all.say(f"{self._clock.now():%a %H:%M}  {self._home.title:12}  {who}'s card is reported lost")


def run() -> bool:
    """Plays it on this terminal; the files are kept when something is not as it must be."""
    console = Console()
    root = Path(tempfile.mkdtemp(prefix="balise-badges-"))
    try:
        good = asyncio.run(Demonstration(root, console).play())
    except DemoError as error:
        console.print(f"{error}", soft_wrap=True)
        good = False
    if good:
        shutil.rmtree(root)
    else:
        console.print(f"the places' files and logs are kept in {root}")
    return good


def card_name(card: Card) -> str:
    """The kind of chip, for people."""
    return type(card).__module__.rpartition(".")[2]


def _taps(status: dict[str, Any]) -> int:
    return sum(status.get("taps", {}).values())


def _sign_key(entry: str) -> str:
    """The place's key in what it hands in."""
    line = next(line for line in entry.splitlines() if line.startswith("sign"))
    return line.split('"')[1]


def _figures(bill: bytes) -> dict[str, list[tuple[Any, ...]]]:
    told = json.loads(bill)
    gross = [(row["from"], row["to"], row["half_days"], row["cents"]) for row in told["gross"]]
    return {"gross": gross, "transfers": [(row["from"], row["to"], row["cents"]) for row in told["transfers"]]}
