"""A place as large as this project promises for, on files: 5,000 cards of its own, lists of 16 homes with 5,000 cards
each, 90 days of taps.

Promises the product's own files, written in few commits. Fifteen of the homes are keys and signed lists only; the
sixteenth is a real place of its own, whose list comes over the network.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.database import open_database, transaction
from balise_gateway.badges.desk import book
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.register import book as register
from balise_wire import card
from balise_wire.card_list import CardList, Entry, seal_list
from balise_wire.envelope import Signer
from balise_wire.places import Place, PlaceKeys, Table, number_token, sign_table, uid_card_token
from gateway.badges.places import AGREEMENT, FEDERATION, PLACE_TERMS, PlaceAt, Roads
from gateway.support import FakeClock

HERE, THERE = "coroutine.example", "mappemonde.example"
CARDS, DAYS, TAPS_A_DAY = 5_000, 90, 100
PAPER_HOMES = tuple(f"lieu{number:02}.example" for number in range(15))
MESSAGE_CARDS = 4_000
DAY_S = 86_400


def number_of(home: str, which: int) -> str:
    """The number of a home's card."""
    return card.make_number(hashlib.sha256(f"{home} {which}".encode()).digest()[: card.CHANCE_BYTES])


def uid_of(home: str, which: int) -> bytes:
    """Its UID."""
    return b"\x04" + hashlib.sha256(f"uid {home} {which}".encode()).digest()[:6]


def keys_of(home: str) -> PlaceKeys:
    """Of a home that is paper only."""
    seed = hashlib.sha256(home.encode()).digest()
    return PlaceKeys(seed, seed)


def gateway_of(home: str) -> Signer:
    """The key of its gateway."""
    return Signer(hashlib.sha256(f"gateway {home}".encode()).digest())


def paper_place(home: str) -> Place:
    """What the table says of a home that is paper only: it answers nobody."""
    keys, gateway = keys_of(home), gateway_of(home).public_key
    prefix = home.partition(".")[0]
    return Place(home, home, prefix, (keys.signer.public_key,), keys.box_public, (gateway,))


def two_places(folder: Path, clock: FakeClock) -> tuple[PlaceAt, PlaceAt, Table]:
    """The large place and a real partner as large, with all their files, not started; and the table of all 17."""
    roads = Roads()
    here, there = (PlaceAt(folder, name, [], roads, clock) for name in (HERE, THERE))
    names = (HERE, THERE, *PAPER_HOMES)
    terms = (PLACE_TERMS.format(name=name, cents=800, hours=4) for name in names)
    (folder / "agreement.toml").write_text(AGREEMENT + "".join(terms), encoding="utf-8")
    table = Table(1, clock.utc_ms() // 1000, (here.entry(), there.entry(), *map(paper_place, PAPER_HOMES)))
    for place in (here, there):
        (place.folder / "places.cose").write_bytes(sign_table(FEDERATION, table))
        fill_register(place.folder, place.name, place.keys, clock.utc_ms() // 1000 // DAY_S)
    fill_lists(here.folder, here.keys, table, clock.utc_ms() // 1000)
    fill_book(here.folder, here.keys, clock.utc_ms() // 1000)
    return here, there, table


def fill_register(folder: Path, home: str, keys: HomeKeys, day: int, cards: int = CARDS) -> None:
    """So many members, each with a card whose UID is known."""
    with contextlib.closing(open_database(folder / register.FILE_NAME, register.STEPS)) as db, transaction(db):
        for which in range(cards):
            member, token = f"member {which}", keys.uid_token(uid_of(home, which))
            db.execute("INSERT INTO member VALUES (?, '', '', NULL)", (member,))
            row = (number_of(home, which), token, 0, member, "active", day, None, day)
            db.execute("INSERT INTO card VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def fill_lists(folder: Path, keys: HomeKeys, table: Table, utc_s: int) -> None:
    """The lists of all homes that are paper only, signed, sealed, and taken."""
    with contextlib.closing(CardLists(folder, HERE, keys, lambda: table)) as lists:
        for home in PAPER_HOMES:
            lists.take(b"".join(list_messages(home, HERE, keys.box_public, utc_s)), utc_s)


def list_messages(home: str, host: str, box: bytes, utc_s: int, cards: int = CARDS) -> Iterator[bytes]:
    """A whole list of a paper home, in messages of the size that gateways make."""
    keys, base = keys_of(home), 0
    pair_key, entries = keys.pair_key(home, host, box), list[Entry]()
    for which in range(cards):
        who = keys.who(f"member {which}", host, 1970 + utc_s // 31_556_952)
        uid_token = uid_card_token(pair_key, keys.uid_token(uid_of(home, which)))
        for token in (number_token(pair_key, number_of(home, which)), uid_token):
            entries.append(Entry(token, 1970 + utc_s // 31_556_952, who, which % 20))
    parts = [entries[at : at + MESSAGE_CARDS] for at in range(0, len(entries), MESSAGE_CARDS)]
    for own, part in enumerate(parts, 1_001 - len(parts)):
        listed = CardList(home, host, own, base, utc_s, keys.scan_key, tuple(part), {})
        yield seal_list(keys.signer, pair_key, listed)
        base = own


def fill_book(folder: Path, keys: HomeKeys, utc_s: int, days: int = DAYS) -> None:
    """So many days of taps, all of them said."""
    insert = f"INSERT INTO tap VALUES ({', '.join('?' * 14)})"
    with contextlib.closing(open_database(folder / book.FILE_NAME, book.STEPS)) as db, transaction(db):
        for number in range(days * TAPS_A_DAY):
            at_s = utc_s - days * DAY_S + number * DAY_S // TAPS_A_DAY
            who = keys.who(f"member {number * 7 % CARDS}", HERE, 1970 + at_s // 31_556_952)
            row = (number + 1, at_s, 1, 1, number, "door", "card", "accepted", "", HERE, who, number % 3, None, 1)
            db.execute(insert, row)
        notes = [("next_tap", days * TAPS_A_DAY), ("starts", 1), ("shown accepted", days * TAPS_A_DAY)]
        db.executemany("INSERT INTO note VALUES (?, ?)", notes)
