"""The card on a reader, taken as it is: its number, and the grade that it proves now.

Promises that a card which says it is signed and is not is refused, and that the number on a chip of ours is that chip's
and no other's. Leaves writing to `writing.py`, and the register to its caller.
"""

from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.recognise import proved
from balise_gateway.badges.cards.writing import Wanted, Written
from balise_gateway.badges.readers import Chip
from balise_gateway.badges.register import Register
from balise_gateway.errors import CardRefused, PaperError
from balise_wire import card
from balise_wire.card import Address
from balise_wire.errors import WireError

_DOES_NOT_HOLD = "this card says that it is signed, and that does not hold; write it: --grade {} --write READER"


def as_it_is(chip: Chip, keys: HomeKeys, wanted: Wanted, register: Register) -> Written:
    """Which card this is. Raises CardRefused, CardLost."""
    address, record = _said(chip, wanted.home)
    known = register.by_uid(chip.uid)
    stands = address.number if address else known.number if known and known.state == "blank" else ""
    if stands and wanted.number not in ("", stands):
        raise CardRefused(f"this is card {card.printed(stands)}; leave --number out, or lay down another card")
    if address is None:
        return Written(stands or wanted.number or wanted.spare, chip.uid, grade=0)
    if not register.fits(stands, chip.uid):
        raise CardRefused("the number of another card of ours stands on this chip: a copy? Use a new card")
    if address.has_sun:
        return _of_grade_2(chip, keys, address)
    return _of_grade_1(chip, keys, address, record) if record else Written(stands, chip.uid, grade=0)


def _said(chip: Chip, home: str) -> tuple[Address | None, bytes]:
    """The address and the signed record of a card of this home."""
    try:
        message = chip.read_ndef()
    except CardRefused:  # it needs a password, or is no tag for messages: a transport card, known by its UID
        return None, b""
    try:
        uri, records = card.read_message(message)
        address = card.parse_address(uri)
    except WireError:
        return None, b""  # something else stands on it: it is known by its UID
    if address.home != home:
        return None, b""
    return address, next((payload for name, payload in records if name == card.RECORD_TYPE), b"")


def _of_grade_1(chip: Chip, keys: HomeKeys, address: Address, record: bytes) -> Written:
    try:
        last_day = card.verify_record(record, keys.sign_keys, address.home, address.number, chip.uid)
    except WireError as error:
        raise CardRefused(_DOES_NOT_HOLD.format(1)) from error
    return Written(address.number, chip.uid, grade=1, last_day=last_day)


def _of_grade_2(chip: Chip, keys: HomeKeys, address: Address) -> Written:
    try:
        tap = proved(keys, address.number, address.picc_data, address.cmac)
    except PaperError as error:
        raise CardRefused(_DOES_NOT_HOLD.format(2)) from error
    if tap.uid != chip.uid:
        raise CardRefused(_DOES_NOT_HOLD.format(2))
    return Written(address.number, chip.uid, tap.counter, grade=2)
