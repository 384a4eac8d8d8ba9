"""The lists that a home makes of its cards, one for each host (wire/BADGES.md section 8).

Promises that numbers only rise, that a list which follows another says all that has changed since, and that what
cannot be said as a change is said by a whole list. Next year's pseudonyms are in it from December on, last year's until
the end of January (visits that come late). Leaves the cards to the register, and the way to the host to others.
"""

import asyncio
import datetime
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from balise_gateway.badges.database import open_database, transaction
from balise_gateway.errors import PaperError
from balise_wire.card_list import CardList, Entry, seal_list
from balise_wire.errors import WireError
from balise_wire.places import Place, PlaceKeys, Table, number_token, uid_card_token
from balise_wire.visits import MAX_CLIENT_CHARS

FILE_NAME = "lists_made.db"
LOOK_S, REDATE_S = (
    60,
    3_600,
)  # how often a register that was not written is looked through (credit, last days), and an unchanged list dated anew
CARDS_A_MESSAGE = 500  # a host opens one message at a time, and a card at its door waits meanwhile
STEP = 1_000  # numbers between two lists, for the parts of the second
_NEXT_YEAR_FROM_MONTH, _LAST_YEAR_TO_MONTH = 12, 1
_REVOKED = 0  # stands where the year is
SPARE_LISTS = 1 << 20  # a list a minute for two years: as many may have been made since a backup
_FLOOR = ""  # stands where the host is: numbers that were given before all hosts' first lists

STEPS = (
    """
    CREATE TABLE head (
      host TEXT PRIMARY KEY, number INTEGER NOT NULL, whole_from INTEGER NOT NULL, utc_s INTEGER NOT NULL) STRICT;
    CREATE TABLE said (
      host TEXT NOT NULL, token BLOB NOT NULL, year INTEGER NOT NULL, who BLOB, credit INTEGER, client TEXT,
      reason INTEGER, number INTEGER NOT NULL, PRIMARY KEY (host, token, year)) STRICT, WITHOUT ROWID;
    """,
)

Said = tuple[bytes | None, int | None, str | None, int | None]  # who, credit, client, reason


@dataclass(frozen=True)
class Card:
    """One card of our register. `uid_token` is `PlaceKeys.uid_token` of its UID, where that is known."""

    number: str
    member: str
    uid_token: bytes | None = None
    client: str = ""
    credit: int | None = None


class Register(Protocol):
    """Our own cards. No method waits."""

    def version(self) -> object:
        """Another one whenever a card has changed; asked for often, so it must cost little."""
        ...

    def active(self) -> Iterable[Card]:
        """The cards that count."""
        ...

    def revoked(self) -> Iterable[tuple[Card, int]]:
        """The cards that count no more, with a reason of `card_list.REASONS`."""
        ...


@dataclass(frozen=True)
class _Asked:
    """Which list is wanted, when, and the years that are in it then."""

    host: str
    base: int
    utc_s: int
    years: list[int]


@dataclass(frozen=True)
class _Cards:
    """The register at one moment."""

    version: object = field(compare=False)
    active: list[Card]
    revoked: list[tuple[Card, int]]


