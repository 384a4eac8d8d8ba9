"""One card on a reader, made a card of this home in one of three grades.

Promises that the number is decided and asked for before anything is written, and that what was written was read back.
Leaves the register to its caller.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from balise_gateway.badges.cards import ev2, ntag21x
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.originality import is_original
from balise_gateway.badges.cards.personalise import address_on, personalise
from balise_gateway.badges.readers import Chip
from balise_gateway.errors import CardRefused
from balise_wire import card


@dataclass(frozen=True)
class Wanted:
    """What the card shall be. Without `number` it keeps the one that stands on it, or gets `spare`."""

    home: str
    grade: int
    spare: str = field(repr=False)
    number: str = field(default="", repr=False)
    last_day: int = 0  # of grade 1
    lock: bool = False  # only an NTAG21x: read-only for ever


@dataclass(frozen=True)
class Written:
    """What it is. `counter` is that of the message which was read to check a card of grade 2.

    `grade` None: nobody looked at the card. `last_day` is the one that stands on it.
    """

    number: str = field(repr=False)
    uid: bytes = field(repr=False)
    counter: int | None = None
    is_reset: bool = False  # the chip counts its readings from 0 again
    grade: int | None = None
    last_day: int | None = None


def write(
    chip: Chip,
    keys: HomeKeys,
    wanted: Wanted,
    may_issue: Callable[[str], None],
    on_step: Callable[[str], None] = lambda step: None,
) -> Written:
    """Writes the card; `may_issue` raises when the number cannot be given out. Raises CardLost, CardRefused."""
    if wanted.grade == 2 and chip.kind != "NTAG424":
        raise CardRefused(f"a card of grade 2 is an NTAG 424 DNA, this is {chip.kind or 'another kind of chip'}")
    if wanted.lock and not chip.kind.startswith("NTAG21"):
        raise CardRefused(f"only an NTAG213, 215 or 216 can be locked, this is {chip.kind or 'another kind of chip'}")
    number = _number(chip, wanted)
    may_issue(number)
    if wanted.grade == 2:
        made = personalise(chip, keys, wanted.home, number, on_step)
        return Written(made.number, made.uid, made.counter, not made.was_begun, grade=2)
    url = card.home_url(wanted.home, number)
    record = card.sign_record(keys.signer, wanted.home, number, wanted.last_day, chip.uid) if wanted.grade else b""
    on_step("address" if not record else "address and signature")
    ntag21x.write(chip, card.message(url, record), lock=wanted.lock)
    return Written(number, chip.uid, grade=wanted.grade, last_day=wanted.last_day if record else None)


def is_genuine(chip: Chip) -> bool | None:
    """Whether NXP signed this chip's UID; None when the chip has no such signature."""
    if chip.kind.startswith("NTAG21"):
        signature = ntag21x.signature(chip)
    elif chip.kind == "NTAG424":
        signature = ev2.signature(chip)
    else:
        return None
    return is_original(chip.uid, signature) if signature else None


def _number(chip: Chip, wanted: Wanted) -> str:
    address = address_on(chip, wanted.home)
    stands = address.number if address else ""
    if wanted.grade == 2 and wanted.number and stands not in ("", wanted.number):
        raise CardRefused(
            f"this chip is card {card.printed(stands)} and stays it, because its keys depend on the number; "
            "leave --number out, or use a new card"
        )
    return wanted.number or stands or wanted.spare
