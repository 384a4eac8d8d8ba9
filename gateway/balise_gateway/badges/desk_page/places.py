"""Visits that are typed: at the desk of this gateway's place, and of guest places, those without a gateway, whose
members and visits are kept here, each in a folder and with keys of its own.

Promises that a guest place's names stay in its folder, that a visit is written down before it is told, and that a
mistake is mended by a further signed item. Leaves pages to `routes.py`, tokens to `keys.py`.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.desk.days import Days
from balise_gateway.badges.desk_page.book import NOT, Typed, TypedBook
from balise_gateway.badges.desk_page.keys import Desk, DeskKeys
from balise_gateway.badges.federation.home_lists import HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.register import Member, Register
from balise_gateway.badges.register.listing import ForLists
from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.errors import BadgeError, KeyFileError
from balise_gateway.journal import Journal
from balise_gateway.log import event
from balise_gateway.logbook import logs
from balise_wire import card
from balise_wire.errors import WireError
from balise_wire.items import Item
from balise_wire.places import Table
from balise_wire.visits import MAX_CLIENT_CHARS, NOBODY, MappingRecord, VisitRecord

FOLDER = "places"
TAPS_OF_A_PLACE = 1 << 40  # more than anybody types
TYPED_MINUTE_S = 60  # how far a time may be off that somebody typed
MAX_NAME_CHARS = 80
_MS_PER_S, _ROUNDING_MS, _DAY_S = 1_000, 500, 86_400


@dataclass(frozen=True)
class Now:
    """A moment and how far it may be off."""

    utc_s: int
    unsure_s: int


@dataclass(frozen=True)
class Line:
    """One visit of today as the page shows it. `name` is empty for a visitor of another home."""

    tap: int
    utc_s: int
    name: str
    home: str
    direction: str  # "in", "out", "" when it was cancelled
    cancelled: bool
    typed: bool  # at the desk: what a reader saw is not cancelled here


@dataclass(frozen=True)
class Files:
    """The open files of a place with a desk, besides what was typed."""

    keys: HomeKeys
    register: Register
    lists: CardLists
    home_lists: HomeLists


@dataclass(frozen=True)
class Own:
    """This gateway's own place. `seen`: the visits at its readers since a time, as if they had been typed.

    `may_enter`: members are entered at the desk; not where the place's own software gives them their ids.
    """

    place: str
    files: Files
    seen: Callable[[int], list[Typed]]
    may_enter: bool


class DeskPlace:
    """A place with a desk. `own` is given for the gateway's own place."""

    def __init__(
        self, desk: Desk, files: Files, book: TypedBook, days: Days, clock: Clock, own: Own | None = None
    ) -> None:
        self.place, self.name = desk.place, desk.name
        self.keys, self.register = files.keys, files.register
        self.lists, self.home_lists = files.lists, files.home_lists
        self.book = book
        self._days, self._clock, self._own = days, clock, own

    @property
    def is_guest(self) -> bool:
        """Whether it has no gateway of its own."""
        return self._own is None

    @property
    def may_enter(self) -> bool:
        """Whether members are entered here."""
        return self._own is None or self._own.may_enter

    def now(self) -> Now:
        """Raises BadgeError while nobody knows what time it is."""
        utc_ms = known_utc_ms(self._clock)
        if utc_ms is None:
            raise BadgeError("no clock")
        return Now(utc_ms // _MS_PER_S, -(-(self._clock.uncertainty_ms() + _ROUNDING_MS) // _MS_PER_S))

    def enter(self, name: str, number: str) -> str:
        """A new subscriber, with a card of this number or a new one; returns the number. Raises BadgeError."""
        if not self.may_enter:
            raise BadgeError("elsewhere")
        name = " ".join(name.split())
        if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise BadgeError("name")
        number = _parsed(number) if number.strip() else card.make_number(secrets.token_bytes(card.CHANCE_BYTES))
        day = self.now().utc_s // _DAY_S
        held = self.register.by_number(number)
        if held is not None and held.state not in ("blank", "ended", "replaced"):
            raise BadgeError("number taken")
        member = Member(secrets.token_hex(8), name=name)
        self.register.put_member(member)
        self.register.issue(number, member.id, day)
        self.home_lists.look_again()
        return number

    def end(self, member: str) -> None:
        """This subscriber is none any more, and their card counts no more. Raises BadgeError."""
        if not self.may_enter:
            raise BadgeError("elsewhere")
        self.register.end_member(member, self.now().utc_s // _DAY_S)
        self.home_lists.look_again()

    def subscribers(self) -> list[Member]:
        """Those who are subscribed now, by name."""
        active = [member for member in self.register.members() if member.ended_day is None]
        return sorted(active, key=lambda member: shown_name(member).casefold())

    def record_member(self, member: str, at: Now) -> Line:
        """A subscriber came or left. Raises BadgeError."""
        found = self.register.member(member)
        if found is None or found.ended_day is not None:
            raise BadgeError("unknown")
        who = self.keys.who(member, self.place, self._year(at))
        return self._record(Typed(0, at.utc_s, at.unsure_s, self.place, who, member, found.client))

    def record_number(self, number: str, at: Now) -> Line:
        """The bearer of this card came or left, of whichever home. Raises BadgeError."""
        number = _parsed(number)
        own = self.register.by_number(number)
        if own is not None:
            if not own.is_good(at.utc_s // _DAY_S) or own.member is None:
                raise BadgeError("revoked")
            return self.record_member(own.member, at)
        found = self.lists.by_any_number(number)
        who = found.who.get(self._year(at)) if found else None
        if found is not None and found.revoked:
            raise BadgeError("revoked")
        if found is None or who is None:
            raise BadgeError("unknown")
        return self._record(Typed(0, at.utc_s, at.unsure_s, found.home, who, client=found.client))

    def cancel(self, tap: int) -> bool:
        """A visit was entered by mistake; False when there is none such."""
        return self.book.cancel(tap)

    def today(self) -> list[Line]:
        """The visits of the day that is now, in order."""
        names = {each.id: shown_name(each) for each in self.register.members()}
        return self._lines(self._since(self._start_s(self.now().utc_s)), names)

    def times_of(self, who: bytes, since_utc_s: int) -> list[int]:
        """When this person's visits were typed since then; cancelled ones do not count."""
        return [each.utc_s for each in self.book.since(since_utc_s) if each.who == who and each.cancelled == NOT]

    def at(self, minutes: int | None) -> Now:
        """This moment, or a time of today that was typed: minutes since midnight. Raises BadgeError."""
        now = self.now()
        if minutes is None:
            return now
        calendar = self._days.calendar
        midnight = calendar.local(now.utc_s).replace(hour=0, minute=0, second=0)
        typed = [calendar.utc_s(midnight + timedelta(days=day, minutes=minutes)) for day in (0, -1)]
        utc_s = typed[0] if typed[0] <= now.utc_s else typed[1]  # half an hour after midnight, somebody types 23:50
        if utc_s < self._start_s(now.utc_s):
            raise BadgeError("time")
        return Now(utc_s, now.unsure_s + TYPED_MINUTE_S)

    def clock_time(self, utc_s: int) -> str:
        """As people here read it."""
        return self._days.calendar.local(utc_s).strftime("%H:%M")

    def say(self, journal: Journal) -> int:
        """Says what is not said yet, signed by this gateway; returns how many. Raises JournalError, BadgeError."""
        due = self.book.unsaid()
        if due:
            with journal.transaction() as db:
                logs.say(db, [item for visit in due for item in self._items(visit)])
            self.book.note_said(due)
        return len(due)

    def _record(self, visit: Typed) -> Line:
        start_s = self._start_s(visit.utc_s)
        before = self._since(start_s)
        times = [each.utc_s for each in before if each.who == visit.who and each.cancelled == NOT]
        if any(abs(utc_s - visit.utc_s) < self._days.debounce_s for utc_s in times):
            raise BadgeError("twice")
        tap = self.book.write(visit)
        names = {visit.member: shown_name(member)} if (member := self.register.member(visit.member)) else {}
        now = sorted([*before, replace(visit, tap=tap)], key=_in_order)
        line = next(line for line in self._lines(now, names) if line.tap == tap)
        event("visit typed", place=self.place, tap=tap)
        return line

    def _since(self, start_s: int) -> list[Typed]:
        """What was typed and what readers saw, in order."""
        both = [*self.book.since(start_s), *(self._own.seen(start_s) if self._own is not None else [])]
        return sorted(both, key=_in_order)

    def _lines(self, visits: Iterable[Typed], names: dict[str, str]) -> list[Line]:
        """With directions: odd visits of one person arrive, even ones leave; cancelled ones and repeats count not."""
        counts, last_s, lines = dict[bytes, int](), dict[bytes, int](), list[Line]()
        for visit in visits:
            gone = visit.cancelled != NOT
            if not gone and visit.utc_s - last_s.get(visit.who, 0) < self._days.debounce_s:
                continue
            if not gone:
                counts[visit.who] = counts.get(visit.who, 0) + 1
                last_s[visit.who] = visit.utc_s
            direction = "" if gone else "in" if counts[visit.who] % 2 else "out"
            told = (names.get(visit.member, ""), visit.home, direction, gone, self.book.has(visit.tap))
            lines.append(Line(visit.tap, visit.utc_s, *told))
        return lines

    def _items(self, visit: Typed) -> list[Item]:
        items: list[Item] = []
        if not visit.said:
            told = (visit.who, visit.utc_s, visit.unsure_s, 0, visit.tap, visit.client[:MAX_CLIENT_CHARS])
            items.append(VisitRecord(self.place, visit.home, *told, "desk").item())
        if visit.cancelled:
            items.append(MappingRecord(self.place, visit.home, visit.who, NOBODY, visit.tap).item())
        return items

    def _start_s(self, utc_s: int) -> int:
        return self._days.calendar.start_s(self._days.calendar.day_of(utc_s))

    def _year(self, at: Now) -> int:
        return self._days.calendar.day_of(at.utc_s).year


class Guests:
    """All guest places of this gateway, and the desk of its own place. Opened when they are first asked for."""

    def __init__(
        self, data_dir: Path, days: Days, clock: Clock, table: Callable[[], Table | None], own: Own | None = None
    ) -> None:
        self._data_dir, self._days, self._clock, self._table, self._own = data_dir, days, clock, table, own
        self._keys = DeskKeys(data_dir)
        self._open: dict[str, DeskPlace] = {}
        self._stack = contextlib.ExitStack()

    def find(self, token: str) -> DeskPlace | None:
        """The place whose desk this token opens. Raises BadgeError."""
        desk = self._keys.find(token)
        return None if desk is None else self._of(desk)

    def of(self, place: str) -> DeskPlace | None:
        """The place of this name, also when its desk is closed; None when it never had one."""
        desk = next((desk for desk in self._keys.desks() if desk.place == place), None)
        return None if desk is None else self._of(desk)

    def lists_of(self, place: str) -> HomeLists | None:
        """What a guest place tells other hosts of its cards; None when there is no such place."""
        found = self.of(place)
        return None if found is None or not found.is_guest else found.home_lists

    def all(self) -> list[DeskPlace]:
        """Every place with a desk. Raises BadgeError."""
        return [self._of(desk) for desk in self._keys.desks()]

    def open_guests(self) -> list[DeskPlace]:
        """Those without a gateway whose desk is open: a closed one needs no lists of others. Raises BadgeError."""
        places = [self._of(desk) for desk in self._keys.desks() if desk.sha256]
        return [place for place in places if place.is_guest]

    def typed_at_own(self, who: bytes, since_utc_s: int) -> list[int]:
        """When this person's visits were typed at this gateway's own desk since then.

        None at all while the desk's files cannot be used, which is told: a card at the reader is not held up by them.
        """
        try:
            found = None if self._own is None else self.of(self._own.place)
            return [] if found is None else found.times_of(who, since_utc_s)
        except BadgeError as error:
            event("desk page failed", why=error)
            return []

    def say(self, journal: Journal) -> int:
        """Says what any of them has not said yet."""
        return sum(place.say(journal) for place in self.all())

    def forget(self, before_utc_s: int) -> int:
        """Deletes times of before then; returns how many visits."""
        return sum(place.book.forget(before_utc_s) for place in self.all())

    def close(self) -> None:
        self._stack.close()
        self._open.clear()

    def _of(self, desk: Desk) -> DeskPlace:
        if desk.place not in self._open:
            try:
                self._open[desk.place] = self._opened(desk)
            except KeyFileError as error:
                raise BadgeError(str(error)) from error
        return self._open[desk.place]

    def _opened(self, desk: Desk) -> DeskPlace:
        own = self._own if self._own is not None and self._own.place == desk.place else None
        with contextlib.ExitStack() as stack:
            folder = self._data_dir if own is not None else folder_of(self._data_dir, desk.place)
            files = own.files if own is not None else self._files(desk.place, folder, stack)
            book = stack.enter_context(contextlib.closing(TypedBook(folder, desk.index * TAPS_OF_A_PLACE)))
            self._stack.push(stack.pop_all())
        return DeskPlace(desk, files, book, self._days, self._clock, own)

    def _files(self, place: str, folder: Path, stack: contextlib.ExitStack) -> Files:
        """Opens a guest place's. Raises BadgeError or KeyFileError."""
        own_keys = keys.load_or_make(folder)
        register = stack.enter_context(Register(folder, own_keys.uid_token))
        lists = stack.enter_context(contextlib.closing(CardLists(folder, place, own_keys, self._table)))
        made = HomeLists(folder, place, own_keys, ForLists(register, self._today_number), self._table)
        return Files(own_keys, register, lists, stack.enter_context(contextlib.closing(made)))

    def _today_number(self) -> int | None:
        utc_ms = known_utc_ms(self._clock)
        return None if utc_ms is None else utc_ms // _MS_PER_S // _DAY_S


def _in_order(visit: Typed) -> tuple[int, int]:
    return visit.utc_s, visit.tap


def shown_name(member: Member) -> str:
    """As the desk knows this member: a place that keeps no names knows ids."""
    return member.name or member.id


def folder_of(data_dir: Path, place: str) -> Path:
    """Where a guest place's files lie."""
    return data_dir / FOLDER / place


def _parsed(number: str) -> str:
    try:
        return card.parse_address(number).number
    except WireError as error:
        raise BadgeError("number") from error
