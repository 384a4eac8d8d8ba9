"""An NTAG 424 DNA becomes a card of grade 2: URL, keys, secure messages; checked by reading one.

Promises that whenever it stops, running it again finishes it: the number stands readable on the chip before any key is
changed, key versions say which keys are done, and the application master key is changed last. Leaves the register to
its caller. Sources: NXP NT4H2421Gx rev. 3.0 section 10, AN12196 section 5.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from balise_gateway.badges.cards import ev2, sun
from balise_gateway.badges.cards.diversify import KEY_BYTES
from balise_gateway.badges.cards.ev2 import ChipStatus, Session
from balise_gateway.badges.cards.keys import CARD_KEYS, FILE_KEY, MASTER_KEY, META_KEY, HomeKeys
from balise_gateway.badges.readers import Chip
from balise_gateway.errors import CardRefused, PaperError
from balise_wire import card
from balise_wire.errors import WireError

FACTORY_KEY, FACTORY_VERSION, OUR_VERSION = bytes(KEY_BYTES), 0, 1
_NDEF_FILE, _LENGTH_BYTES = 2, 2  # the message's own length stands before it in the file
_WITH_SDM, _PLAIN = 0x40, 0x00
_UID_COUNTER_ASCII = 0xC1
_READ_BY_ALL_WRITE_BY_MASTER = bytes([0x00, 0xE0])
_NEVER = 0xF


@dataclass(frozen=True)
class Personalised:
    """What the chip now is. `counter` is of the message that was read to check it."""

    number: str = field(repr=False)
    uid: bytes = field(repr=False)
    counter: int
    was_begun: bool  # by an earlier run, which stopped half-way or had finished


def address_on(chip: Chip, home: str) -> card.Address | None:
    """What the chip says, if it is a card of this home."""
    message = chip.read_ndef()
    try:
        address = card.parse_address(card.read_message(message)[0]) if message else None
    except WireError:
        return None  # something else stands on it: not a card of ours
    return address if address is not None and address.home == home else None


def personalise(
    chip: Chip, keys: HomeKeys, home: str, number: str, on_step: Callable[[str], None] = lambda step: None
) -> Personalised:
    """Makes this chip the card `number`, or finishes what an earlier run began; then the number is the earlier one.

    Raises CardLost when the card goes away (run it again), CardRefused when the chip is somebody else's.
    """
    begun = address_on(chip, home)
    number = begun.number if begun else number
    theirs = keys.card_keys(number, chip.uid).keys
    session, is_ours = _opened(chip, theirs[MASTER_KEY])
    if not is_ours:
        has_template = begun is not None and begun.has_sun  # zeros, until the chip fills them in
        _refuse_foreign(session, is_begun=has_template)
        if not has_template:
            on_step("address")
            chip.write_ndef(card.sun_template(card.home_url(home, number)).message)
            session = ev2.authenticate(chip, MASTER_KEY, FACTORY_KEY)
        _change_keys(session, theirs, on_step)
        on_step("messages")
        session.full_command(ev2.CHANGE_FILE_SETTINGS, bytes([_NDEF_FILE]), _settings(home, number), "set up messages")
        on_step("master key")
        new = theirs[MASTER_KEY] + bytes([OUR_VERSION])
        session.full_command(ev2.CHANGE_KEY, bytes([MASTER_KEY]), new, "change the master key")
    on_step("check")
    return Personalised(number, chip.uid, _check(chip, keys, home, number), begun is not None)


def _opened(chip: Chip, master: bytes) -> tuple[Session, bool]:
    """A session under the master key, and whether that key is ours already."""
    for key, is_ours in ((FACTORY_KEY, False), (master, True)):
        try:
            return ev2.authenticate(chip, MASTER_KEY, key), is_ours
        except ChipStatus as error:
            if error.status != ev2.AUTHENTICATION_ERROR:
                raise
    raise CardRefused(
        "neither the factory's key nor ours opens this chip: it belongs to another system, or it was made with another "
        "home.key; use a new card"
    )


def _refuse_foreign(session: Session, is_begun: bool) -> None:
    changed = [which for which in range(CARD_KEYS) if _version(session, which) != FACTORY_VERSION]
    if changed and not is_begun:
        raise CardRefused(
            f"keys {', '.join(map(str, changed))} of this chip were changed by another system; use a new card"
        )


def _version(session: Session, which: int) -> int:
    answer = session.mac_command(ev2.KEY_VERSION, bytes([which]), "tell a key's version")
    return answer[0] if answer else FACTORY_VERSION


def _change_keys(session: Session, theirs: tuple[bytes, ...], on_step: Callable[[str], None]) -> None:
    """Keys 1 to 4, as far as they are the factory's. The chip wants a new key mixed with the old (section 10.6.1)."""
    for which in range(1, CARD_KEYS):
        if _version(session, which) != FACTORY_VERSION:
            continue
        on_step(f"key {which}")
        mixed = bytes(a ^ b for a, b in zip(theirs[which], FACTORY_KEY, strict=True))
        check = (zlib.crc32(theirs[which]) ^ 0xFFFFFFFF).to_bytes(4, "little")
        session.full_command(ev2.CHANGE_KEY, bytes([which]), mixed + bytes([OUR_VERSION]) + check, "change a key")


def _settings(home: str, number: str) -> bytes:
    """ChangeFileSettings (section 10.7.1): who reads and writes, and where in the file the chip fills in what."""
    made = card.sun_template(card.home_url(home, number))
    picc, cmac = (
        (_LENGTH_BYTES + offset).to_bytes(3, "little") for offset in (made.picc_data_offset, made.cmac_offset)
    )
    rights = bytes([0xF0 | _NEVER, META_KEY << 4 | FILE_KEY])  # nobody asks for the counter alone
    # The input of the CMAC begins where the CMAC stands: it covers UID and counter, which are in its key, and no text.
    return (
        bytes([_WITH_SDM | _PLAIN])
        + _READ_BY_ALL_WRITE_BY_MASTER
        + bytes([_UID_COUNTER_ASCII])
        + rights
        + (picc + cmac + cmac)
    )


def _check(chip: Chip, keys: HomeKeys, home: str, number: str) -> int:
    """Reads the card as a reader does: its message must be what the home will accept."""
    ev2.select_application(chip)  # ends the session: in one, the chip shows the template
    uri, _ = card.read_message(chip.read_ndef())
    try:
        address = card.parse_address(uri)
        tap = sun.open_picc_data(keys.sun_meta_key(number), address.picc_data)
        sun.check(keys.card_keys(number, chip.uid).file, tap, address.cmac)
    except (WireError, PaperError) as error:
        raise CardRefused(f"the card was written, but what it says does not hold ({error}); try once more") from error
    if (address.home, address.number, tap.uid) != (home, number, chip.uid):
        raise CardRefused("the card was written, but it says another number or UID; try once more")
    return tap.counter
