"""The files of a place with badges, open together: keys, members, taps, lists, the table of places.

Promises that what was opened is closed, also when the next file cannot be opened, and that lists for others say what
the register says now. Leaves what is in each file to its own module.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.cards import keys, new_key
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.recognise import Claim, Own, Places, TakeCounter, recognise, verify_sun
from balise_gateway.badges.connectors import Balance
from balise_gateway.badges.desk.book import Book
from balise_gateway.badges.desk_page.book import Typed
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.badges.federation.home_lists import HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.sun_service import SunHome
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.members import Names
from balise_gateway.badges.register import Register
from balise_gateway.badges.register.listing import ForLists
from balise_gateway.badges.seen import Seen
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.errors import BadgeError, KeyFileError
from balise_wire.places import Table
from balise_wire.sun_check import SunMessage

_DAY_S = 86_400
NowS = Callable[[], int | None]  # UTC in seconds, None while nobody knows
BalanceOf = Callable[[str], Balance | None]


class Records:
    """The files of one place. `balance` says what a member of ours has left."""

    keys: HomeKeys
    register: Register
    lists: CardLists
    home_lists: HomeLists
    exchange: Exchange
    sun_home: SunHome

    def __init__(self, settings: BadgeSettings, data_dir: Path, now_utc_s: NowS, balance: BalanceOf) -> None:
        self.settings, self.now_utc_s, self.balance = settings, now_utc_s, balance
        self._data_dir, self._stack = data_dir, contextlib.ExitStack()
        self.book, self.cache = Book(data_dir), TableCache(data_dir, settings.table_key)
        self._keys_seen: object = None

    def open(self) -> None:
        """Opens all files, or none. Raises BadgeError or KeyFileError."""
        folder, place = self._data_dir, self.settings.place
        self.keys = keys.load_or_make(folder)
        self.cache.load()
        with contextlib.ExitStack() as stack:
            self.book.open()
            stack.callback(self.book.close)
            self.register = stack.enter_context(Register(folder, self.keys.uid_token))
            self.lists = stack.enter_context(contextlib.closing(CardLists(folder, place, self.keys, self.table)))
            listed = ForLists(self.register, self._today, self._credit)
            made = HomeLists(folder, place, self.keys, listed, self.table)
            self.home_lists = stack.enter_context(contextlib.closing(made))
            self.exchange = stack.enter_context(contextlib.closing(Exchange(folder, self.table)))
            sun = SunHome(folder, place, self.keys.signer, self.table, self.verify, self.register.take_counter)
            self.sun_home = stack.enter_context(contextlib.closing(sun))
            self.look_at_keys()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Closes all files; harmless when they are closed."""
        self._stack.close()

    def look_at_keys(self) -> None:
        """Takes a new `place.key` when it is time, or when a command has put it in place. Raises BadgeError."""
        marks = new_key.marks(self._data_dir)
        if marks == self._keys_seen and not new_key.waits(self._data_dir):
            return
        alone = self.settings.table_key is None
        scene = new_key.Scene(self.settings.place, self.table(), self.now_utc_s(), alone)
        try:
            if new_key.look(self._data_dir, self.keys, scene, self.register.cards):
                self.home_lists.look_again()
        except KeyFileError as error:
            raise BadgeError(str(error)) from error
        self._keys_seen = new_key.marks(self._data_dir)

    def table(self) -> Table | None:
        """The places that take part, as they are now."""
        return self.cache.table

    def recognise(self, seen: Seen, today: int | None) -> Claim:
        """What a card proves, by what is known here."""
        return recognise(
            seen,
            Places(self._sign_keys, self._prefixes()),
            self._own(self.sun_home.counters.at(self.now_utc_s())),
            today,
        )

    def verify(self, message: SunMessage, take: TakeCounter) -> None:
        """A SUN message of a card of ours that another place was shown. Raises PaperError."""
        verify_sun(self._own(take), message.number, message.picc_data, message.cmac)

    def seen_since(self, calendar: Calendar, utc_s: int) -> list[Typed]:
        """The visits at readers since then, as the desk page lists them: with the member where it is one of ours."""
        names, place = Names(self.keys, self.register.members()), self.settings.place
        found = []
        for tap in self.book.visits_since(utc_s):
            home, who, at_s = tap.home or place, tap.who or b"", tap.utc_s or 0
            member = names.member_of(place, calendar.day_of(at_s).year, who) if home == place else None
            told = ("" if member is None else member.id, tap.client or "")
            found.append(Typed(tap.tap, at_s, tap.unsure_s, home, who, *told, said=1))
        return found

    def _own(self, take: TakeCounter) -> Own:
        return Own(self.settings.place, self.keys, take, self.register.fits)

    def _sign_keys(self, home: str) -> tuple[bytes, ...]:
        table = self.table()
        told = () if table is None or home not in table.by_id else table.by_id[home].sign
        return (*self.keys.sign_keys, *told) if home == self.settings.place else told

    def _prefixes(self) -> dict[str, str]:
        table = self.table()
        return {} if table is None else {prefix: place.id for prefix, place in table.by_prefix.items()}

    def _today(self) -> int | None:
        now_s = self.now_utc_s()
        return None if now_s is None else now_s // _DAY_S

    def _credit(self, member: str) -> int | None:
        left = self.balance(member)
        return None if left is None else left.half_days
