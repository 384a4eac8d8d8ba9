"""Lists of cards at their largest: finding a card among those of 16 homes, making what follows a list, taking it."""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from balise_gateway.badges.cards import keys
from balise_gateway.badges.federation.home_lists import HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.register import Register
from balise_gateway.badges.register.listing import ForLists
from balise_wire.places import Table
from gateway.badges.large_place import CARDS, DAY_S, HERE, PAPER_HOMES, THERE, number_of, two_places, uid_of
from gateway.badges.places import MORNING_MS, PlaceAt
from gateway.support import START_UTC_MS, FakeClock

LOOKS, LISTS = 500, 7
CHANGES = 100
HOMES = (THERE, *PAPER_HOMES)
ZONE = ZoneInfo("Europe/Paris")
_NOW_S = (START_UTC_MS + MORNING_MS) // 1000


def _ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1000


def _row(what: str, found_ms: list[float]) -> str:
    return f"| {what} | {statistics.median(found_ms):.2f} | {max(found_ms):.2f} |"


def _looks(lists: CardLists) -> list[str]:
    """Each a card of a home by turns; and cards that nobody knows."""
    asked = [(HOMES[which % len(HOMES)], which * 7 % CARDS) for which in range(LOOKS)]
    by_number = [_ms(partial(lists.by_number, home, number_of(home, which))) for home, which in asked]
    by_uid = [_ms(partial(lists.by_uid, uid_of(home, which))) for home, which in asked]
    strange = [_ms(partial(lists.by_uid, which.to_bytes(7, "big"))) for which in range(LOOKS)]
    rows = [("a guest's card by its number", by_number), ("by its UID, of whichever home", by_uid)]
    return [_row(*row) for row in (*rows, ("a UID that nobody knows", strange))]


def _made_and_taken(here: PlaceAt, there: PlaceAt, table: Table) -> list[str]:
    """The partner's lists for us: the whole one, then what follows when cards have changed; each time anew."""
    told: dict[str, list[float]] = {}
    with Register(there.folder, there.keys.uid_token) as register:
        numbers = (number_of(THERE, which) for which in range(CARDS))
        for _ in range(LISTS):
            with tempfile.TemporaryDirectory(dir=there.folder) as files:
                listed = ForLists(register, lambda: _NOW_S // DAY_S)
                home = HomeLists(Path(files), THERE, there.keys, listed, lambda: table)
                host = CardLists(Path(files), HERE, keys.load(here.folder), lambda: table)
                _measure(told, "the whole list", home, host)
                _with_changes(told, register, numbers, home, host)
                home.close()
                host.close()
    return [_row(what, found) for what, found in told.items()]


def _with_changes(
    told: dict[str, list[float]], register: Register, numbers: Iterator[str], home: HomeLists, host: CardLists
) -> None:
    for changes in (1, CHANGES, 0):
        for number in itertools.islice(numbers, changes):
            register.revoke(number, "lost", _NOW_S // DAY_S)
        home.look_again()
        _measure(told, f"changed cards: {changes}" if changes else "nothing has changed", home, host)


def _measure(told: dict[str, list[float]], name: str, home: HomeLists, host: CardLists) -> None:
    base, got = host.number_of(THERE), list[bytes]()
    made_ms = _ms(lambda: got.append(home.message(HERE, base, _NOW_S, ZONE)))
    told.setdefault(f"making, {name}", []).append(made_ms)
    if got[0]:
        told.setdefault(f"taking, {name}", []).append(_ms(lambda: host.take(got[0], _NOW_S)))


async def _measured(folder: Path) -> list[str]:
    here, there, table = two_places(folder, FakeClock(START_UTC_MS + MORNING_MS))
    lists = CardLists(here.folder, HERE, here.keys, lambda: table)
    with Register(there.folder, there.keys.uid_token) as register:
        home = HomeLists(there.folder, THERE, there.keys, ForLists(register, lambda: None), lambda: table)
        lists.take(home.message(HERE, 0, _NOW_S, ZONE), _NOW_S)
        home.close()
    rows = _looks(lists)
    lists.close()
    return rows + _made_and_taken(here, there, table)


def lists_table() -> list[str]:
    """For BENCHMARKS.md."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        rows = asyncio.run(_measured(Path(folder)))
    return [
        "## Badges: lists of cards",
        "",
        f"Lists of {len(HOMES)} homes with {CARDS:,} cards each on this machine's disk, each card by number and "
        f"by UID; {LOOKS} questions of each kind. Lists are made by a home with",
        f"{CARDS:,} cards, for one host, and taken by that host; {LISTS} times each.",
        "",
        "| what | median, ms | worst, ms |",
        "|---|---|---|",
        *rows,
    ]


if __name__ == "__main__":
    print("\n".join(lists_table()))
