"""From taps in the book to signed items in the journal: visits, what was found out later, and clocks of the past.

Promises that each tap becomes one visit, whose bytes are the same however often a power cut has it said again; that a
time which is not known is told as ticks of a clock domain; and that what the journal does not take stays in the book.
"""

from collections.abc import Sequence
from dataclasses import replace

from balise_gateway.badges.desk.book import Book, Tap
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.clock import DRIFT_PPM, Clock, known_utc_ms
from balise_gateway.journal import Journal
from balise_gateway.logbook import logs
from balise_wire.items import Anchor, Item
from balise_wire.visits import MAX_CLIENT_CHARS, MappingRecord, VisitRecord

DOMAIN_OF_BOOK = 1 << 32  # and above: starts of the gateway, as the book counts them; a log counts its own from 1
_MS_PER_S, _PER_MILLION = 1_000, 1_000_000


class Sayer:
    """Says in the journal what the book has. One at a time; the journal must be open."""

    def __init__(self, place: str, book: Book, journal: Journal, clock: Clock) -> None:
        self._place, self._book, self._journal, self._clock = place, book, journal, clock

    def say(self) -> int:
        """Says what is not said yet, as far as its time is known or will never be; returns how many visits.

        Raises JournalError or BadgeError, with everything as it was.
        """
        utc_ms = known_utc_ms(self._clock)
        if utc_ms is not None:
            self._book.note_utc(utc_ms // _MS_PER_S)
        due = [told for tap in self._book.unsaid() if (told := self._dated(tap, utc_ms)) is not None]
        if not due:
            return 0
        items: list[Item] = [*self._anchors(due), *(self._visit(tap) for tap in due)]
        with self._journal.transaction() as db:
            logs.say(db, items)
        self._book.note_said([tap.tap for tap in due])
        return len(due)

    def resolve(self, lists: CardLists) -> int:
        """Says who those were whose home has told their pseudonyms since; returns how many."""
        found = []
        for each in self._book.provisional():
            told = lists.by_token(each.home, each.token)
            if told is not None and each.year in told.who:
                found.append((each, told.who[each.year]))
        for each, who in found:
            self._map(MappingRecord(self._place, each.home, each.was, who, each.tap))
            self._book.resolve(each.tap, who)
        return len(found)

    def upgrade(self, tap: Tap, grade: int) -> None:
        """Says that the home of this tap's card has verified its SUN message."""
        if tap.home is not None and tap.who is not None:
            self._map(MappingRecord(self._place, tap.home, tap.who, tap.who, tap.tap, grade))

    def _map(self, record: MappingRecord) -> None:
        with self._journal.transaction() as db:
            logs.say(db, [record.item()])

    def _dated(self, tap: Tap, utc_ms: int | None) -> Tap | None:
        """With its time, if that is known by now; None while it may still become known.

        What becomes known is written down before it is said, so that it is never said in two ways. A start that never
        knew the time is told by what was known before and after it: it waits for that too.
        """
        if tap.utc_s is not None:
            return tap
        if utc_ms is None:
            return None
        if tap.boot != self._book.start:
            return tap
        ago_ms = self._clock.boot_ms() - tap.ticks_s * _MS_PER_S
        unsure_ms = self._clock.uncertainty_ms() + _MS_PER_S + abs(ago_ms) * DRIFT_PPM // _PER_MILLION
        utc_s, unsure_s = (utc_ms - ago_ms) // _MS_PER_S, -(-unsure_ms // _MS_PER_S)
        self._book.date(tap.tap, utc_s, unsure_s)
        return replace(tap, utc_s=utc_s, unsure_s=unsure_s)

    def _visit(self, tap: Tap) -> Item:
        when = tap.utc_s if tap.utc_s is not None else (DOMAIN_OF_BOOK + tap.boot, tap.ticks_s)
        return VisitRecord(
            self._place,
            tap.home or self._place,
            tap.who or b"",
            when,
            tap.unsure_s,
            tap.grade or 0,
            tap.tap,
            (tap.client or "")[:MAX_CLIENT_CHARS],
            tap.via,  # type: ignore[arg-type]
        ).item()

    def _anchors(self, taps: Sequence[Tap]) -> list[Item]:
        """Of starts that never knew the time: it was after the last time known before, and before the next one."""
        told: list[Item] = []
        for start in sorted({tap.boot for tap in taps if tap.utc_s is None}):
            bracket = self._book.bracket(start)
            if bracket is None:
                continue
            first_s, last_s = bracket
            ticks = [tap.ticks_s for tap in taps if tap.boot == start and tap.utc_s is None]
            middle_ms = (first_s + last_s) * _MS_PER_S // 2
            unsure_ms = -(-(last_s - first_s) * _MS_PER_S // 2)
            told.append(Anchor(DOMAIN_OF_BOOK + start, ticks[0] * _MS_PER_S, middle_ms, "between", unsure_ms))
        return told
