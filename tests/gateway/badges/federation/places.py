"""What the tests of a federation share: three places with real keys, their table, and a register that is a list."""

from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from balise_gateway.badges.federation.home_lists import Card
from balise_gateway.badges.federation.table_cache import TableCache
from balise_wire.envelope import Signer
from balise_wire.places import Place, PlaceKeys, Table, sign_table

HOME, HOST, THIRD = "home.example", "host.example", "third.example"
NAMES = (HOME, HOST, THIRD)
NOW_S = 1_780_000_000  # 2026-05-28
PARIS = ZoneInfo("Europe/Paris")
FEDERATION = Signer(bytes([7]) * 32)
KEYS = {name: PlaceKeys(bytes([10 + at]) * 32, bytes([20 + at]) * 32) for at, name in enumerate(NAMES)}
GATEWAYS = {name: Signer(bytes([30 + at]) * 32) for at, name in enumerate(NAMES)}


def place(name: str, **more: str) -> Place:
    keys, gateway = KEYS[name], GATEWAYS[name]
    prefix = name.split(".")[0]
    return Place(
        name, prefix.title(), prefix, (keys.signer.public_key,), keys.box_public, (gateway.public_key,), **more
    )


def table(number: int = 1, places: Iterable[Place] | None = None) -> Table:
    return Table(number, NOW_S, tuple(places or map(place, NAMES)))


def signed(number: int = 1, places: Iterable[Place] | None = None) -> bytes:
    return sign_table(FEDERATION, table(number, places))


def cache(folder: Path, *, data: bytes | None = None) -> TableCache:
    """A cache that holds the table of three places."""
    made = TableCache(folder, FEDERATION.public_key)
    made.take(signed() if data is None else data)
    return made


class Cards:
    """A register, in memory: what the register's own tests say of the real one is not repeated here."""

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.gone: list[tuple[Card, int]] = []

    def version(self) -> object:
        return list(self.cards), list(self.gone)

    def active(self) -> list[Card]:
        return list(self.cards)

    def revoked(self) -> list[tuple[Card, int]]:
        return list(self.gone)

    def revoke(self, number: str, reason: int) -> None:
        (card,) = (card for card in self.cards if card.number == number)
        self.cards.remove(card)
        self.gone.append((card, reason))