class HomeLists:
    """What this home tells its hosts. `table` gives the table as it is now."""

    def __init__(
        self,
        data_dir: Path,
        place: str,
        keys: PlaceKeys,
        register: Register,
        table: Callable[[], Table | None],
        *,
        cards_a_message: int = CARDS_A_MESSAGE,
    ) -> None:
        self._place, self._keys, self._register, self._table = place, keys, register, table
        self._db = open_database(data_dir / FILE_NAME, STEPS, any_thread=True)
        self._lock, self._turn = threading.Lock(), asyncio.Semaphore(1)
        self._cards_a_message = cards_a_message
        self._looked: dict[str, tuple[int, object]] = {}  # when, and at which version of the register, by host
        self._said: dict[str, tuple[_Cards, list[int], bytes]] = {}  # what the newest list of each host was made of
        self._read: tuple[int, _Cards] | None = None  # the register as it was read last, and when

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def hosts(self) -> list[str]:
        """The places that get a list."""
        table = self._table()
        return [place.id for place in table.places if place.id != self._place] if table else []

    def message(self, host: str, base: int, utc_s: int, zone: ZoneInfo) -> bytes:
        """What follows list `base`, or the whole list: signed messages one after the other; empty: nothing new.

        Raises PaperError when the table does not name this host.
        """
        asked = _Asked(host, base, utc_s, years_at(utc_s, zone))
        return self._made(asked, self._host(host).box, self._cards(asked))

    async def message_beside(self, host: str, base: int, utc_s: int, zone: ZoneInfo) -> bytes:
        """The same, made beside the loop: thousands of tokens and a seal must not hold up a card at the door."""
        asked = _Asked(host, base, utc_s, years_at(utc_s, zone))
        async with self._turn:  # whoever asks again and again holds one thread at most
            box, cards = self._host(host).box, self._cards(asked)  # the register belongs to the loop's thread
            return await asyncio.to_thread(self._made, asked, box, cards)

    def look_again(self) -> None:
        """The register has changed: the next list says so, however soon it is asked for."""
        self._looked.clear()
        self._read = None

    def _host(self, host: str) -> Place:
        table = self._table()
        found = table.by_id.get(host) if table else None
        if found is None or host == self._place:
            raise PaperError("unknown place", f"the table of places has no host {host[:80]!r}; bring its newest one")
        return found

    def _cards(self, asked: "_Asked") -> "_Cards | None":
        """The register as it is now; None where it was looked through a moment ago."""
        version = self._register.version()
        looked_s, at_version = self._looked.get(asked.host, (-LOOK_S, None))
        if at_version == version and 0 <= asked.utc_s - looked_s < LOOK_S:
            return None
        if self._read is not None and self._read[1].version == version and 0 <= asked.utc_s - self._read[0] < LOOK_S:
            return self._read[1]  # for another host
        cards = _Cards(version, list(self._register.active()), list(self._register.revoked()))
        self._read = asked.utc_s, cards
        return cards

    def _made(self, asked: "_Asked", box: bytes, cards: "_Cards | None") -> bytes:
        pair_key = self._keys.pair_key(self._place, asked.host, box)
        with self._lock:
            if cards is not None:
                self._look(asked, pair_key, cards)
            number, whole_from, dated_s = self._head(asked.host)
            if asked.base == number:
                return b""
            issued = asked.base and asked.base % STEP == 0 and whole_from <= asked.base < number
            base = asked.base if issued else 0
            return b"".join(self._sealed(asked.host, base, pair_key, (number, dated_s)))

    def _look(self, asked: "_Asked", pair_key: bytes, cards: "_Cards") -> None:
        """Makes a new list when something has changed, or when the newest is old."""
        host, utc_s = asked.host, asked.utc_s
        number, whole_from, dated_s = self._head(host)
        said = cards, asked.years, pair_key
        wanted: dict[tuple[bytes, int], Said] = {}
        changed, dropped = wanted, set[tuple[bytes, int]]()
        if number == 0 or self._said.get(host) != said:  # thousands of tokens are made for it
            wanted, held = self._wanted(asked, pair_key, cards), self._held(host)
            changed = {key: told for key, told in wanted.items() if held.get(key) != told}
            dropped = held.keys() - wanted.keys()
        if changed or dropped or number == 0 or utc_s - dated_s >= REDATE_S:
            new = max(number, self._head(_FLOOR)[0]) + STEP
            whole = number == 0 or any(_is_silent(key, wanted, asked.years) for key in dropped)
            with transaction(self._db) as db:
                _put(db, host, changed, new)
                gone = [(host, *key) for key in dropped]
                db.executemany("DELETE FROM said WHERE host = ? AND token = ? AND year = ?", gone)
                head = (host, new, new if whole else whole_from, utc_s)
                db.execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?)", head)
        self._said[host] = said
        self._looked[host] = (utc_s, cards.version)

    def _head(self, host: str) -> tuple[int, int, int]:
        row = self._db.execute("SELECT number, whole_from, utc_s FROM head WHERE host = ?", (host,)).fetchone()
        return tuple(row) if row else (0, 0, 0)

    def _held(self, host: str) -> dict[tuple[bytes, int], Said]:
        rows = self._db.execute("SELECT token, year, who, credit, client, reason FROM said WHERE host = ?", (host,))
        return {(token, year): (who, credit, client, reason) for token, year, who, credit, client, reason in rows}

    def _wanted(self, asked: "_Asked", pair_key: bytes, cards: "_Cards") -> dict[tuple[bytes, int], Said]:
        wanted: dict[tuple[bytes, int], Said] = {}
        for card, reason in cards.revoked:
            wanted |= {(token, _REVOKED): (None, None, None, reason) for token in _tokens(card, pair_key)}
        whos: dict[tuple[str, int], bytes] = {}
        for card in cards.active:
            for token in _tokens(card, pair_key):
                wanted.pop((token, _REVOKED), None)  # a UID that was given out again
                for year in asked.years:
                    key = (card.member, year)
                    who = whos.get(key) or whos.setdefault(key, self._keys.who(card.member, asked.host, year))
                    wanted[(token, year)] = (who, card.credit, card.client[:MAX_CLIENT_CHARS] or None, None)
        return wanted

    def _sealed(self, host: str, base: int, pair_key: bytes, head: tuple[int, int]) -> Iterator[bytes]:
        """The messages that lead from `base` to the newest list; all but the last have numbers between the two."""
        number, utc_s = head
        query = "SELECT token, year, who, credit, client, reason FROM said WHERE host = ? AND number > ?"
        rows = self._db.execute(query, (host, base)).fetchall()
        size = self._cards_a_message
        parts = [rows[at : at + size] for at in range(0, len(rows), size)] or [[]]
        if len(parts) >= STEP:
            raise PaperError("too large", f"{len(rows)} cards for {host}: at most {STEP * size}")
        for at, part in enumerate(parts, 1):
            own = number - len(parts) + at
            entries = tuple(Entry(*row[:5]) for row in part if not row[5])
            gone = {token: why for token, *_, why in part if why}
            cards = CardList(self._place, host, own, base, utc_s, self._keys.scan_key, entries, gone)
            try:
                yield seal_list(self._keys.signer, pair_key, cards)
            except WireError as error:
                raise PaperError(error.reason, f"list for {host}: {error.detail}") from error
            base = own


