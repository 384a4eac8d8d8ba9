"""Cards laid down and taken away, on whichever reader: each is read once, until it was away.

Promises that a card which is torn away or answers badly is tried again before it is called unreadable; that a card
which lies there is one sighting; and that faults of the line are counted and end nothing until they come in a row.
Leaves selecting and exchanging to a `Field`, and the card's memory to `_cards.py`.
"""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from balise_gateway.badges.readers import Chip
from balise_gateway.badges.readers._base import BaseReader, DeviceAway, Hand, Stop
from balise_gateway.badges.readers._cards import Card, Link
from balise_gateway.badges.readers._ndef import opened
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import CardLost, CardRefused

T = TypeVar("T")
READ_PATIENCE_S, JOB_PATIENCE_S = 1.5, 60.0  # a stranger's card may ask for more time for ever; writing takes a while
TRIES = 4  # before a card is called unreadable; a hand that is not quite there yet needs two or three
MISSES = 3  # in a row before a card counts as taken away: at the edge of the field one look in ten misses it
FAULTS_IN_A_ROW = 3


class LineFault(CardLost):
    """One answer of the reader was spoilt or missing; the next one may be well."""

    def __init__(self) -> None:
        super().__init__("the line to the reader was disturbed: lay the card down again")


class PlacedCard(Link, Protocol):
    """A card that lies on the reader, and is selected."""

    is_classic: bool


class Field(Protocol):
    """What the reader sees. Its methods raise LineFault, or DeviceAway when it must be opened again."""

    def find(self, patience_s: float) -> PlacedCard | None:
        """A card that lies here; all its work must be done within `patience_s`."""
        ...

    def is_here(self, card: PlacedCard) -> bool:
        """Whether it still lies here, without selecting it again."""
        ...

    def close(self) -> None: ...


class CardLoop:
    """A `Device`: reads every card that is laid down."""

    def __init__(self, reader: BaseReader, field: Field, poll_s: float, originality: bool) -> None:
        self._reader, self._field = reader, field
        self._poll_s, self._originality = poll_s, originality
        self._counters = reader._counters
        self._faults = 0

    def read(self, stop: Stop, hand: Hand) -> None:
        found: PlacedCard | None = None
        while not stop:
            found = found or self._look()
            if found is None:
                stop.wait(self._poll_s)
                continue
            lying, seen = self._read(found, stop)
            if seen is not None:
                hand(seen)
            found = self._until_away(lying, stop) if lying else None

    def work(self, stop: Stop, job: Callable[[Chip], T], timeout_s: float) -> T:
        """What `job` makes of the first card that is laid down."""
        until_s = time.monotonic() + timeout_s
        while not stop:
            card = self._placed()
            if card is not None:
                return job(card)
            if time.monotonic() > until_s:
                raise TimeoutError(f"no card was laid on the reader within {timeout_s:g} s")
            stop.wait(self._poll_s)
        raise CardLost("ended before a card was laid down")

    def close(self) -> None:
        self._field.close()

    def _placed(self) -> Card | None:
        """A card that lies well: one that is torn away before anything was done with it is waited for again."""
        found = self._look(JOB_PATIENCE_S)
        if found is None:
            return None
        card = Card(found, found.is_classic)
        try:
            card.look()
        except CardLost:
            self._counters["torn away"] += 1
            return None
        return card

    def _look(self, patience_s: float = READ_PATIENCE_S) -> PlacedCard | None:
        self._counters["looks"] += 1
        try:
            found = self._field.find(patience_s)
        except LineFault as fault:
            self._fault(fault)
            return None
        self._faults = 0
        return found

    def _fault(self, fault: LineFault) -> None:
        self._counters["line fault"] += 1
        self._faults += 1
        if self._faults >= FAULTS_IN_A_ROW:
            self._faults = 0
            raise DeviceAway("no answer", "the reader answers wrongly or not at all: a loose wire?") from fault

    def _read(self, found: PlacedCard, stop: Stop) -> tuple[PlacedCard | None, Seen | None]:
        """The card that lies there now, and what it says: without UID when it could not be read, None at the end."""
        lying: PlacedCard | None = found
        for _ in range(TRIES):
            if lying is not None:
                try:
                    return lying, self._seen(lying)
                except LineFault as fault:
                    self._fault(fault)
                except CardLost:
                    self._counters["torn away"] += 1
            stop.wait(self._poll_s)
            if stop:
                return None, None
            lying = self._look()
        self._counters["unreadable"] += 1
        return lying, Seen(via="card", reader=self._reader._name)

    def _seen(self, lying: PlacedCard) -> Seen:
        card = Card(lying, lying.is_classic)
        if not lying.is_iso:
            card.look()  # first: then the tag is read in fewer steps
        message = self._message(card)
        if lying.is_iso:
            card.look()  # last: what the card has to say comes first, for it may be gone at any time
        originality = card.originality() if self._originality else b""
        uri, records = opened(message) if message else ("", [])
        if message and not (uri or records):
            self._counters["broken message"] += 1
        return Seen("card", self._reader._name, card.uid, uri, tuple(records), card.kind, originality)

    def _message(self, card: Card) -> bytes:
        try:
            return card.read_ndef()
        except CardRefused:  # it needs a password, or is no tag for messages: its UID is all there is
            self._counters["memory refused"] += 1
            return b""

    def _until_away(self, lying: PlacedCard, stop: Stop) -> PlacedCard | None:
        """Returns another card when one was laid in its place."""
        misses = 0
        while misses < MISSES and not stop:
            stop.wait(self._poll_s)
            if self._is_here(lying):
                misses = 0
                continue
            found = self._look()
            if found is None:
                misses += 1
            elif found.uid != lying.uid:
                return found
            else:
                lying, misses = found, 0
        return None

    def _is_here(self, lying: PlacedCard) -> bool:
        self._counters["looks"] += 1
        try:
            return self._field.is_here(lying)
        except LineFault as fault:
            self._fault(fault)
            return False


class CardReader(BaseReader):
    """A reader that cards lie on, and that can write to them. A kind has `_open`, with a loop over its field."""

    def _open(self) -> CardLoop:
        raise NotImplementedError

    def _card_work(self, stop: Stop, job: Callable[[Chip], T], timeout_s: float) -> T:
        loop = self._open()
        try:
            return loop.work(stop, job, timeout_s)
        finally:
            loop.close()
