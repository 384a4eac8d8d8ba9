"""How each hub's grant stands now: what the configuration grants, and what the host has done with it since.

Promises that a pause, a resumption and a withdrawal hold from the next look on (a log is looked at before it is closed
and before anything is sent); that what was measured in a pause never leaves; and that a withdrawn grant does not come
back under its id. Leaves the file to `record.py`, and each item to `rules.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from balise_gateway.grants.grant import Grant, of_terms
from balise_gateway.grants.record import GIVEN, PAUSED, RESUMED, WITHDRAWN, Event, Record
from balise_gateway.grants.rules import Granted, Home, Nothing, Site, View, Withdrawn
from balise_gateway.journal.tables import HOME_LOG

NONE = "none"  # the configuration grants nothing


class Standings(Mapping[int, View]):
    """The view of each log, the home log's too. `hubs` are all hubs' names by log."""

    def __init__(
        self,
        hubs: Mapping[int, str],
        grants: Mapping[int, Grant],
        sites: Mapping[bytes, Site],
        zone: ZoneInfo,
        record: Record,
    ) -> None:
        self._hubs, self._grants, self._sites, self._zone = hubs, grants, sites, zone
        self.record = record
        self._seen: Sequence[Event] | None = None
        self._views: dict[int, View] = {}
        self._home = Home(sites)
        self._outdoors = sorted(site.name for site in sites.values() if site.indoor is False)

    def __getitem__(self, log: int) -> View:
        if log == HOME_LOG:
            return self._home
        events = self.record.events()
        if events is not self._seen:
            self._views, self._seen = {}, events
        if log not in self._views:
            self._views[log] = self._view(log, events)
        return self._views[log]

    def __iter__(self) -> Iterator[int]:
        return iter((HOME_LOG, *self._hubs))

    def __len__(self) -> int:
        return 1 + len(self._hubs)

    def state(self, log: int) -> str:
        """ "none", "given", "paused" or "withdrawn". Raises JournalUnavailable when nobody can tell."""
        grant = self._grants.get(log)
        if grant is None:
            return NONE
        return state_of(self.record.events(), log, grant.id)

    def may_send(self, log: int) -> bool:
        """May bytes leave now?"""
        return self.state(log) == GIVEN

    def note_given(self, now_utc_ms: int) -> None:
        """Records the grants of the configuration that are new, or say something else than before."""
        events, new = self.record.events(), []
        for log, grant in self._grants.items():
            said = (grant.terms(), self._outdoors)
            before = [event for event in events if (event.log, event.what) == (log, GIVEN)]
            again = bool(before) and (before[-1].terms, before[-1].outdoors) == said
            if not again and state_of(events, log, grant.id) != WITHDRAWN:
                new.append(Event(now_utc_ms, self._hubs[log], log, grant.id, GIVEN, *said))
        if new:
            self.record.add(*new)

    def _view(self, log: int, events: Sequence[Event]) -> View:
        grant = self._grants.get(log)
        if grant is None:
            return Nothing()
        if state_of(events, log, grant.id) == WITHDRAWN:
            return Withdrawn(last_narrowing(events, log))
        return Granted(grant, self._sites, self._zone, pauses_of(events, log), last_narrowing(events, log))


def last_narrowing(events: Sequence[Event], log: int) -> int:
    """The number (from 1) of the last withdrawal, or grant that lets through less than the one before it; 0: none."""
    found, before = 0, None
    for number, event in enumerate(events, start=1):
        if event.log != log:
            continue
        narrower = event.what == GIVEN and before is not None and not _covers(event, before)
        found = number if narrower or event.what == WITHDRAWN else found
        before = event if event.what == GIVEN else before
    return found


def _covers(now: Event, before: Event) -> bool:
    new, old = of_terms(now.terms), of_terms(before.terms)
    if new is None or old is None or not new.covers(old):
        return False
    return new.indoor or set(before.outdoors) <= set(now.outdoors)


def state_of(events: Sequence[Event], log: int, grant: str) -> str:
    """What the events make of this grant: given (also by the configuration alone), paused or withdrawn."""
    done = [event.what for event in events if (event.log, event.grant) == (log, grant)]
    if WITHDRAWN in done:
        return WITHDRAWN
    last = next((what for what in reversed(done) if what in (PAUSED, RESUMED)), RESUMED)
    return PAUSED if last == PAUSED else GIVEN


def pauses_of(events: Sequence[Event], log: int) -> list[tuple[int, int | None]]:
    """(start, end) of each pause in UTC ms; the end is None while it lasts."""
    found: list[tuple[int, int | None]] = []
    for event in (event for event in events if event.log == log):
        running = bool(found) and found[-1][1] is None
        if event.what == PAUSED and not running:
            found.append((event.at_utc_ms, None))
        elif event.what in (RESUMED, WITHDRAWN) and running:
            found[-1] = (found[-1][0], event.at_utc_ms)
    return found
