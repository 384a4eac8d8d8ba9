"""From what a reader saw to what the screen shows, with the tap in the book before anybody is told that it counts.

Promises a verdict without asking the network, and one commit on its way; that what cannot be written down is never
green; and that no UID, number or name goes further than here. Leaves the signed item to `saying.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from balise_gateway.badges.cards.recognise import Claim
from balise_gateway.badges.desk import rules
from balise_gateway.badges.desk.book import Book, Provisional, Tap
from balise_gateway.badges.desk.days import Days
from balise_gateway.badges.desk.finding import Bearer, Finder, When
from balise_gateway.badges.desk.rules import Scene
from balise_gateway.badges.seen import Seen
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.badges.showing import Reason, Showing
from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.errors import BadgeError
from balise_gateway.log import event

_MS_PER_S, _DAY_S = 1_000, 86_400
_ROUNDING_MS = 500  # of whole seconds

Recognise = Callable[[Seen, int | None], Claim]  # what was seen, and the day number if it is known
TypedTimes = Callable[[bytes, int], list[int]]  # when somebody's visits were typed here, since a time


@dataclass(frozen=True)
class Verdict:
    """What was decided of one card: what is shown, and the tap as it stands in the book (None: not written)."""

    showing: Showing
    tap: Tap | None
    bearer: Bearer | None
    took_ms: float
    card: bytes = field(default=b"", repr=False)  # its number, or else its UID: stays in memory


class Desk:
    """One place's desk."""

    def __init__(
        self,
        settings: BadgeSettings,
        clock: Clock,
        book: Book,
        recognise: Recognise,
        finder: Finder,
        days: Days,
    ) -> None:
        self._settings, self._clock, self._book = settings, clock, book
        self._recognise, self._finder, self._days = recognise, finder, days
        self._calendar = days.calendar
        self.refused = 0  # taps that the disk did not take
        self.typed: TypedTimes = lambda who, since_utc_s: []  # of a desk page, where there is one

    def take(self, seen: Seen) -> Verdict:
        """One card, code or number; never raises for what is on it."""
        began_s = time.perf_counter()
        utc_ms = known_utc_ms(self._clock)
        utc_s = None if utc_ms is None else round(utc_ms / _MS_PER_S)
        claim = self._recognise(seen, None if utc_s is None else utc_s // _DAY_S)
        found = claim.wrong or self._find(claim, utc_s)
        bearer = None if isinstance(found, str) else found
        scene = self._scene(utc_s, bearer)
        showing = rules.verdict(found, claim.grade, scene)
        tap = self._tap(seen, claim, showing, bearer, utc_s)
        try:
            number = self._book.write(tap, self._provisional(bearer, utc_s), self._sun_of(seen, claim, bearer))
        except BadgeError as error:
            self.refused += 1
            event("tap not kept", why=error)
            showing = showing if bearer is None else rules.not_kept(showing)
            return Verdict(showing, None, bearer, _since_ms(began_s), _card(claim))
        return Verdict(showing, replace(tap, tap=number), bearer, _since_ms(began_s), _card(claim))

    def _find(self, claim: Claim, utc_s: int | None) -> Bearer | Reason:
        if utc_s is None:
            return self._finder.find(claim, When(self._year(None)))
        old_before_utc_s = utc_s - round(self._settings.stale_list_days * _DAY_S)
        return self._finder.find(claim, When(self._year(utc_s), utc_s // _DAY_S, old_before_utc_s))

    def _year(self, utc_s: int | None) -> int:
        """Of the local day. Without a clock: as late as this computer believes, and it was already once.

        A clock that begins at 1970 would have everybody under a pseudonym that no home has told.
        """
        if utc_s is None:
            utc_s = max(self._clock.utc_ms() // _MS_PER_S, self._book.last_known_utc_s())
        return self._calendar.day_of(utc_s).year

    def _scene(self, utc_s: int | None, bearer: Bearer | None) -> Scene:
        settings = self._settings
        scene = Scene(utc_s, (), self._days.debounce_s, settings.stale_list_days * _DAY_S, settings.show_s)
        if utc_s is None or bearer is None:
            return scene
        begins = self._calendar.start_s(self._calendar.day_of(utc_s))
        times = [*self._book.of_day(bearer.who, begins), *self.typed(bearer.who, begins)]
        return replace(scene, earlier_utc_s=sorted(t for t in times if t <= utc_s))

    def _tap(self, seen: Seen, claim: Claim, showing: Showing, bearer: Bearer | None, utc_s: int | None) -> Tap:
        known = bearer is not None
        unsure_ms = self._clock.uncertainty_ms() + _ROUNDING_MS if utc_s is not None else 0
        return Tap(
            tap=0,
            utc_s=utc_s,
            unsure_s=-(-unsure_ms // _MS_PER_S),
            boot=self._book.start,
            ticks_s=round(self._clock.boot_ms() / _MS_PER_S),
            reader=seen.reader,
            via=seen.via,
            state=showing.state,
            reason=showing.reason,
            home=bearer.home if bearer is not None else None,
            who=bearer.who if bearer is not None else None,
            grade=claim.grade if known else None,
            client=bearer.client or None if bearer is not None else None,
            said=not known,
        )

    def _provisional(self, bearer: Bearer | None, utc_s: int | None) -> Provisional | None:
        if bearer is None or bearer.token is None:
            return None
        return Provisional(0, bearer.home, bearer.token, self._year(utc_s), bearer.who)

    def _sun_of(self, seen: Seen, claim: Claim, bearer: Bearer | None) -> str:
        """A SUN message that only the card's home can verify."""
        return "" if bearer is None or claim.sun is None else seen.uri


def _card(claim: Claim) -> bytes:
    return claim.number.encode() or claim.uid


def _since_ms(began_s: float) -> float:
    return (time.perf_counter() - began_s) * _MS_PER_S
