"""Whose card is it: the place's own register first, then the lists that other homes have sent.

Promises that nothing is asked of the network, and that a card which was revoked, or of which nobody knows, is never
taken for another. Leaves proofs to `cards/`, and what is shown to `rules.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from balise_gateway.badges.cards.recognise import Claim
from balise_gateway.badges.connectors import Balance
from balise_gateway.badges.federation.lists import CardLists, Found
from balise_gateway.badges.register import Card, Register
from balise_gateway.badges.showing import Reason
from balise_wire.places import PlaceKeys


@dataclass(frozen=True)
class Bearer:
    """Who stands there. `token` is set where the home has not said a pseudonym yet; then `who` is ours."""

    home: str
    who: bytes
    credit_half_days: int | None = None
    credit_utc_s: int | None = None
    client: str = ""
    list_utc_s: int | None = None  # None: our own register, or no list yet
    token: bytes | None = None


@dataclass(frozen=True)
class When:
    """The year of pseudonyms; the day since 1970-01-01, None when nobody knows; and when a list counts as old:
    made before that, it may lack cards that are good.
    """

    year: int
    today: int | None = None
    old_before_utc_s: int | None = None


Credit = Callable[[str], Balance | None]


class Finder:
    """Finds bearers. `credit` is asked anew each time."""

    def __init__(self, place: str, keys: PlaceKeys, register: Register, lists: CardLists, credit: Credit) -> None:
        self._place, self._keys, self._register, self._lists = place, keys, register, lists
        self._credit = credit

    def find(self, claim: Claim, when: When) -> Bearer | Reason:
        """The bearer, or why there is none."""
        if claim.home is None or claim.home == self._place:
            card = self._own(claim)
            if card is not None:
                return self._bearer(card, when)
        if claim.home is None or not claim.number:
            found = self._unnamed(claim)
            return "not listed" if found is None else self._guest(found, when.year)
        if claim.home == self._place:
            return "not listed"
        found = self._lists.by_number(claim.home, claim.number)
        return self._guest(found, when.year) if found is not None else self._unlisted(claim, when)

    def _unnamed(self, claim: Claim) -> Found | None:
        """A guest's card that does not say whose it is: a chip by its UID, a code with a bare number by that."""
        if claim.number and claim.via != "card":
            return self._lists.by_any_number(claim.number)
        return self._lists.by_uid(claim.uid) if claim.uid else None

    def _own(self, claim: Claim) -> Card | None:
        if claim.number:
            return self._register.by_number(claim.number)
        return self._register.by_uid(claim.uid) if claim.uid else None

    def _bearer(self, card: Card, when: When) -> Bearer | Reason:
        if card.member is None or card.state == "blank":
            return "not listed"
        if not card.is_good(when.today):
            return "expired" if card.state == "active" else "revoked"
        who, left = self._keys.who(card.member, self._place, when.year), self._credit(card.member)
        credit, known_s = (None, None) if left is None else (left.half_days, left.utc_s)
        return Bearer(self._place, who, credit, known_s, card.client)

    def _guest(self, found: Found, year: int) -> Bearer | Reason:
        if found.revoked:
            return "revoked"
        known_s = found.list_utc_s if found.credit is not None else None
        if year not in found.who:
            return self._provisional(found.home, found.token, found.list_utc_s)
        return Bearer(found.home, found.who[year], found.credit, known_s, found.client, found.list_utc_s)

    def _unlisted(self, claim: Claim, when: When) -> Bearer | Reason:
        """A card that names its home, which takes part: new since the list was made, or none has come yet."""
        home = str(claim.home)
        token = self._lists.token_of(home, claim.number)
        if token is None:
            return "not listed"
        made_s = self._lists.list_utc_s(home)
        is_old = made_s is None or (when.old_before_utc_s is not None and made_s < when.old_before_utc_s)
        if claim.grade < 1 and not is_old:
            return "not listed"  # a number that anybody could print; its home's list is new and does not have it
        return self._provisional(home, token, made_s)

    def _provisional(self, home: str, token: bytes, made_s: int | None) -> Bearer:
        return Bearer(home, self._keys.provisional_who(token), list_utc_s=made_s, token=token)
