"""What lies before an antenna: cards laid and taken away, and how long the air takes.

Promises one truth for chip and test: a card that is taken away answers nothing more, from the next exchange on. Leaves
to others: who asks (pn532.py), and locks between threads (pn532_tty.py).
"""

from balise_sim.nfc.cards import Card

BIT_S = 128 / 13.56e6  # ISO 14443-2, 106 kbit/s
CRC_BYTES, BITS_PER_BYTE = 2, 9  # a parity bit each
TURN_S = 0.0003  # the card thinks; an estimate, twice the least frame delay time
PROGRAM_S = 0.0041  # NTAG21x data sheet, table 23: time-out of WRITE less a margin
WRITES = (0xA2, 0xA0)
SELECT_S = 0.003  # request, anti-collision and selection of two levels; an estimate


def air_s(sent: bytes, heard: bytes | None) -> float:
    """How long one exchange at 106 kbit/s takes, both frames with their CRC."""
    frames = len(sent) + len(heard or b"") + 2 * CRC_BYTES
    return frames * BITS_PER_BYTE * BIT_S + TURN_S + (PROGRAM_S if sent[:1] and sent[0] in WRITES else 0)


def in_order(cards: list[Card]) -> list[Card]:
    """As anti-collision finds them when the reader follows ones first (ISO 14443-3, 6.5.3; bits low to high)."""
    return sorted(cards, key=lambda card: [f"{byte:08b}"[::-1] for byte in card.uid], reverse=True)


class Field:
    """The cards that lie here, and the antenna's carrier."""

    def __init__(self) -> None:
        self._cards: list[Card] = []
        self._exchanges_left: int | None = None
        self.on = False
        self.exchanges = 0

    @property
    def cards(self) -> list[Card]:
        return list(self._cards)

    def lay(self, card: Card) -> None:
        if card not in self._cards:
            self._cards.append(card)

    def take_away(self, card: Card | None = None) -> None:
        """This card, or all of them."""
        for gone in [c for c in self._cards if card is None or c is card]:
            self._cards.remove(gone)
            gone.away()
        self._exchanges_left = None

    def tear_away_after(self, exchanges: int) -> None:
        """The cards answer this many commands more (selection is none), and are gone then."""
        self._exchanges_left = exchanges

    def switch(self, on: bool) -> None:
        if self.on and not on:
            for card in self._cards:
                card.away()
        self.on = on

    def reaches(self, card: Card) -> bool:
        """Whether this card hears one more command; each call is one exchange."""
        if card not in self._cards or not self.on:
            return False
        if self._exchanges_left == 0:
            self.take_away()
            return False
        if self._exchanges_left is not None:
            self._exchanges_left -= 1
        self.exchanges += 1
        return True
