"""A place's two key files, and the keys of its cards that are derived from them (wire/BADGES.md section 2).

Promises that a card's keys are computed from its number and UID each time: there is no table of keys to lose. Leaves
pseudonyms and pair keys to `balise_wire.places`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from balise_gateway.badges.cards.diversify import KEY_BYTES, diversify
from balise_gateway.keys import KeyFile
from balise_wire.places import PlaceKeys, derive

SYSTEM = b"balise"
CARD_KEYS = 5  # an NTAG 424 DNA has application keys 0 to 4
MASTER_KEY, META_KEY, FILE_KEY = 0, 1, 2  # application master; opens PICC data; makes the CMAC

_RESTORE = "restore it from your backup; without it {}"
PLACE_KEY = KeyFile(
    "place.key",
    "place's key",
    "issue a card or start the gateway once",
    _RESTORE.format("the federation must be told a new key, and signed cards are issued anew"),
)
HOME_KEY = KeyFile(
    "home.key",
    "home key",
    "issue a card or start the gateway once",
    _RESTORE.format("cards that are known by their UID, SUN cards and pseudonyms of this year are lost"),
)


@dataclass(frozen=True)
class CardKeys:
    """The five application keys of one NTAG 424 DNA."""

    keys: tuple[bytes, ...] = field(repr=False)

    @property
    def master(self) -> bytes:
        return self.keys[MASTER_KEY]

    @property
    def file(self) -> bytes:
        return self.keys[FILE_KEY]


class HomeKeys(PlaceKeys):
    """All keys of a place: those of `PlaceKeys`, and those of its cards."""

    def __init__(self, place_seed: bytes, home_seed: bytes) -> None:
        super().__init__(place_seed, home_seed)
        self._sun_meta = derive(home_seed, b"balise sun meta", KEY_BYTES)
        self._sun_file = derive(home_seed, b"balise sun file", KEY_BYTES)

    def sun_meta_key(self, number: str) -> bytes:
        """Opens the PICC data of this card: by its number, since the UID stands inside."""
        return diversify(self._sun_meta, number.encode() + SYSTEM)

    def card_keys(self, number: str, uid: bytes) -> CardKeys:
        """What is written into the chip; key 1 depends on the number alone."""
        told = [diversify(self._sun_file, uid + bytes([which]) + number.encode()) for which in range(CARD_KEYS)]
        told[META_KEY] = self.sun_meta_key(number)
        return CardKeys(tuple(told))


def load_or_make(data_dir: Path) -> HomeKeys:
    """The keys of this place; files that are not there are made. Raises KeyFileError."""
    return HomeKeys(PLACE_KEY.load_or_make(data_dir), HOME_KEY.load_or_make(data_dir))


def load(data_dir: Path) -> HomeKeys:
    """The keys of a place that has them. Raises KeyFileError."""
    return HomeKeys(PLACE_KEY.load(data_dir), HOME_KEY.load(data_dir))
