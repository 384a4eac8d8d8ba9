"""NTAG213, NTAG215, NTAG216: type 2 tags of the NFC Forum (NXP data sheet NTAG213/215/216, rev. 3.2).

Promises the memory map, all commands, locks, password and counter of the data sheet, and its states: after a command
that it does not take the chip falls back to IDLE and is silent until it is selected again. Leaves out the mirrors of
UID and counter in ASCII (8.7, 8.8) and what needs a broken frame (NAK 1).
"""

from dataclasses import dataclass
from functools import reduce
from operator import xor

ACK, NAK_ARGUMENT, NAK_AUTHENTICATION = b"\x0a", b"\x00", b"\x04"  # 9.3, table 23
CASCADE_TAG = 0x88
PAGE_BYTES = 4


@dataclass(frozen=True)
class Size:
    """What differs between the three (8.5, figures 5 to 7; table 28). Pages are counted from 0."""

    product: str
    last_page: int
    user_end: int  # the first page after user memory: the dynamic lock bytes
    capacity: int  # third byte of the capability container
    storage: int  # seventh byte of GET_VERSION
    pages_per_lock: int  # that one dynamic lock bit covers


SIZES = {
    "NTAG213": Size("NTAG213", 0x2C, 0x28, 0x12, 0x0F, 2),
    "NTAG215": Size("NTAG215", 0x86, 0x82, 0x3E, 0x11, 16),
    "NTAG216": Size("NTAG216", 0xE6, 0xE2, 0x6D, 0x13, 16),
}


def with_check_bytes(uid: bytes) -> bytes:
    """A UID of 7 bytes as pages 0 to 2 hold it, with BCC0 and BCC1 (8.5.1): 9 bytes."""
    if len(uid) != 7:
        raise ValueError(f"an NTAG21x has a UID of 7 bytes, not {len(uid)}")
    return uid[:3] + bytes([reduce(xor, uid[:3], CASCADE_TAG)]) + uid[3:] + bytes([reduce(xor, uid[3:])])


