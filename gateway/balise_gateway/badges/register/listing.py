"""What another place may know of our cards: tokens and pseudonyms, never a number, a member or a UID.

Promises the tokens of wire/BADGES.md section 3, for the pair key of one host. Leaves numbering, sealing and sending of
lists to whoever keeps them, and credit to the place's own software.
"""

from collections.abc import Callable, Iterator

from balise_gateway.badges.register.book import Card, Register
from balise_wire.card_list import REASONS, Entry
from balise_wire.places import PlaceKeys, number_token, uid_card_token

_CODES = {name: code for code, name in REASONS.items()}


def tokens_of(card: Card, pair_key: bytes) -> list[bytes]:
    """What stands for a card at that host: by its number, and by its chip where that is known."""
    chip = [] if card.uid_token is None else [uid_card_token(pair_key, card.uid_token)]
    return [number_token(pair_key, card.number), *chip]


def good_cards(register: Register, today: int) -> Iterator[Card]:
    """All cards that are their bearers' today."""
    return (card for card in register.cards() if card.is_good(today))


def revoked_cards(register: Register, today: int) -> Iterator[tuple[Card, int]]:
    """All cards that must be refused, each with its reason in a list; one whose last day is over has ended."""
    for card in register.cards():
        if card.state in _CODES:
            yield card, _CODES[card.state]
        elif card.state == "active" and not card.is_good(today):
            yield card, _CODES["ended"]


def entries(
    register: Register,
    keys: PlaceKeys,
    host: str,
    pair_key: bytes,
    when: tuple[int, int],
    credit_of: Callable[[str], int | None] = lambda member: None,
) -> list[Entry]:
    """The cards of a whole list for one host; `when` is (year, day since 1970-01-01)."""
    year, today = when
    found = []
    for card in good_cards(register, today):
        member = str(card.member)
        who, credit = keys.who(member, host, year), credit_of(member)
        found += [Entry(token, year, who, credit, card.client or None) for token in tokens_of(card, pair_key)]
    return found


def revocations(register: Register, pair_key: bytes, today: int) -> dict[bytes, int]:
    """The revoked cards of a whole list for one host."""
    revoked = revoked_cards(register, today)
    return {token: reason for card, reason in revoked for token in tokens_of(card, pair_key)}
