"""Writing to an NTAG213, 215 or 216: a card of grade 0 or 1, and locking it for good.

Promises that nothing is locked before what was written was read back. Leaves NDEF's place on the chip to the reader's
`Chip`. Source: NXP NTAG213/215/216 data sheet rev. 3.2, sections 8.5.2, 8.5.3 and 10.
"""

from dataclasses import dataclass

from balise_gateway.badges.readers import Chip
from balise_gateway.errors import CardRefused

GET_VERSION, READ, WRITE, READ_SIG = 0x60, 0x30, 0xA2, 0x3C
ACK = b"\x0a"
SIGNATURE_BYTES = 32
_PAGE_BYTES, _UID_END_PAGE, _CC_PAGE = 4, 2, 3
_READ_ONLY = 0x0F


@dataclass(frozen=True)
class _Locks:
    page: int
    bytes: bytes  # every lock bit and every bit that locks the lock bits; bits without use stay 0


_LOCKS = {  # by the storage size of GET_VERSION; figures 9 to 11
    0x0F: _Locks(0x28, b"\xff\x0f\x3f\x00"),
    0x11: _Locks(0x82, b"\xff\x00\x0f\x00"),
    0x13: _Locks(0xE2, b"\xff\x3f\x7f\x00"),
}


def write(chip: Chip, message: bytes, *, lock: bool) -> None:
    """Writes the message, reads it back, and with `lock` makes the chip read-only for ever.

    A card that was torn away while it was locked holds the message already: then only the rest of it is locked.
    """
    if not lock or chip.read_ndef() != message:
        chip.write_ndef(message)
    if chip.read_ndef() != message:
        raise CardRefused("what the card says is not what was written; lay it down again and repeat")
    if lock:
        _lock(chip)


def signature(chip: Chip) -> bytes:
    """NXP's signature of the UID; empty when the chip has none."""
    answer = chip.send(bytes([READ_SIG, 0]))
    return answer if len(answer) == SIGNATURE_BYTES else b""


def _lock(chip: Chip) -> None:
    version = chip.send(bytes([GET_VERSION]))
    locks = _LOCKS.get(version[6]) if len(version) == 8 else None
    if locks is None:
        raise CardRefused("this chip is no NTAG213, 215 or 216: it was written, but not locked")
    pages = chip.send(bytes([READ, 0]))
    if len(pages) != 4 * _PAGE_BYTES:
        raise CardRefused("the card was written, but cannot be read to lock it; lay it down again and repeat")
    container = pages[_CC_PAGE * _PAGE_BYTES : (_CC_PAGE + 1) * _PAGE_BYTES]
    kept = pages[_UID_END_PAGE * _PAGE_BYTES : _UID_END_PAGE * _PAGE_BYTES + 2]
    if pages[_UID_END_PAGE * _PAGE_BYTES + 2 : (_UID_END_PAGE + 1) * _PAGE_BYTES] == b"\xff\xff":
        return  # these lock bytes are written last: all others are locked already
    # The static lock bytes are last: they lock the capability container, which phones ask whether they may write.
    _write_page(chip, _CC_PAGE, container[:3] + bytes([container[3] | _READ_ONLY]))
    _write_page(chip, locks.page, locks.bytes)
    _write_page(chip, _UID_END_PAGE, kept + b"\xff\xff")


def _write_page(chip: Chip, page: int, data: bytes) -> None:
    if chip.send(bytes([WRITE, page]) + data) != ACK:
        raise CardRefused(f"the card refuses to be locked at page {page}; it was written, and may be locked in part")
