"""The card's side of ISO 14443-4: RATS, blocks, chaining, DESELECT.

Promises that a reader which speaks raw blocks gets the answers that a card with `ats` gives: I-blocks with their block
number, chained in both directions to the frame sizes agreed in RATS and ATS, R-blocks for what was lost, PPS taken as
it is. Leaves out waiting-time extensions (our cards are quick) and node addresses. Frames have no CRC.
"""

from balise_sim.nfc.cards import Card

RATS, DESELECT, PPS_MASK, PPS = 0xE0, 0xC2, 0xF0, 0xD0
CHAIN, CID = 0x10, 0x08
FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)  # ISO 14443-4, 5.1: FSDI and FSCI
CRC_BYTES = 2


def frame_size(code: int) -> int:
    """Bytes of a frame, CRC included, for a code of RATS or ATS; codes above 8 are taken as 8."""
    return FRAME_SIZES[min(code, 8)]


class Picc:
    """The block layer of one selected card. Before RATS it is silent to all else."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._frame_bytes = 0  # that the reader takes; 0 before RATS
        self._block_number = 1
        self._command, self._waiting, self._last = b"", b"", b""
        self._cid: int | None = None

    @property
    def active(self) -> bool:
        return self._frame_bytes > 0

    def exchange(self, frame: bytes) -> bytes | None:
        if not frame or self._card.ats is None:
            return None
        if not self.active:
            return self._rats(frame)
        if frame[0] & PPS_MASK == PPS and self._last == b"":
            return frame[:1]
        if frame[0] & 0xF7 == DESELECT:
            self._frame_bytes = 0
            self._card.away()
            return frame
        if frame[0] & 0xC0 == 0x80:
            return self._r_block(frame)
        return self._i_block(frame) if frame[0] & 0xE2 == 0x02 else None

    def _rats(self, frame: bytes) -> bytes | None:
        if frame[0] != RATS or len(frame) != 2:
            return None
        self._frame_bytes = frame_size(frame[1] >> 4)
        self._block_number, self._command, self._waiting, self._last = 1, b"", b"", b""
        return self._card.ats

    def _i_block(self, frame: bytes) -> bytes | None:
        skip = 2 if frame[0] & CID else 1
        if len(frame) < skip:
            return None
        self._cid = frame[1] if frame[0] & CID else None
        self._block_number = frame[0] & 1  # 7.5.3.2: the card's number follows the reader's
        self._command += frame[skip:]
        if frame[0] & CHAIN:
            return self._remember(self._head(0xA2))
        command, self._command = self._command, b""
        answer = self._card.exchange(command)
        if answer is None:
            return None
        self._waiting = answer
        return self._next_part()

    def _r_block(self, frame: bytes) -> bytes | None:
        same = frame[0] & 1 == self._block_number
        if same:
            return self._last or None  # 7.5.4.3, rule 11: what was lost is sent again
        if frame[0] & 0x10:
            return self._remember(self._head(0xA2))  # rule 12: a NAK with another number asks for an ACK
        self._block_number = frame[0] & 1
        return self._next_part() if self._waiting else None

    def _head(self, pcb: int) -> bytes:
        if self._cid is None:
            return bytes([pcb | self._block_number])
        return bytes([pcb | CID | self._block_number, self._cid])

    def _next_part(self) -> bytes:
        room = self._frame_bytes - CRC_BYTES - len(self._head(0))
        part, self._waiting = self._waiting[:room], self._waiting[room:]
        return self._remember(self._head(0x02 | (CHAIN if self._waiting else 0)) + part)

    def _remember(self, block: bytes) -> bytes:
        self._last = block
        return block
