"""A place that makes batches of cards on the emulated PN532, and whoever lays the cards down."""

import asyncio
import csv
from pathlib import Path

from balise_gateway.badges.cards import keys
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.recognise import Claim, Own, Places, recognise
from balise_gateway.badges.cards.series import Place, Series, Table
from balise_gateway.badges.cards.writing import Wanted
from balise_gateway.badges.desk.finding import Finder, When
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.readers import pn532
from balise_gateway.badges.register import Register
from balise_gateway.badges.seen import Seen
from balise_sim.nfc.cards import Card
from balise_sim.nfc.cards.ntag21x import Model as Ntag21x
from balise_sim.nfc.cards.ntag424 import Model as Ntag424
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_tools.badge_cards import new_number, today
from balise_wire import card as wire
from gateway.badges.cards.lying_chip import LyingChip

HOME = "coroutine.example"
PATIENCE_S = 60.0
Model = Ntag21x | Ntag424


def cards(grade: int, count: int) -> list[Model]:
    uids = [bytes([4, 0xA1, 0xB2, 0xC3, 0xD4, grade, n]) for n in range(count)]
    return [Ntag424(uid) if grade == 2 else Ntag21x(uid) for uid in uids]


class Hand:
    """Whoever lays the cards down: the next one when one is asked for, the same one when it was torn away."""

    def __init__(self, chip: Pn532Tty, pile: list[Card], torn_after: list[int] | None = None) -> None:
        self._chip, self._pile, self._torn = chip, pile, torn_after or []
        self._held: Card | None = None
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)
        if "went away" in text or "disturbed" in text:
            self._lay(self._held)
        elif "lay it on the reader" in text or "left out" in text or "made already" in text:
            self._lay(self._pile.pop(0) if self._pile else None)

    def _lay(self, card: Card | None) -> None:
        self._chip.take_away()
        self._held = card
        if card is None:
            return
        if self._torn:
            self._chip.tear_away_after(self._torn.pop(0))
        self._chip.lay(card)


class Scene:
    """A place that makes batches."""

    def __init__(self, folder: Path, chip: Pn532Tty) -> None:
        self.folder, self.chip = folder / "data", chip
        self.keys: HomeKeys = keys.load_or_make(self.folder)
        self.csv = folder / "cards.csv"

    def make(self, grade: int, count: int, hand: Hand, *, lock: bool = False, patience_s: float = PATIENCE_S) -> None:
        reader = pn532.Reader(pn532.Settings(kind="pn532", name="door", path=self.chip.path, poll_s=0.02))
        last_day = today() + 30 if grade == 1 else 0
        with Table(self.csv, HOME) as table:
            place = Place(self.keys, self.folder, new_number, today())
            made = Series(place, Wanted(HOME, grade, "", last_day=last_day, lock=lock), table, hand.say)
            made.check_table()
            try:
                asyncio.run(made.make(reader, count, patience_s))
            finally:
                reader.close()

    def register(self) -> Register:
        return Register(self.folder, self.keys.uid_token)

    def numbers(self) -> list[str]:
        with self.csv.open(encoding="utf-8") as file:
            return [wire.parse_number(row["number"]) for row in csv.DictReader(file)]

    def claim(self, model: Model) -> Claim:
        """What a reader at the door makes of it."""
        kind = "NTAG424" if isinstance(model, Ntag424) else "NTAG213"
        uri, records = wire.read_message(LyingChip(model, kind).read_ndef())
        with self.register() as register:
            own = Own(HOME, self.keys, register.take_counter, register.fits)
            places = Places(lambda home: [self.keys.signer.public_key] if home == HOME else [])
            return recognise(Seen("card", "door", model.uid, uri, records, kind), places, own, today())

    def verdict(self, model: Model) -> object:
        """The reason for "unknown", or the bearer."""
        claim = self.claim(model)
        lists = CardLists(self.folder, HOME, self.keys, lambda: None)
        with self.register() as register:
            finder = Finder(HOME, self.keys, register, lists, lambda member: None)
            found = claim.wrong or finder.find(claim, When(2026, today()))
        lists.close()
        return found

    def check(self, models: list[Model], grade: int) -> None:
        """Each chip proves its grade under a number of its own, which is in table and register, and is nobody's."""
        claims = [self.claim(model) for model in models]
        assert [(claim.grade, claim.wrong) for claim in claims] == [(grade, "")] * len(models)
        assert sorted(claim.number for claim in claims) == sorted(set(self.numbers()))
        assert len(self.numbers()) == len(models)
        with self.register() as register:
            for claim, model in zip(claims, models, strict=True):
                known = register.by_uid(model.uid)
                assert known is not None
                assert (known.number, known.state, known.member, known.grade) == (claim.number, "blank", None, grade)
