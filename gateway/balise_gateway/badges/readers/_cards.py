"""What is on a card, whichever reader it lies on: NDEF messages of type 2 and type 4 tags, product, NXP's signature.

Promises bounded work whatever a card answers: it is a stranger's. A card that falls silent is lost (CardLost), one that
says no refuses (CardRefused). Leaves the air to a `Link`, and what is in a message to `_ndef.py`. Sources: NFC Forum
Type 2 Tag 1.2 and Type 4 Tag 2.0; NXP NTAG213/215/216 rev. 3.2, chapter 10; NXP NT4H2421Gx rev. 3.0, chapter 10.
"""

from typing import Protocol

from balise_gateway.errors import CardLost, CardRefused

PAGE_BYTES, READ_PAGES, FAST_PAGES = 4, 4, 32
_READ, _FAST_READ, _WRITE, _GET_VERSION, _READ_SIG = 0x30, 0x3A, 0xA2, 0x60, 0x3C
_NULL, _MESSAGE, _END = 0x00, 0x03, 0xFE  # TLV, T2T 2.3; others have a length, and are gone over
_MAGIC = 0xE1
_OK, _MORE = b"\x90\x00", b"\x91\xaf"
_NDEF_APP = bytes.fromhex("d2760000850101")
_CAPABILITIES = 0xE103
_CHUNK_BYTES = 0xE0  # of READ BINARY: fits into the frames of every reader
MOST_BYTES = 4096  # of a message; ours have fewer than 300
MOST_PAGES = 256  # READ and FAST_READ name a page by one byte
MOST_CHUNKS = 128  # in which a type 4 card may give its message
_NTAG21X = {0x0F: "NTAG213", 0x11: "NTAG215", 0x13: "NTAG216"}


class Link(Protocol):
    """The way to one card that has been selected."""

    uid: bytes
    is_iso: bool  # speaks ISO 14443-4: APDUs; otherwise commands of type 2 tags
    has_raw: bool  # whether commands beyond READ and WRITE get through to a type 2 tag

    def exchange(self, command: bytes) -> bytes:
        """The answer. Raises CardLost at silence."""
        ...

    def reselect(self) -> None:
        """The same card again, after it fell silent. Raises CardLost."""
        ...


class Card:
    """A `Chip`: what is on the card at the other end of a link."""

    def __init__(self, link: Link, is_classic: bool = False) -> None:
        self._link, self.uid, self.kind = link, link.uid, ""
        self._tag: Type2 | Type4 | Classic = Classic() if is_classic else Type4(link) if link.is_iso else Type2(link)

    def __repr__(self) -> str:
        return f"<{self.kind or 'card'}>"

    def look(self) -> None:
        """Finds out the product."""
        self.kind = self._tag.product()

    def read_ndef(self) -> bytes:
        return self._tag.read()

    def write_ndef(self, message: bytes) -> None:
        if len(message) > MOST_BYTES:
            raise CardRefused(f"a message of {len(message)} bytes is too long for any card")
        self._tag.write(message)
        if self._tag.read() != message:
            raise CardRefused("the card does not hold what was written; is it worn out? Take another one")

    def send(self, command: bytes) -> bytes:
        return self._link.exchange(command)

    def originality(self) -> bytes:
        """NXP's signature of the UID; empty when this chip has none."""
        return self._tag.originality()


class Classic:
    """MIFARE Classic: nothing is read but its UID."""

    def product(self) -> str:
        return "MIFARE Classic"

    def originality(self) -> bytes:
        return b""

    def read(self) -> bytes:
        return b""

    def write(self, message: bytes) -> None:
        raise CardRefused("a MIFARE Classic is not written: take an NTAG213, 215, 216 or 424")


