"""A card on a PC/SC reader: what the reader makes of it, and the line to vpcd, vsmartcard's driver for pcscd.

Promises `Slot`, a reader that takes one card at a time: with the ATR of PC/SC Part 3 (rev. 2.01.09, 3.1.3.2.3), UID and
pages by the pseudo-APDUs of 3.2.2, an ACR122U's direct transmission for commands of type 2 tags (ACS, API v2.04, 6.1),
and plain APDUs for cards with ISO 14443-4. Each card laid down is one connection to vpcd; a message is two bytes of
length and a payload. Leaves starting pcscd to pcscd.py.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from functools import reduce
from operator import xor

from balise_sim.nfc.cards import Card

POWER_OFF, POWER_ON, RESET, GET_ATR = 0, 1, 2, 4  # vsmartcard, "Virtual Smart Card": protocol between vpcd and vpicc
STORAGE = bytes.fromhex("804f0ca000000306")  # category, its AID's length, RID of the PC/SC workgroup
TYPE_A_PART_3 = 0x03
ULTRALIGHT, CLASSIC_1K = 0x0003, 0x0001  # names of Part 3, supplement; an NTAG21x is told as an Ultralight
OK, FAILED, NOT_SUPPORTED = b"\x90\x00", b"\x63\x00", b"\x6a\x81"
WRONG_LENGTH = b"\x67\x00"
ACK = b"\x0a"
READ, WRITE = 0x30, 0xA2
PAGE_BYTES, READ_BYTES = 4, 16
TO_CHIP_EXCHANGE, TO_CHIP_THRU = b"\xd4\x40\x01", b"\xd4\x42"
CLASSIC_SAK = 0x08


def atr(card: Card) -> bytes:
    """What a contactless reader tells of this card; with ISO 14443-4 it carries the historical bytes of the ATS."""
    if card.ats is None:
        name = CLASSIC_1K if card.sak & CLASSIC_SAK else ULTRALIGHT
        history = STORAGE + bytes([TYPE_A_PART_3]) + name.to_bytes(2, "big") + bytes(4)
    else:
        interface_bytes = (card.ats[1] >> 4 & 7).bit_count() if len(card.ats) > 1 else 0
        history = card.ats[2 + interface_bytes :]
    body = bytes([0x80 | len(history), 0x80, 0x01]) + history
    return b"\x3b" + body + bytes([reduce(xor, body)])


class Presented:
    """A card as programs see it through the reader: `exchange` takes an APDU of theirs."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self._powered = False

    def power(self, on: bool) -> None:
        if self._powered:
            self.card.away()
        if on:
            self.card.activate()
        self._powered = on

    def exchange(self, apdu: bytes) -> bytes:
        if not self._powered or len(apdu) < 4:
            return FAILED if len(apdu) >= 4 else WRONG_LENGTH
        if apdu[0] != 0xFF:
            answer = self.card.exchange(apdu) if self.card.ats is not None else NOT_SUPPORTED
            return FAILED if answer is None else answer
        match apdu[1]:
            case 0xCA:
                return self._get_data(apdu)
            case 0xB0 if self.card.ats is None:
                return self._read(apdu)
            case 0xD6 if self.card.ats is None:
                return self._write(apdu)
            case 0x00:
                return self._direct(apdu[5:])
        return NOT_SUPPORTED

    def _get_data(self, apdu: bytes) -> bytes:
        if apdu[2] == 0x01 and self.card.ats is not None:
            data = atr(self.card)[4:-1]
        elif apdu[2] == 0x00:
            data = self.card.uid
        else:
            return NOT_SUPPORTED
        wanted = apdu[4] if len(apdu) == 5 else 0
        if wanted and wanted < len(data):
            return bytes([0x6C, len(data)])
        return data + OK

    def _raw(self, frame: bytes) -> bytes | None:
        """A command to a type 2 tag; after a refusal the reader selects the card anew, as it would be silent else."""
        heard = self.card.exchange(frame)
        if heard is None or (len(heard) == 1 and heard != ACK):
            self.card.activate()
            return None
        return heard

    def _read(self, apdu: bytes) -> bytes:
        if len(apdu) != 5 or apdu[4] > READ_BYTES:
            return WRONG_LENGTH
        heard = self._raw(bytes([READ, apdu[3]])) if not apdu[2] else None
        return FAILED if heard is None else heard[: apdu[4] or READ_BYTES] + OK

    def _write(self, apdu: bytes) -> bytes:
        if len(apdu) != 5 + PAGE_BYTES or apdu[4] != PAGE_BYTES:
            return WRONG_LENGTH
        heard = self._raw(bytes([WRITE, apdu[3]]) + apdu[5:]) if not apdu[2] else None
        return FAILED if heard is None else OK

    def _direct(self, command: bytes) -> bytes:
        """InDataExchange and InCommunicateThru of the chip in an ACR122U, for what has no pseudo-APDU."""
        for head in (TO_CHIP_EXCHANGE, TO_CHIP_THRU):
            if command.startswith(head):
                heard = self.card.exchange(command[len(head) :])
                if heard is None or (len(heard) == 1 and heard < b"\x10" and heard != ACK):
                    self.card.activate()
                    return bytes([0xD5, head[1] + 1, 0x01 if heard is None else 0x02]) + OK
                return bytes([0xD5, head[1] + 1, 0x00]) + heard + OK
        return NOT_SUPPORTED


