"""A card that was at two places at once: a cloned UID, or a card that was lent.

The home undoes the pseudonyms of its own members' visits, wherever they were, and looks for two taps that one person
cannot both have made. Promises that uncertain times accuse nobody: two taps count as too close only when they are so
whatever their true times were. Pure functions; leaves reading visits to `billing/visits.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.visits import Tap
from balise_wire.places import PlaceKeys

Kind = Literal["too close", "at both"]
DEFAULT_TRAVEL_S = 900
MOST_YEARS = 64  # of hosts, whose pseudonyms are held at a time: a host may claim visits of any year
Travel = Callable[[str, str], int]  # the least time from one place to another, in seconds


@dataclass(frozen=True)
class Sight:
    """One tap of a member of ours, somewhere."""

    member: str
    host: str
    t: int
    u: int
    grade: int
    tap: int


@dataclass(frozen=True)
class Suspect:
    """Two taps of one member that do not fit together.

    "too close": less time between them than the way takes. "at both": the second place, while the session at the first
    went on; a visit in between without going out looks the same.
    """

    kind: Kind
    first: Sight
    second: Sight

    @property
    def gap_s(self) -> int:
        """The most time that can have been between the two."""
        return _most_apart_s(self.first, self.second)


def unmask(
    taps: Iterable[Tap], keys: PlaceKeys, home: str, members: Sequence[str], calendar: Calendar
) -> tuple[list[Sight], int]:
    """Our members' visits with their members, in order of time; and how many of ours nobody could be found for."""
    ours = [tap for tap in taps if tap.home == home]
    known: dict[tuple[str, int], dict[bytes, str]] = {}
    sights, lost = [], 0
    for tap in ours:
        name = (tap.host, calendar.day_of(tap.t).year)
        if name not in known:
            if len(known) >= MOST_YEARS:
                known.clear()
            known[name] = {keys.who(member, *name): member for member in members}
        member = known[name].get(tap.who)
        if member is None:
            lost += 1
        else:
            sights.append(Sight(member, tap.host, tap.t, tap.u, tap.grade, tap.tap))
    return sorted(sights, key=lambda sight: (sight.member, sight.t, sight.host, sight.tap)), lost


def suspects(sights: Sequence[Sight], travel_s: Travel, calendar: Calendar, debounce_s: int) -> list[Suspect]:
    """What does not fit, by member and time; each pair once."""
    found: dict[tuple[Sight, Sight], Suspect] = {}
    for _, group in groupby(sorted(sights, key=lambda sight: (sight.member, sight.t)), lambda sight: sight.member):
        own = list(group)
        for suspect in (*_too_close(own, travel_s), *_at_both(own, calendar, debounce_s)):
            found.setdefault((suspect.first, suspect.second), suspect)
    return sorted(found.values(), key=lambda each: (each.first.member, each.first.t, each.second.t, each.second.host))


def _too_close(own: Sequence[Sight], travel_s: Travel) -> Iterator[Suspect]:
    longest_s = max((travel_s(a, b) for a in {s.host for s in own} for b in {s.host for s in own}), default=0)
    for number, first in enumerate(own):
        for second in own[number + 1 :]:
            if second.t - first.t >= longest_s:
                break
            if first.host != second.host and _most_apart_s(first, second) < travel_s(first.host, second.host):
                yield Suspect("too close", first, second)


def _at_both(own: Sequence[Sight], calendar: Calendar, debounce_s: int) -> Iterator[Suspect]:
    for arrive, leave in _sessions(own, calendar, debounce_s):
        inside = (
            each
            for each in own
            if each.host != arrive.host
            and arrive.t + arrive.u < each.t - each.u
            and each.t + each.u < leave.t - leave.u
        )
        other = next(inside, None)
        if other is not None:
            yield Suspect("at both", arrive, other)


def _sessions(own: Sequence[Sight], calendar: Calendar, debounce_s: int) -> Iterator[tuple[Sight, Sight]]:
    """Arrival and departure of each closed session, as the bill counts them."""
    days: dict[tuple[str, object], list[Sight]] = {}
    last: dict[str, int] = {}
    for sight in own:
        before_s = last.get(sight.host)
        if before_s is None or sight.t - before_s >= debounce_s:
            last[sight.host] = sight.t
            days.setdefault((sight.host, calendar.day_of(sight.t)), []).append(sight)
    for taps in days.values():
        yield from zip(taps[::2], taps[1::2], strict=False)


def _most_apart_s(first: Sight, second: Sight) -> int:
    return abs(second.t - first.t) + first.u + second.u