class Type2:
    """Tags with pages of four bytes: NTAG21x, MIFARE Ultralight."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._is_fast = False

    def product(self) -> str:
        """Asked first: a tag without GET_VERSION falls silent, and is selected again."""
        answer = self._asked(bytes([_GET_VERSION]))
        if len(answer) != 8 or answer[1] != 0x04:  # NXP
            return ""
        self._is_fast = True
        if answer[2] == 0x04:
            return _NTAG21X.get(answer[6], "") if answer[4] == 1 else ""
        return "MIFARE Ultralight" if answer[2] == 0x03 else ""

    def originality(self) -> bytes:
        answer = self._asked(bytes([_READ_SIG, 0])) if self._is_fast else b""
        return answer if len(answer) == 32 else b""

    def read(self) -> bytes:
        capabilities = self._pages(3, 1)
        size = self._size(capabilities)
        if not size:
            return b""
        memory = self._pages(4, READ_PAGES)
        at, start, length = _message_in(memory, size)
        if start < 0 and at < size:  # other TLVs stand before it, and fill the first pages
            memory = self._upto(memory, min(size, at + 64))
            at, start, length = _message_in(memory, size)
        if start < 0 or length > min(size, MOST_BYTES) or start + length > size:
            return b""
        return self._upto(memory, start + length)[start : start + length]

    def write(self, message: bytes) -> None:
        """First a length of zero, then what is behind it, then the length (T2T 2.4.6): a card torn away is empty."""
        capabilities = self._pages(3, 1)
        size = self._size(capabilities)
        if not size:
            raise CardRefused("the card is not formatted for NDEF messages: take an NTAG213, 215 or 216")
        if capabilities[3] & 0x0F:
            raise CardRefused("the card is locked: nothing can be written to it")
        memory = self._upto(self._pages(4, READ_PAGES), min(size, 64))
        at, start, _ = _message_in(memory, size)
        head = memory[: at if start >= 0 or at < len(memory) else 0]
        length = bytes([len(message)]) if len(message) < 0xFF else b"\xff" + len(message).to_bytes(2, "big")
        whole = head + bytes([_MESSAGE]) + length + message
        if len(whole) > size:
            raise CardRefused(f"no room: the message needs {len(whole)} bytes, the card has {size}")
        whole += bytes([_END])[: size - len(whole)]
        self._write_pages(whole, empty=head + bytes([_MESSAGE, 0, _END]))

    def _write_pages(self, whole: bytes, empty: bytes) -> None:
        first = len(empty) - 3  # where the TLV begins; its length ends at most three bytes behind
        begun, behind = first // PAGE_BYTES, (first + 3) // PAGE_BYTES + 1
        for page in range(begun, -(-len(empty) // PAGE_BYTES)):
            self._write_page(page, empty)
        for page in range(behind, -(-len(whole) // PAGE_BYTES)):
            self._write_page(page, whole)
        for page in reversed(range(begun, min(behind, -(-len(whole) // PAGE_BYTES)))):
            self._write_page(page, whole)

    def _write_page(self, page: int, data: bytes) -> None:
        part = data[page * PAGE_BYTES : (page + 1) * PAGE_BYTES].ljust(PAGE_BYTES, b"\0")
        answer = self._link.exchange(bytes([_WRITE, 4 + page]) + part)
        if answer != b"\x0a":
            raise CardRefused(f"the card refuses to be written at page {4 + page}: it is locked, or has a password")

    def _size(self, capabilities: bytes) -> int:
        """Bytes for TLVs that can be asked for, whatever it claims; 0 when it holds no NDEF message (T2T 6.1)."""
        if capabilities[0] != _MAGIC or capabilities[1] >> 4 != 1:
            return 0
        return min(capabilities[2] * 8, (MOST_PAGES - 4) * PAGE_BYTES)

    def _upto(self, memory: bytes, end: int) -> bytes:
        have, wanted = len(memory) // PAGE_BYTES, -(-end // PAGE_BYTES)
        return memory + self._pages(4 + have, wanted - have) if wanted > have else memory

    def _pages(self, first: int, count: int) -> bytes:
        data = b""
        while len(data) < count * PAGE_BYTES:
            page = first + len(data) // PAGE_BYTES
            left = count - len(data) // PAGE_BYTES
            data += self._fast(page, min(left, FAST_PAGES)) if self._is_fast and left > READ_PAGES else self._read(page)
        return data[: count * PAGE_BYTES]

    def _fast(self, page: int, count: int) -> bytes:
        return _whole(self._link.exchange(bytes([_FAST_READ, page, page + count - 1])), count * PAGE_BYTES, page)

    def _read(self, page: int) -> bytes:
        return _whole(self._link.exchange(bytes([_READ, page])), READ_PAGES * PAGE_BYTES, page)

    def _asked(self, command: bytes) -> bytes:
        """The answer to a command that not every tag knows; empty when this one does not."""
        if not self._link.has_raw:
            return b""
        try:
            answer = self._link.exchange(command)
        except CardLost:
            answer = b""
        if len(answer) < 2:  # a NAK, or silence: the tag sleeps now
            self._link.reselect()
            return b""
        return answer


class Type4:
    """Cards with files: NTAG 424 DNA, DESFire with NDEF."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def product(self) -> str:
        """GetVersion in its native form wrapped in an APDU (NT4H2421Gx 10.5.2); three frames, all fetched."""
        answer = frame = self._link.exchange(bytes.fromhex("9060000000"))
        for _ in range(3):
            if frame[-2:] != _MORE:
                break
            frame = self._link.exchange(bytes.fromhex("90af000000"))
        if answer[-2:] != _MORE or len(answer) < 9 or answer[0] != 0x04:
            return ""
        if answer[1] == 0x04:
            return "NTAG424" if answer[3] == 0x30 else ""
        return "DESFire" if answer[1] & 0x0F == 0x01 else ""

    def originality(self) -> bytes:
        answer = self._link.exchange(bytes.fromhex("903c0000010000"))
        return answer[:56] if len(answer) == 58 and answer[-2] == 0x91 else b""

    def read(self) -> bytes:
        file = self._open()
        if file is None:
            return b""
        length = int.from_bytes(self._binary(0, 2), "big")
        if length > min(file.size_bytes - 2, MOST_BYTES):
            return b""
        data = b""
        for _ in range(MOST_CHUNKS):
            if len(data) >= length:
                return data[:length]
            data += self._binary(2 + len(data), min(length - len(data), file.read_bytes))
        raise CardRefused("the card gives its message in crumbs")

    def write(self, message: bytes) -> None:
        """First a length of zero, last the true one (T4T 5.4.5): a card torn away in between is empty."""
        file = self._open()
        if file is None:
            raise CardRefused("the card has no file for an NDEF message")
        if not file.is_open_to_write:
            raise CardRefused("the card's NDEF file may not be written without a key")
        if 2 + len(message) > file.size_bytes:
            raise CardRefused(f"no room: the message needs {2 + len(message)} bytes, the card has {file.size_bytes}")
        self._update(0, bytes(2))
        for at in range(0, len(message), file.write_bytes):
            self._update(2 + at, message[at : at + file.write_bytes])
        self._update(0, len(message).to_bytes(2, "big"))

    def _open(self) -> "_File | None":
        """Selects the NDEF file, and says what its container file says of it (T4T 5.1); None when there is none."""
        application = bytes([0x00, 0xA4, 0x04, 0x00, len(_NDEF_APP)]) + _NDEF_APP + b"\0"
        if self._link.exchange(application)[-2:] != _OK or not self._select(_CAPABILITIES):
            return None
        container = self._binary(0, 15)
        file = _File(container)
        return file if file.is_ndef and self._select(file.number) else None

    def _select(self, number: int) -> bool:
        return self._link.exchange(bytes.fromhex("00a4000c02") + number.to_bytes(2, "big"))[-2:] == _OK

    def _binary(self, offset: int, count: int) -> bytes:
        answer = self._link.exchange(bytes([0x00, 0xB0, offset >> 8, offset & 0xFF, count]))
        if answer[-2:] != _OK:
            raise CardRefused(f"the card refuses to be read ({answer[-2:].hex()})")
        if len(answer) <= 2:
            raise CardRefused("the card says it has read, and gives nothing")
        return answer[:-2]

    def _update(self, offset: int, data: bytes) -> None:
        command = bytes([0x00, 0xD6, offset >> 8, offset & 0xFF, len(data)]) + data
        if (status := self._link.exchange(command)[-2:]) != _OK:
            raise CardRefused(f"the card refuses to be written ({status.hex()})")