def received(line: socket.socket) -> bytes | None:
    """One message, or None at the end of the line."""
    head = _exactly(line, 2)
    return None if head is None else _exactly(line, int.from_bytes(head, "big"))


def _exactly(line: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        part = line.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


class Slot:
    """A reader with room for one card. `connect` gives a new line to vpcd, which takes it for a card laid down.

    The line stays open until its other end has missed the card (pcscd.py), and `take_away` and the next `lay` wait for
    that: so a change of cards is always seen as one.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._line: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._left: int | None = None
        self.exchanges = 0  # APDUs of programs

    @property
    def taken(self) -> bool:
        """Whether a card lies there."""
        return self._line is not None

    def lay(self, card: Card) -> None:
        """Raises ValueError when a card lies there."""
        if self.taken:
            raise ValueError("a card lies on the reader: take it away first")
        self.take_away()
        self._left = None
        self._line = self._connect()
        self._thread = threading.Thread(target=self._serve, args=(self._line, Presented(card)), daemon=True)
        self._thread.start()

    def take_away(self) -> None:
        self._end(self._line)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def tear_away_after(self, exchanges: int) -> None:
        """The card answers this many APDUs more, then it is gone."""
        self._left = exchanges

    def _end(self, line: socket.socket | None) -> None:
        self._line = None
        if line is not None:
            with contextlib.suppress(OSError):  # the other end may have gone first
                line.shutdown(socket.SHUT_WR)

    def _serve(self, line: socket.socket, presented: Presented) -> None:
        with line, contextlib.suppress(ConnectionError):  # pcscd was killed: the card lies before nobody
            while (message := received(line)) is not None:
                answer = self._answer(presented, message) if self._line is line else None
                if answer is None:
                    self._end(line)  # and read on, until pcscd has noticed
                elif answer:
                    line.sendall(len(answer).to_bytes(2, "big") + answer)
        presented.power(on=False)

    def _answer(self, presented: Presented, message: bytes) -> bytes | None:
        """What goes back; b"" for nothing, None when the card is gone."""
        if len(message) != 1:
            if self._left == 0:
                return None
            self._left = None if self._left is None else self._left - 1
            self.exchanges += 1
            return presented.exchange(message)
        if message[0] == GET_ATR:
            return atr(presented.card)
        if message[0] in (POWER_OFF, POWER_ON, RESET):
            presented.power(on=message[0] != POWER_OFF)
        return b""
