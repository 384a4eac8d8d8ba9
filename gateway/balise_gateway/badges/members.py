"""What a home can tell of its own members' visits, everywhere: it alone can undo their pseudonyms.

Promises that only visits of this home are looked at. Leaves files to `records.py`, and who may know it to the callers:
the member, and the place's own software.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import date
from pathlib import Path

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.sessions import Session
from balise_gateway.badges.billing.visits import Inputs, Tap, Trust
from balise_gateway.badges.connectors import Usage
from balise_gateway.badges.federation.exchange import FILE_NAME as EXCHANGE_FILE
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.register import Member
from balise_gateway.journal.file import FILE_NAME as JOURNAL_FILE
from balise_wire.places import PlaceKeys

MOST_YEARS = 64  # of hosts, whose pseudonyms are held at a time


class Names:
    """Members by their pseudonyms, of whatever host and year."""

    def __init__(self, keys: PlaceKeys, members: Sequence[Member]) -> None:
        self._keys, self._members = keys, members
        self._known: dict[tuple[str, int], dict[bytes, Member]] = {}

    def member_of(self, host: str, year: int, who: bytes) -> Member | None:
        """The member; None when it is none of ours."""
        name = (host, year)
        if name not in self._known:
            if len(self._known) >= MOST_YEARS:  # a place that says we were there in the year 9000 fills no memory
                self._known.clear()
            self._known[name] = {self._keys.who(member.id, *name): member for member in self._members}
        return self._known[name].get(who)


def all_visits(data_dir: Path, trust: Trust) -> Inputs:
    """Every visit that this gateway has, its own and its partners'. Raises JournalError or BadgeError."""
    inputs = Inputs(trust)
    for cose in envelopes(data_dir):
        inputs.add_envelope(cose)
    return inputs


def taps_of(home: str, names: Names, inputs: Inputs, calendar: Calendar) -> list[tuple[Member, Tap]]:
    """The taps of this home's members, with who it was, in order of time."""
    found = []
    for tap in inputs.taps()[0]:
        member = names.member_of(tap.host, calendar.day_of(tap.t).year, tap.who) if tap.home == home else None
        if member is not None:
            found.append((member, tap))
    return sorted(found, key=lambda pair: (pair[1].t, pair[1].host, pair[1].tap))


def usages(home: str, names: Names, found: Iterable[Session], before: date) -> list[Usage]:
    """The half-days of this home's members on days before that one, for the place's own software."""
    ours = ((_member(names, session), session) for session in found if session.home == home and session.day < before)
    return [_usage(member, session) for member, session in ours if member is not None]


def _member(names: Names, session: Session) -> Member | None:
    return names.member_of(session.host, session.day.year, bytes.fromhex(session.who))


def _usage(member: Member, session: Session) -> Usage:
    day = session.day.isoformat()
    key = f"{session.host}/{day}/{session.who}"
    return Usage(key, member.id, member.client, session.host, day, session.half_days)


def envelopes(data_dir: Path, kids: Set[bytes] | None = None, *, own: bool = True) -> Iterator[bytes]:
    """Every signed envelope of visits that this gateway has: its own, and its partners' (or only those of `kids`)."""
    if own and (data_dir / JOURNAL_FILE).exists():
        yield from own_visits(data_dir)
    if (data_dir / EXCHANGE_FILE).exists():
        with contextlib.closing(Exchange(data_dir, lambda: None)) as exchange:
            yield from exchange.envelopes(kids)
