"""From taps to sessions: who was where on which day, and for how many half-days.

A pure function: the same taps in any order give the same lines. Leaves prices to `settlement.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from balise_gateway.badges.billing.agreement import Agreement, PlaceTerms, Rules
from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.doubt import uncertain_days
from balise_gateway.badges.billing.visits import Tap

NO_EXIT, UNCERTAIN, NOT_BILLABLE, UNVERIFIED = "no_exit", "uncertain", "not_billable", "unverified"


@dataclass(frozen=True, order=True)
class Session:
    """One line: a person's day at a host. `leave_utc` is None where the last arrival has no exit."""

    host: str
    home: str
    who: str  # hex
    day: date
    arrive_utc: int = field(compare=False)
    leave_utc: int | None = field(compare=False)
    half_days: int = field(compare=False)
    flags: tuple[str, ...] = field(compare=False)
    items: frozenset[bytes] = field(compare=False, repr=False)  # what it was computed from
    client: str = field(compare=False, default="")  # the first one named that day

    def document(self) -> dict[str, object]:
        """As it is printed."""
        return {
            "host": self.host,
            "home": self.home,
            "who": self.who,
            "day": self.day.isoformat(),
            "arrive_utc": self.arrive_utc,
            "leave_utc": self.leave_utc,
            "half_days": self.half_days,
            "flags": list(self.flags),
        }


def sessions(taps: Iterable[Tap], agreement: Agreement) -> list[Session]:
    """All sessions at hosts that the agreement knows, sorted. Taps elsewhere have no half-day: no line."""
    people: dict[tuple[str, str, bytes], list[Tap]] = {}
    for tap in taps:
        if tap.host in agreement.places:
            people.setdefault((tap.host, tap.home, tap.who), []).append(tap)
    calendar = Calendar(agreement.timezone, agreement.rules.day_starts_min)
    found: list[Session] = []
    for (host, _, _), of_person in people.items():
        found += _Person(agreement.places[host], agreement.rules, calendar).sessions(of_person)
    return sorted(found)


@dataclass
class _Day:
    kept: list[Tap] = field(default_factory=list)
    same: list[Tap] = field(default_factory=list)  # repeats that the debounce took
    not_billable: list[Tap] = field(default_factory=list)

    def all(self) -> list[Tap]:
        return [*self.kept, *self.same, *self.not_billable]


@dataclass(frozen=True)
class _Person:
    terms: PlaceTerms
    rules: Rules
    calendar: Calendar

    def sessions(self, taps: Sequence[Tap]) -> list[Session]:
        in_time = sorted(taps, key=lambda tap: (tap.t, tap.tap, tap.item))
        billable = [tap for tap in in_time if tap.grade in self.rules.billable_grades]
        days = self._days(billable)
        for tap in in_time:
            if tap.grade not in self.rules.billable_grades:
                days.setdefault(self.calendar.day_of(tap.t), _Day()).not_billable.append(tap)
        counted = {day: self._half_days(taps.kept) for day, taps in days.items()}
        unsure = uncertain_days([(tap.t, tap.u) for tap in billable], self.terms, self.rules, self.calendar, counted)
        return [self._line(day, taps, counted[day], day in unsure) for day, taps in days.items()]

    def _days(self, in_time: Iterable[Tap]) -> dict[date, _Day]:
        """A repeat belongs to the day of the tap that it repeats."""
        days: dict[date, _Day] = {}
        last: Tap | None = None
        day = date.min
        for tap in in_time:
            if last is not None and tap.t - last.t < self.rules.debounce_s:
                days[day].same.append(tap)
                continue
            last, day = tap, self.calendar.day_of(tap.t)
            days.setdefault(day, _Day()).kept.append(tap)
        return days

    def _half_days(self, kept: Sequence[Tap]) -> int:
        pairs = list(zip(kept[::2], kept[1::2], strict=False))
        closed_s = sum(leave.t - arrive.t for arrive, leave in pairs) if pairs else None
        return self.terms.half_days(closed_s, unclosed=len(kept) % 2 == 1)

    def _line(self, day: date, taps: _Day, half_days: int, unsure: bool) -> Session:
        shown = taps.kept or taps.not_billable
        unclosed = bool(taps.kept) and len(taps.kept) % 2 == 1
        closed = bool(taps.kept) and not unclosed
        flags = {
            NO_EXIT: unclosed,
            NOT_BILLABLE: bool(taps.not_billable),
            UNCERTAIN: unsure,
            UNVERIFIED: not all(tap.verified for tap in taps.all()),
        }
        return Session(
            shown[0].host,
            shown[0].home,
            shown[0].who.hex(),
            day,
            shown[0].t,
            taps.kept[-1].t if closed else None,
            half_days,
            tuple(sorted(name for name, holds in flags.items() if holds)),
            frozenset(item for tap in taps.all() for item in (tap.item, *tap.also)),
            next((tap.client for tap in taps.all() if tap.client), ""),
        )
