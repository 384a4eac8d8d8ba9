"""Once a day: times that are older than the place keeps them go, here and in what partners delivered.

Promises that a gateway which is switched off every night forgets too, that a restored backup is gone through at the
first look, and that a clock which jumps must say the same day for a while before anything is deleted for it.
"""

from collections.abc import Callable

from balise_gateway.badges.desk.book import FORGET_AT_ONCE, Book
from balise_gateway.badges.federation.exchange import Exchange
from balise_gateway.errors import BadgeError
from balise_gateway.log import event

BELIEVED_AFTER_S = 3_600.0
_DAY_S = 86_400


class Forgetting:
    """For one place. `loop_s` is a time that never jumps."""

    def __init__(
        self,
        book: Book,
        exchange: Exchange,
        keep_days: int,
        loop_s: Callable[[], float],
        also: Callable[[int], int] = lambda before_utc_s: 0,
    ) -> None:
        self._book, self._exchange, self._keep_days, self._loop_s = book, exchange, keep_days, loop_s
        self._also = also  # forgets what others keep from before then, and says how many
        self._jumped = (0, 0.0)  # to which day, and since when

    def look(self, now_utc_s: int | None) -> None:
        """Forgets, if it is due. Never raises for the disk: what was not forgotten is tried again."""
        if now_utc_s is None:
            return
        today = now_utc_s // _DAY_S
        if self._book.forgot_day == today or not self._is_believed(today):
            return
        try:
            gone = self._book.forget((today - self._keep_days) * _DAY_S)
            gone += self._also((today - self._keep_days) * _DAY_S)
            self._exchange.forget(today * _DAY_S, self._keep_days)
            self._book.note_forgot(today)
        except BadgeError as error:
            event("taps not forgotten", why=error)
            return
        if gone:
            event("taps forgotten", taps=gone)

    def _is_believed(self, today: int) -> bool:
        if self._book.forgot_day in (today - 1, FORGET_AT_ONCE):
            return True
        if self._jumped[0] != today:
            self._jumped = (today, self._loop_s())
        return self._loop_s() - self._jumped[1] >= BELIEVED_AFTER_S
