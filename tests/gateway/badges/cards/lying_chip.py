"""A card model that lies on a reader: the `Chip` of the contract, over the simulator's commands.

It can be torn away: before a command reaches the card, or after the card has done it and before it is heard.
"""

from balise_gateway.errors import CardLost, CardRefused
from balise_sim.nfc.cards import Card

_APPLICATION = bytes.fromhex("00a4040007d276000085010100")
_NDEF_FILE = bytes.fromhex("00a4000c02e104")


class LyingChip:
    """`goes_at` counts commands, "writes" of the NDEF message among them; `is_heard` False: done, but not heard."""

    def __init__(self, card: Card, kind: str, goes_at: int | None = None, is_heard: bool = True) -> None:
        self.kind, self.uid, self._card = kind, card.uid, card
        self._goes_at, self._is_heard, self.sent = goes_at, is_heard, 0
        card.activate()

    def send(self, command: bytes) -> bytes:
        is_last = self.sent == self._goes_at
        self.sent += 1
        if is_last and self._is_heard:
            self._card.away()
            raise CardLost("the card went away: lay it down again")
        answer = self._card.exchange(command)
        if is_last:
            self._card.away()
            raise CardLost("the card went away: lay it down again")
        if answer is None:
            raise CardRefused("the chip is silent")
        return answer

    def read_ndef(self) -> bytes:
        if self.kind.startswith("NTAG21"):
            return self._read_pages()
        self.send(_APPLICATION)
        self.send(_NDEF_FILE)
        size = int.from_bytes(self.send(bytes([0, 0xB0, 0, 0, 2]))[:2], "big")
        return self.send(bytes([0, 0xB0, 0, 2, size]))[:-2] if size else b""

    def write_ndef(self, message: bytes) -> None:
        if self.kind.startswith("NTAG21"):
            block = b"\x03" + bytes([len(message)]) + message + b"\xfe"
            block += bytes(-len(block) % 4)
            for at in range(0, len(block), 4):
                if self.send(bytes([0xA2, 4 + at // 4]) + block[at : at + 4]) != b"\x0a":
                    raise CardRefused("the chip is locked, or has no room")
        else:
            self.send(_APPLICATION)
            self.send(_NDEF_FILE)
            for offset, part in ((0, b"\0\0"), (2, message), (0, len(message).to_bytes(2, "big"))):
                if self.send(bytes([0, 0xD6, 0, offset, len(part)]) + part) != b"\x90\x00":
                    raise CardRefused("the chip may not be written")

    def _read_pages(self) -> bytes:
        data = b"".join(self.send(bytes([0x30, page]))[:16] for page in range(4, 40, 4))
        return data[2 : 2 + data[1]] if data[0] == 3 else b""
