"""Whether the count of a day could be another one, had each tap been a little earlier or later.

A tap at t ± u may have been at any whole second of it, each tap by itself. Every decision that could then be otherwise
(which tap was first, the same tap or the next one, this day or the next) is taken both ways; on each way the closed
time has a least and a largest value, and both can be reached. A day is uncertain when, and only when, one of them gives
another count. Where more doubts meet than can be played through, all days there are called uncertain.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from balise_gateway.badges.billing.agreement import PlaceTerms, Rules
from balise_gateway.badges.billing.days import LAST_UTC_S, Calendar

MAX_DOUBTS = 6  # in one group; each of them has up to four outcomes
_DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class _Span:
    """When one tap was, at the earliest and at the latest."""

    low: int
    high: int


_Kept = tuple[date, _Span]  # a tap that counts, and its day
_Way = tuple[_Kept, ...]  # in time order; no tap earlier than the one before allows


def uncertain_days(
    taps: Sequence[tuple[int, int]], terms: PlaceTerms, rules: Rules, calendar: Calendar, counted: dict[date, int]
) -> set[date]:
    """Days of one person at one host whose count is not certain. `taps`: (t, u); `counted`: half-days as computed."""
    spans = sorted(_Span(max(0, t - u), min(LAST_UTC_S, t + u)) for t, u in taps)
    doubt = _Doubt(terms, rules.debounce_s, calendar, counted)
    return {day for group in doubt.groups(spans) for day in doubt.uncertain(group)}


@dataclass(frozen=True)
class _Doubt:
    terms: PlaceTerms
    debounce_s: int
    calendar: Calendar
    counted: dict[date, int]

    def groups(self, spans: Sequence[_Span]) -> Iterator[list[_Span]]:
        """Taps so far from all others that none can change what the others count."""
        group: list[_Span] = []
        latest = 0
        for span in spans:
            if group and self._apart(latest, span.low):
                yield group
                group = []
            latest = max(latest, span.high) if group else span.high
            group.append(span)
        if group:
            yield group

    def _apart(self, latest: int, low: int) -> bool:
        return low - latest >= self.debounce_s and self.calendar.day_of(latest) < self.calendar.day_of(low)

    def uncertain(self, group: Sequence[_Span]) -> set[date]:
        """The days of a group that have a line and could have another count, or whose neighbour could have a line."""
        first, last = self._day(group[0].low), self._day(max(span.high for span in group))
        lines = {day for day in self.counted if first <= day <= last}
        if self._doubts(group) > MAX_DOUBTS:
            return lines
        found: set[date] = set()
        for way in self._ways(group):
            found |= self._other_counts(way, lines)
            if found - lines:
                return lines
        return found

    def _doubts(self, group: Sequence[_Span]) -> int:
        """Pairs of which it is not sure who was first, or if they are one tap; and starts of days within a span."""
        doubts = sum((self._day(span.high) - self._day(span.low)).days for span in group)
        for number, span in enumerate(group):
            for other in itertools.islice(group, number + 1, None):
                least, most = other.low - span.high, other.high - span.low
                if doubts > MAX_DOUBTS or least >= max(1, self.debounce_s):
                    break  # all others are still later
                apart = most >= self.debounce_s or least <= -self.debounce_s
                doubts += least < 0 < most or (apart and 0 < self.debounce_s > least)
        return doubts

    def _ways(self, group: Sequence[_Span]) -> Iterator[_Way]:
        """All that may have been: which taps count, in which order and on which day."""
        open_: list[tuple[_Way, tuple[_Span, ...]]] = [((), tuple(group))]
        while open_:
            way, left = open_.pop()
            if not left:
                yield way
                continue
            for number in range(len(left)):
                others = left[:number] + left[number + 1 :]
                for span, rest in self._next(way, left[number], others):
                    open_ += [((*way, kept), rest) for kept in self._on_days(span)]

    def _next(self, way: _Way, span: _Span, others: tuple[_Span, ...]) -> Iterator[tuple[_Span, tuple[_Span, ...]]]:
        """This tap as the next that counts: when it was then, and which of the others are not its repeats."""
        low = max(span.low, way[-1][1].low + self.debounce_s) if way else span.low
        high = min([span.high, *(other.high for other in others)])
        if low > high:
            return
        wait = self.debounce_s
        surely = [other for other in others if other.high < low + wait]
        unsure = [other for other in others if wait and other.low - wait < high and low + wait <= other.high]
        never = [other for other in others if other not in surely and other not in unsure]
        for same in itertools.product((True, False), repeat=len(unsure)):
            repeats = surely + [other for other, holds in zip(unsure, same, strict=True) if holds]
            rest = never + [other for other, holds in zip(unsure, same, strict=True) if not holds]
            first = max([low, *(other.low - wait + 1 for other in repeats)])
            if first <= high:
                yield _Span(first, high), tuple(sorted(rest))

    def _on_days(self, span: _Span) -> Iterator[_Kept]:
        day, last = self._day(span.low), self._day(span.high)
        while day <= last:
            begins, ends = self.calendar.start_s(day), self.calendar.start_s(day + _DAY) - 1
            within = _Span(max(span.low, begins), min(span.high, ends))
            if within.low <= within.high:
                yield day, within
            day += _DAY

    def _other_counts(self, way: _Way, lines: set[date]) -> set[date]:
        kept: dict[date, list[_Span]] = {}
        latest = LAST_UTC_S
        for day, span in reversed(way):
            latest = min(span.high, latest)  # the next one comes no sooner than the debounce allows
            kept.setdefault(day, []).insert(0, _Span(span.low, latest))
            latest -= self.debounce_s
        return {day for day in kept.keys() | lines if self._range(kept.get(day, [])) != {self.counted.get(day, 0)}}

    def _range(self, kept: Sequence[_Span]) -> set[int]:
        """The least and the most half-days: more time closed never makes fewer."""
        unclosed, closed = len(kept) % 2 == 1, kept[: len(kept) // 2 * 2]
        if not closed:
            return {self.terms.half_days(None, unclosed) if kept else 0}
        pairs = list(zip(closed[::2], closed[1::2], strict=True))
        least = sum(max(self.debounce_s, leave.low - arrive.high) for arrive, leave in pairs)
        pauses = itertools.pairwise(pairs)
        breaks = sum(max(self.debounce_s, arrive.low - leave.high) for (_, leave), (arrive, _) in pauses)
        most = closed[-1].high - closed[0].low - breaks
        return {self.terms.half_days(seconds, unclosed) for seconds in (least, most)}

    def _day(self, utc_s: int) -> date:
        return self.calendar.day_of(utc_s)