class _File:
    """What a capability container says (T4T 5.1.2), with the least that can be believed."""

    def __init__(self, container: bytes) -> None:
        whole = container.ljust(15, b"\0")
        self.is_ndef = len(container) >= 15 and whole[7:9] == b"\x04\x06"
        self.read_bytes = max(1, min(int.from_bytes(whole[3:5], "big"), _CHUNK_BYTES))
        self.write_bytes = max(1, min(int.from_bytes(whole[5:7], "big"), _CHUNK_BYTES))
        self.number = int.from_bytes(whole[9:11], "big")
        self.size_bytes = int.from_bytes(whole[11:13], "big")
        self.is_open_to_write = whole[14] == 0


def _whole(answer: bytes, size: int, page: int) -> bytes:
    if len(answer) != size:
        raise CardRefused(f"the card refuses to be read at page {page}")
    return answer


def _message_in(memory: bytes, size: int) -> tuple[int, int, int]:
    """Where the first NDEF TLV begins, where its message does and how long that is.

    Without one in `memory`: where one could begin, -1 and 0.
    """
    at = 0
    while at + 2 <= min(len(memory), size):
        kind = memory[at]
        if kind == _NULL:
            at += 1
            continue
        if kind == _END:
            break
        start, length = at + 2, memory[at + 1]
        if length == 0xFF:
            if at + 4 > len(memory):
                break
            start, length = at + 4, int.from_bytes(memory[at + 2 : at + 4], "big")
        if kind == _MESSAGE:
            return at, start, length
        at = start + length
    return at, -1, 0
