"""Whether the count of a day could be another one, had each tap been a little earlier or later.

A tap at t ± u may have been at any moment of [t - u, t + u], each tap by itself. Nothing in a tap says "in" or "out",
so only the order counts: the k-th tap in time was between the k-th of all lower bounds and the k-th of all upper
bounds. Every decision that could then be otherwise (the same tap or the next one, this day or the next) is taken both
ways; on each way the closed time has a least and a largest value. A day is certain when all ways give its count.
Promises that no uncertain day is missed; a certain one may be called uncertain where many taps are in doubt at once.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from balise_gateway.badges.billing.agreement import PlaceTerms, Rules
from balise_gateway.badges.billing.days import LAST_UTC_S, Calendar

MAX_WAYS = 256  # beyond this many the days are called uncertain, which they are
_MAX_U_S = 2 * 86_400
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _Span:
    """When one tap of the sequence was, at the earliest and at the latest."""

    low: int
    high: int


_Way = tuple[tuple[date, _Span], ...]  # the taps kept on this way, each with its day


def uncertain_days(
    taps: Sequence[tuple[int, int]], terms: PlaceTerms, rules: Rules, calendar: Calendar, counted: dict[date, int]
) -> set[date]:
    """Days of one person at one host whose count is not certain. `taps`: (t, u); `counted`: half-days as computed."""
    if any(u > _MAX_U_S for _, u in taps):
        return set(counted)
    lows = sorted(max(0, t - u) for t, u in taps)
    highs = sorted(min(LAST_UTC_S, t + u) for t, u in taps)
    walk = _Walk(terms, rules, calendar, counted)
    return {day for part in walk.parts([_Span(*edges) for edges in zip(lows, highs, strict=True)]) for day in part}


@dataclass(frozen=True)
class _Walk:
    terms: PlaceTerms
    rules: Rules
    calendar: Calendar
    counted: dict[date, int]

    def parts(self, spans: Sequence[_Span]) -> Iterator[set[date]]:
        """The uncertain days of each part: parts are so far from each other that none can change the next one."""
        part: list[_Span] = []
        for span in spans:
            if part and self._apart(part[-1], span):
                yield self._uncertain(part)
                part = []
            part.append(span)
        if part:
            yield self._uncertain(part)

    def _apart(self, before: _Span, span: _Span) -> bool:
        first = self.calendar.day_of(span.low)
        return span.low - before.high >= self.rules.debounce_s and self.calendar.day_of(before.high) < first

    def _uncertain(self, part: Sequence[_Span]) -> set[date]:
        near = self._near(part)
        ways: list[_Way] = [()]
        for span in part:
            ways = [longer for way in ways for longer in self._longer(way, span)]
            if len(ways) > MAX_WAYS:
                return near
        found: set[date] = set()
        for way in ways:
            found |= self._other_counts(way, near)
        lines = found & self.counted.keys()
        for day in found - lines:  # a day that has no line, and could have one: told on the lines beside it
            lines |= {line for line in near if abs(line - day) <= _DAY} or near
        return lines

    def _near(self, part: Sequence[_Span]) -> set[date]:
        first, last = self.calendar.day_of(part[0].low), self.calendar.day_of(part[-1].high)
        return {day for day in self.counted if first <= day <= last}

    def _longer(self, way: _Way, span: _Span) -> Iterator[_Way]:
        """What may become of the next tap: the same as the last one kept, or kept on one of its possible days."""
        first = self.calendar.day_of(span.low)
        if way:
            last_day, last = way[-1]
            if max(0, span.low - last.high) < self.rules.debounce_s:
                yield way
            if span.high - last.low < self.rules.debounce_s:
                return
            first = max(first, last_day)
        day, end = first, self.calendar.day_of(span.high)
        while day <= end:
            yield (*way, (day, span))
            day += _DAY

    def _other_counts(self, way: _Way, near: set[date]) -> set[date]:
        kept: dict[date, list[_Span]] = {}
        for day, span in way:
            kept.setdefault(day, []).append(span)
        days = kept.keys() | near
        return {day for day in days if self._range(kept.get(day, [])) != {self.counted.get(day, 0)}}

    def _range(self, kept: Sequence[_Span]) -> set[int]:
        """The least and the most half-days: more time closed never makes fewer."""
        unclosed, closed = len(kept) % 2 == 1, kept[: len(kept) // 2 * 2]
        if not closed:
            return {self.terms.half_days(None, unclosed) if kept else 0}
        pairs = list(zip(closed[::2], closed[1::2], strict=True))
        least = sum(max(0, leave.low - arrive.high) for arrive, leave in pairs)
        breaks = sum(max(0, arrive.low - leave.high) for (_, leave), (arrive, _) in itertools.pairwise(pairs))
        most = closed[-1].high - closed[0].low - breaks
        return {self.terms.half_days(seconds, unclosed) for seconds in (least, most)}
