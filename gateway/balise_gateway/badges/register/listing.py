"""The register as lists of cards want it: which cards count today, and which must be refused.

Promises that a card whose last day is over is said to have ended, and so is a card that was made in advance: its
signature holds, and nobody bears it yet. Leaves tokens, pseudonyms, numbers and sealing to
`federation/home_lists.py`, and credit to the place's own software.
"""

from collections.abc import Callable, Iterator

from balise_gateway.badges.federation import home_lists
from balise_gateway.badges.register.book import Card, Register
from balise_wire.card_list import REASONS

_CODES = {name: code for code, name in REASONS.items()}


class ForLists:
    """The `Register` of `home_lists`. `today` is the day since 1970-01-01, None when the clock is not known.

    `credit_of` gives the half-days that a member has left, None when nobody says.
    """

    def __init__(
        self,
        register: Register,
        today: Callable[[], int | None],
        credit_of: Callable[[str], int | None] = lambda member: None,
    ) -> None:
        self._register, self._today, self._credit_of = register, today, credit_of

    def version(self) -> object:
        """Another one whenever the register was written."""
        return self._register.version()

    def active(self) -> Iterator[home_lists.Card]:
        """The cards that count today."""
        today = self._today()
        for card in self._register.cards():
            if card.is_good(today):
                yield _told(card, self._credit_of(str(card.member)))

    def revoked(self) -> Iterator[tuple[home_lists.Card, int]]:
        """The cards that count no more, each with its reason."""
        today = self._today()
        for card in self._register.cards():
            if card.state in _CODES:
                yield _told(card, None), _CODES[card.state]
            elif (card.state == "active" and not card.is_good(today)) or (card.state == "blank" and card.grade):
                yield _told(card, None), _CODES["ended"]


def _told(card: Card, credit: int | None) -> home_lists.Card:
    return home_lists.Card(card.number, card.member or "", card.uid_token, card.client, credit)