class Model:
    """A tag as it comes from the factory; `signature` is what READ_SIG answers, 32 bytes."""

    atqa, sak, ats = b"\x00\x44", 0x00, None

    def __init__(self, uid: bytes, product: str = "NTAG213", signature: bytes = bytes(32)) -> None:
        self.uid, self.size, self.signature = uid, SIZES[product], signature
        self.memory = bytearray((self.size.last_page + 1) * PAGE_BYTES)
        self.memory[:16] = with_check_bytes(uid) + bytes([0x48, 0, 0, 0xE1, 0x10, self.size.capacity, 0])
        self.memory[16:20] = b"\x03\x00\xfe\x00"  # an empty NDEF message
        self._config = self.size.user_end + 1
        self.set_page(self._config, b"\x04\x00\x00\xff")  # AUTH0 behind the end: no password
        self.set_page(self._config + 1, b"\x00\x05\x00\x00")
        self.set_page(self._config + 2, b"\xff\xff\xff\xff")
        self.reads, self.refused_passwords = 0, 0
        self._listens = self._authenticated = self._counted = False
        self._second_half: int | None = None  # the page of a COMPATIBILITY_WRITE that has begun

    def page(self, number: int) -> bytes:
        return bytes(self.memory[number * PAGE_BYTES : (number + 1) * PAGE_BYTES])

    def set_page(self, number: int, data: bytes) -> None:
        """From behind: no lock, no password."""
        self.memory[number * PAGE_BYTES : (number + 1) * PAGE_BYTES] = data

    def set_ndef(self, message: bytes) -> None:
        """Lays an NDEF message into user memory, as a TLV with its end. Raises ValueError when it does not fit."""
        length = bytes([len(message)]) if len(message) < 0xFF else b"\xff" + len(message).to_bytes(2, "big")
        block = b"\x03" + length + message + b"\xfe"
        room = self.size.capacity * 8  # as the capability container tells readers
        if len(block) > room:
            raise ValueError(f"{len(block)} bytes do not fit into the {room} of an {self.size.product}")
        self.memory[16 : 16 + len(block)] = block

    def activate(self) -> None:
        self._listens, self._authenticated, self._second_half = True, False, None

    def away(self) -> None:
        self._listens = self._authenticated = self._counted = False

    def exchange(self, frame: bytes) -> bytes | None:
        if not self._listens or not frame:
            return None
        if self._second_half is not None:
            return self._end_compatibility_write(frame)
        answer = self._answer(frame)
        if answer is None or (len(answer) == 1 and answer != ACK):
            self._listens = self._authenticated = False
        return answer

    def _answer(self, frame: bytes) -> bytes | None:
        command, body = frame[0], frame[1:]
        if frame == b"\x50\x00":  # HLTA
            return None
        takes = {0x60: 0, 0x30: 1, 0x3A: 2, 0xA2: 5, 0xA0: 1, 0x39: 1, 0x1B: 4, 0x3C: 1}
        if takes.get(command) != len(body):
            return NAK_ARGUMENT
        match command:
            case 0x60:
                return bytes([0, 4, 4, 2, 1, 0, self.size.storage, 3])
            case 0x30:
                return self._read(body[0], body[0] + 3)
            case 0x3A:
                return self._fast_read(body[0], body[1])
            case 0xA2:
                return self._write(body[0], body[1:])
            case 0xA0:
                return self._begin_compatibility_write(body[0])
            case 0x39:
                return self._count(body[0])
            case 0x1B:
                return self._authenticate(body)
        return self.signature if body == b"\x00" else NAK_ARGUMENT

    # What may be read and written

    @property
    def _access(self) -> int:
        return self.page(self._config + 1)[0]

    def _guarded(self, page: int, bit: int) -> bool:
        """Whether the password is needed for this page (8.8): for writing, and with PROT for reading too."""
        protects = page >= self.page(self._config)[3]
        return protects and not self._authenticated and (bit == 0 or bool(self._access & bit))

    def _read(self, first: int, last: int) -> bytes:
        if first > self.size.last_page or self._guarded(first, 0x80):
            return NAK_ARGUMENT
        self._count_tap()
        return b"".join(self._shown(page) for page in range(first, last + 1))

    def _shown(self, page: int) -> bytes:
        """A page of an answer: it rolls over behind the last one that may be read (10.2); secrets read as zero."""
        end = self.size.last_page + 1
        if self._access & 0x80 and not self._authenticated:
            end = min(end, self.page(self._config)[3])
        page = page if page < end else page - end
        return bytes(4) if page >= self._config + 2 else self.page(page)

    def _fast_read(self, first: int, last: int) -> bytes:
        if first > last or last > self.size.last_page or self._guarded(last, 0x80):
            return NAK_ARGUMENT
        return self._read(first, last)

    def _write(self, page: int, data: bytes) -> bytes:
        if not 2 <= page <= self.size.last_page or self._guarded(page, 0) or self._locked(page):
            return NAK_ARGUMENT
        old = self.page(page)
        if page == 2:
            data = old[:2] + bytes(a | b for a, b in zip(old[2:], data[2:], strict=True))
        elif page in (3, self.size.user_end):
            data = bytes(a | b for a, b in zip(old, data, strict=True))
        self.set_page(page, data)
        return ACK

    def _locked(self, page: int) -> bool:
        """By the static lock bytes up to page 15, by the dynamic ones behind (8.5.2, 8.5.3), by CFGLCK (8.5.7)."""
        static = int.from_bytes(self.page(2)[2:], "little")
        if 3 <= page <= 15:
            return bool(static >> page & 1)
        if 16 <= page < self.size.user_end:
            dynamic = int.from_bytes(self.page(self.size.user_end)[:2], "little")
            return bool(dynamic >> ((page - 16) // self.size.pages_per_lock) & 1)
        return page in (self._config, self._config + 1) and bool(self._access & 0x40)

    def _begin_compatibility_write(self, page: int) -> bytes:
        if not 2 <= page <= self.size.last_page or self._guarded(page, 0) or self._locked(page):
            return NAK_ARGUMENT
        self._second_half = page
        return ACK

    def _end_compatibility_write(self, frame: bytes) -> bytes:
        page, self._second_half = self._second_half, None
        if page is None or len(frame) != 16:
            self._listens = False
            return NAK_ARGUMENT
        return self._write(page, frame[:4])

    # Counter and password

    def _count_tap(self) -> None:
        """The first READ or FAST_READ after power on (8.6), when NFC_CNT_EN is set."""
        if self._access & 0x10 and not self._counted:
            self.reads = min(self.reads + 1, 0xFFFFFF)
            self._counted = True

    def _count(self, number: int) -> bytes:
        if number != 2 or not self._access & 0x10 or (self._access & 0x08 and not self._authenticated):
            return NAK_ARGUMENT
        return self.reads.to_bytes(3, "little")

    def _authenticate(self, password: bytes) -> bytes:
        limit = self._access & 0x07
        if limit and self.refused_passwords >= limit:
            return NAK_AUTHENTICATION
        if password != self.page(self._config + 2):
            self.refused_passwords += 1
            return NAK_ARGUMENT
        self.refused_passwords, self._authenticated = 0, True
        return self.page(self._config + 3)[:2]