def make_older(db: sqlite3.Connection) -> str:
    """A copy from a backup: numbers that were given after it are left out, for every host there is or will be.

    Whoever has a list of those numbers gets a whole one: nobody here knows any more what stood in theirs.
    """
    (newest,) = db.execute("SELECT coalesce(max(number), 0) FROM head").fetchone()
    floor = newest + SPARE_LISTS * STEP
    db.execute("UPDATE head SET number = ?1, whole_from = ?1, utc_s = 0", (floor,))
    db.execute("INSERT OR REPLACE INTO head VALUES (?1, ?2, ?2, 0)", (_FLOOR, floor))
    return (
        "cards that were ended after the backup count again: go through 'balise badge list', then 'balise badge revoke'"
    )


def years_at(utc_s: int, zone: ZoneInfo) -> list[int]:
    """The years whose pseudonyms a list of this moment holds."""
    day = datetime.datetime.fromtimestamp(utc_s, zone).date()
    last = [day.year - 1] if day.month <= _LAST_YEAR_TO_MONTH else []
    following = [day.year + 1] if day.month >= _NEXT_YEAR_FROM_MONTH else []
    return [*last, day.year, *following]


def _is_silent(key: tuple[bytes, int], wanted: Mapping[tuple[bytes, int], Said], years: list[int]) -> bool:
    """Whether a host that gets changes only would never hear that this is gone."""
    token, year = key
    if year == _REVOKED:
        return not any((token, each) in wanted for each in years)
    return (token, _REVOKED) not in wanted and year >= years[0]


def _put(db: sqlite3.Connection, host: str, changed: Mapping[tuple[bytes, int], Said], number: int) -> None:
    rows = [(host, *key, *said, number) for key, said in changed.items()]
    db.executemany("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _tokens(card: Card, pair_key: bytes) -> list[bytes]:
    tokens = [number_token(pair_key, card.number)] if card.number else []
    return tokens if card.uid_token is None else [*tokens, uid_card_token(pair_key, card.uid_token)]
