"""A new `place.key`: made, told to who keeps the table, and signed with once the table in force names it.

Promises that a change which is cut off at any step is finished by the next look, that the old key signs until the new
one is known, and that after a leak nothing of the old key is left. The box key stays the same, unless the key has
leaked: a new one would close every list that is under way. Leaves the table's entry to the command, and when to look to
`records.py`.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from balise_gateway.badges.cards.keys import (
    BOX_KEY,
    CHANGE_FILE,
    NEXT_KEY,
    PLACE_KEY,
    Change,
    HomeKeys,
    Old,
    load_place,
)
from balise_gateway.badges.register import Card
from balise_gateway.disk import sync_folder
from balise_gateway.errors import KeyFileError
from balise_gateway.log import event
from balise_wire.envelope import Signer
from balise_wire.places import PlaceKeys, Table

LOCK_FILE = "place-keys.lock"
KNOWN_AFTER_S = 86_400  # so long after a table was signed all places that are on line have it
KEPT_DAYS = 365  # an agreement and bills are signed too, and partners' configurations name the old key


@dataclass(frozen=True)
class Told:
    """What the table must name for this place."""

    sign: tuple[bytes, ...]
    box: bytes


@dataclass(frozen=True)
class Scene:
    """What a change depends on: the table in force (None: there is none here), the time, the cards that count.

    `is_alone`: the place takes part in no federation, so nobody has to be told.
    """

    place: str
    table: Table | None
    utc_s: int | None
    is_alone: bool = False


def begin(data_dir: Path, *, leaked: bool) -> None:
    """Makes the next key, or keeps the one that was made. A leak is never taken back. Raises KeyFileError."""
    with _alone(data_dir):
        PLACE_KEY.load(data_dir)
        change = Change.load(data_dir)
        if not leaked and not change.leaked_to:
            NEXT_KEY.load_or_make(data_dir)
            return
        if not waits(data_dir) or Signer(NEXT_KEY.load(data_dir)).public_key != change.leaked_to:
            (data_dir / NEXT_KEY.name).unlink(missing_ok=True)  # it lay beside the key that leaked
            replace(change, leaked_to=Signer(NEXT_KEY.load_or_make(data_dir)).public_key).save(data_dir)


def waits(data_dir: Path) -> bool:
    """Whether a next key waits for its table."""
    return (data_dir / NEXT_KEY.name).exists()


def marks(data_dir: Path) -> object:
    """Another one whenever a key of the place was put in its place."""
    found = []
    for name in (PLACE_KEY.name, CHANGE_FILE):
        path = data_dir / name
        told = path.stat() if path.exists() else None
        found.append(None if told is None else (told.st_ino, told.st_mtime_ns))
    return found


def is_leak(data_dir: Path) -> bool:
    """Whether the key that is changed has leaked."""
    return bool(Change.load(data_dir).leaked_to)


def told(data_dir: Path, today: int) -> Told:
    """What the table must name from now on: with a next key, as it is after the change."""
    seed, box_seed, old = load_place(data_dir)
    change = Change.load(data_dir)
    good = {each.public for each in change.old if each.last_day >= today}
    kept = tuple(public for public in old if public in good)
    box = _box(box_seed or seed)
    if not waits(data_dir):
        return Told((Signer(seed).public_key, *kept), box)
    new = NEXT_KEY.load(data_dir)
    if change.leaked_to:
        return Told((Signer(new).public_key,), _box(new))
    return Told((Signer(new).public_key, Signer(seed).public_key, *kept), box)


def look(data_dir: Path, keys: HomeKeys, scene: Scene, cards: Callable[[], Iterator[Card]]) -> bool:
    """Makes the change if it is time, and lets `keys` be what the files say. True when it was. Raises KeyFileError."""
    done = False
    if waits(data_dir) or is_leak(data_dir):
        with _alone(data_dir):
            done = _finish(data_dir, scene, cards)
    seed, box_seed, old = load_place(data_dir)
    is_new = Signer(seed).public_key != keys.signer.public_key
    if is_new or old != keys.old:
        keys.change_to(seed, box_seed, old)
    if is_new:
        event("place key changed", kid=keys.signer.kid.hex())
    return done or is_new


def _finish(data_dir: Path, scene: Scene, cards: Callable[[], Iterator[Card]]) -> bool:
    """Each step may be the last before a power cut; whoever looks next goes on from there."""
    change, seed = Change.load(data_dir), PLACE_KEY.load(data_dir)
    today = scene.utc_s // 86_400 if scene.utc_s is not None else None
    public = Signer(seed).public_key
    if change.leaked_to == public:
        _clear(data_dir, today)
        return True
    if not waits(data_dir):
        return False
    new = Signer(NEXT_KEY.load(data_dir)).public_key
    if not _is_time(scene, public, new, is_leak=bool(change.leaked_to)):
        return False
    if change.leaked_to:
        _put(data_dir)
        _clear(data_dir, today)
        return True
    if not (data_dir / BOX_KEY.name).exists():
        os.link(data_dir / PLACE_KEY.name, data_dir / BOX_KEY.name)
    last_day = max([card.last_day or 0 for card in cards() if _is_signed(card)] + [(today or 0) + KEPT_DAYS])
    others = tuple(each for each in change.old if each.public != public)
    Change((Old(public, last_day), *others), b"", today).save(data_dir)
    _put(data_dir)
    return True


def _put(data_dir: Path) -> None:
    for name in (NEXT_KEY.name, PLACE_KEY.name):  # what a key file leaves that was cut off while it was made
        (data_dir / f"{name}.new").unlink(missing_ok=True)
    os.replace(data_dir / NEXT_KEY.name, data_dir / PLACE_KEY.name)
    sync_folder(data_dir)


def _clear(data_dir: Path, today: int | None) -> None:
    """After a leak: no old key, and the box key of the new one."""
    (data_dir / BOX_KEY.name).unlink(missing_ok=True)
    sync_folder(data_dir)
    Change(changed_day=today).save(data_dir)


def _is_time(scene: Scene, old: bytes, new: bytes, *, is_leak: bool) -> bool:
    if scene.is_alone:
        return True
    entry = scene.table.by_id.get(scene.place) if scene.table is not None else None
    if scene.table is None or entry is None or new not in entry.sign:
        return False
    if is_leak or old not in entry.sign:
        return True  # what the old key signs is refused by whoever has this table
    return scene.utc_s is not None and scene.utc_s >= scene.table.utc_s + KNOWN_AFTER_S


def _is_signed(card: Card) -> bool:
    return card.grade == 1 and card.state in ("active", "blank", "lost")


def _box(seed: bytes) -> bytes:
    return PlaceKeys(seed, seed).box_public


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """A command and a gateway do not change keys at the same moment."""
    try:
        handle = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyFileError(f"{data_dir / LOCK_FILE}: {error.strerror}; is the folder there, and yours?") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
