"""A place's two key files, and the keys of its cards that are derived from them (wire/BADGES.md section 2).

Promises that a card's keys are computed from its number and UID each time: there is no table of keys to lose; and that
keys are read as they were meant whenever a change of `place.key` was cut off. Leaves pseudonyms and pair keys to
`balise_wire.places`, and the change itself to `new_key.py`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from balise_gateway.badges.cards.diversify import KEY_BYTES, diversify
from balise_gateway.badges.files import replace_file
from balise_gateway.errors import KeyFileError
from balise_gateway.keys import KeyFile
from balise_wire.envelope import Signer
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

NEXT_KEY = KeyFile(
    "place-next.key",
    "place's next key",
    "balise badge new-key",
    "remove it and make another one: balise badge new-key",
)
BOX_KEY = KeyFile(
    "place-box.key",
    "key that a place's box key is made of",
    "it is kept when place.key changes",
    _RESTORE.format("other places' lists cannot be opened: balise badge new-key --leaked makes a new one"),
)
CHANGE_FILE = "place-keys.json"


@dataclass(frozen=True)
class Old:
    """A public key of this place that signs nothing any more; its cards are good until this day (since 1970-01-01)."""

    public: bytes
    last_day: int


@dataclass(frozen=True)
class Change:
    """What is known of changes of `place.key`. `leaked_to`: the key that takes the place of one that leaked."""

    old: tuple[Old, ...] = ()
    leaked_to: bytes = b""
    changed_day: int | None = None

    def save(self, data_dir: Path) -> None:
        told = {
            "old": [{"public": each.public.hex(), "last_day": each.last_day} for each in self.old],
            "leaked_to": self.leaked_to.hex(),
            "changed_day": self.changed_day,
        }
        replace_file(data_dir / CHANGE_FILE, json.dumps(told, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, data_dir: Path) -> "Change":
        """Raises KeyFileError."""
        path = data_dir / CHANGE_FILE
        try:
            told = json.loads(path.read_bytes())
            old = tuple(Old(bytes.fromhex(each["public"]), int(each["last_day"])) for each in told["old"])
            return cls(old, bytes.fromhex(told["leaked_to"]), told["changed_day"])
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KeyFileError(f"{path}: cannot be read ({error}); restore it from your backup") from error


class ChangingSigner(Signer):
    """A signer whose key can change: whoever holds it signs with the new one from then on."""

    def change_to(self, seed: bytes) -> None:
        super().__init__(seed)


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
    """All keys of a place: those of `PlaceKeys`, and those of its cards.

    `box_seed`: what the box key is derived from, where that is not `place_seed`. `old` are public keys that signed
    cards before, which are good still.
    """

    signer: ChangingSigner

    def __init__(self, place_seed: bytes, home_seed: bytes, box_seed: bytes = b"", old: tuple[bytes, ...] = ()) -> None:
        super().__init__(place_seed, home_seed, box_seed)
        self.signer, self.old = ChangingSigner(place_seed), old
        self._sun_meta = derive(home_seed, b"balise sun meta", KEY_BYTES)
        self._sun_file = derive(home_seed, b"balise sun file", KEY_BYTES)

    @property
    def sign_keys(self) -> tuple[bytes, ...]:
        """The public keys that sign this place's cards: the newest first."""
        return (self.signer.public_key, *self.old)

    def change_to(self, place_seed: bytes, box_seed: bytes, old: tuple[bytes, ...]) -> None:
        """Takes another `place.key` while it is used; `home.key` stays."""
        self._set_box(box_seed or place_seed)
        self.signer.change_to(place_seed)
        self.old = old

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
    PLACE_KEY.load_or_make(data_dir)
    HOME_KEY.load_or_make(data_dir)
    return load(data_dir)


def load(data_dir: Path) -> HomeKeys:
    """The keys of a place that has them. Raises KeyFileError."""
    place_seed, box_seed, old = load_place(data_dir)
    return HomeKeys(place_seed, HOME_KEY.load(data_dir), box_seed, old)


def load_place(data_dir: Path) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """The seed, what the box key is made of, and old public keys. Raises KeyFileError."""
    seed, change = PLACE_KEY.load(data_dir), Change.load(data_dir)
    public = Signer(seed).public_key
    if change.leaked_to == public:  # it is in place already; what else lies there was not cleared away yet
        return seed, b"", ()
    box_seed = BOX_KEY.load(data_dir) if (data_dir / BOX_KEY.name).exists() else b""
    return seed, box_seed, tuple(each.public for each in change.old if each.public != public)
