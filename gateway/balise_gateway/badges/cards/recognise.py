"""From what a reader saw to what it proves: whose card, which, how well, and what is wrong with it.

Promises that a claim's grade is what is proved now and here: a signature that does not hold, or a message shown twice,
is named and never lowered to a plain UID in silence; only the first message of a card after a restored backup counts
as grade 0, since nobody knows whether it is new, and one whose counter the disk does not take. Leaves whether the card
is listed or revoked to the desk, and SUN messages of other homes to those homes.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from balise_gateway.badges.cards import sun
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.seen import Seen, Via
from balise_gateway.badges.showing import Reason
from balise_gateway.errors import BadgeError, PaperError
from balise_gateway.log import event
from balise_wire import card
from balise_wire.errors import WireError

# (number, UID, reading counter) of a card: "" when it is new, and then it is remembered and will not be new again;
# else why not. `Register.take_counter` is one.
TakeCounter = Callable[[str, bytes, int], Literal["", "unsure", "replay", "revoked"]]
# (number, UID): whether this chip can be this card. `Register.fits` is one.
Fits = Callable[[str, bytes], bool]
NO_UID = b""
_COUNTER_FAULTS = {
    "replay": "this message of the card was shown before",
    "revoked": "the number lives on in another chip",
    "unsure": "the register was restored from a backup: this message may have been shown before; the next one counts",
}
_SUN_FAULTS: dict[str, Reason] = {"signature": "signature", "replay": "replay", "revoked": "revoked"}


@dataclass(frozen=True)
class Claim:
    """What a card that was shown says and proves. `home` is None when the card does not say whose it is."""

    home: str | None
    number: str = field(default="", repr=False)
    uid: bytes = field(default=NO_UID, repr=False)
    grade: Literal[0, 1, 2] = 0
    via: Via = "card"
    sun: card.Address | None = field(default=None, repr=False)  # to be verified by its home, later
    last_day: int | None = None  # days since 1970-01-01; only of a record whose signature holds
    wrong: Reason = ""
    is_day_known: bool = True  # False: the record has a last day, and nobody knows what day it is


@dataclass(frozen=True)
class Places:
    """What is known of the others. `sign_keys` gives the keys that sign a home's cards, our own too.

    Empty for a stranger.
    """

    sign_keys: Callable[[str], Collection[bytes]]
    prefixes: Mapping[str, str] = field(default_factory=dict)  # of the table of places: prefix to home


@dataclass(frozen=True)
class Own:
    """This place as a home: it alone can verify its SUN messages, and knows which chip a card of its own is."""

    place: str
    keys: HomeKeys = field(repr=False)
    take_counter: TakeCounter
    fits: Fits = lambda number, uid: True


def recognise(seen: Seen, places: Places, own: Own | None, today: int | None) -> Claim:
    """What this proves. `today` is the day since 1970-01-01, None when the clock cannot be trusted. Never raises."""
    plain = Claim(None, uid=seen.uid, via=seen.via)
    if not seen.uri:
        return plain if seen.uid else replace(plain, wrong="unreadable")
    try:
        address = card.parse_address(seen.uri)
    except WireError:
        # A transport card or a supermarket's tag may be a member's card all the same: then its UID is known.
        return plain if seen.uid else replace(plain, wrong="unreadable")
    home = address.home or places.prefixes.get(address.prefix) or None
    claim = replace(plain, home=home, number=address.number)
    record = next((payload for name, payload in seen.records if name == card.RECORD_TYPE), None)
    if seen.via != "card":
        return claim  # a picture or a typed text proves nothing, whatever it says
    if address.has_sun:
        return _by_sun(claim, address, own)
    if own is not None and home == own.place and not own.fits(claim.number, claim.uid):
        return replace(claim, wrong="signature")  # the number of a card of ours, on another chip
    if record is None or home is None:
        return claim
    return _by_record(claim, record, places.sign_keys(home), today)


def verify_sun(own: Own, number: str, picc_data: bytes, cmac: bytes, seen_uid: bytes = NO_UID) -> sun.Tap:
    """The tap of a card of ours, here or as another place hands it on.

    PaperError: "signature", "replay", "revoked"; "unsure": nobody knows whether it is new (`Register.take_counter`).
    """
    tap = proved(own.keys, number, picc_data, cmac)
    if seen_uid and seen_uid != tap.uid:
        raise PaperError("signature", "the card's message is of another chip than the one on the reader")
    if refused := own.take_counter(number, tap.uid, tap.counter):
        raise PaperError(refused, _COUNTER_FAULTS[refused])
    return tap


def proved(keys: HomeKeys, number: str, picc_data: bytes, cmac: bytes) -> sun.Tap:
    """The tap of a card of ours, new or not. Raises PaperError ("signature")."""
    tap = sun.open_picc_data(keys.sun_meta_key(number), picc_data)
    sun.check(keys.card_keys(number, tap.uid).file, tap, cmac)
    return tap


def _by_sun(claim: Claim, address: card.Address, own: Own | None) -> Claim:
    if own is None or address.home != own.place:
        return replace(claim, sun=address)
    # A chip set to random UIDs tells readers four bytes that mean nothing; the message has the true one.
    uid = claim.uid if len(claim.uid) == sun.UID_BYTES else NO_UID
    try:
        tap = verify_sun(own, address.number, address.picc_data, address.cmac, uid)
    except PaperError as error:
        return claim if error.reason == "unsure" else replace(claim, wrong=_SUN_FAULTS[error.reason])
    except BadgeError as error:  # the disk refuses: nobody will know later that this message was shown
        event("card's counter not kept", why=error)
        return claim
    return replace(claim, uid=tap.uid, grade=2)


def _by_record(claim: Claim, record: bytes, keys: Collection[bytes], today: int | None) -> Claim:
    if not keys:
        return claim  # a stranger's: nothing can be said about its signature
    try:
        last_day = card.verify_record(record, keys, str(claim.home), claim.number, claim.uid)
    except WireError:
        return replace(claim, wrong="signature")
    claim = replace(claim, last_day=last_day, grade=1, is_day_known=today is not None)
    return replace(claim, wrong="expired") if today is not None and last_day < today else claim
