"""Frames between a host and a PN532, as bytes (NXP UM0701-02, PN532 user manual, 6.2.1).

Promises normal and extended frames, ACK, NACK and the error frame, byte for byte; whatever does not add up is skipped
byte by byte, as the chip waits for the next start code. Leaves commands to pn532.py.
"""

from dataclasses import dataclass

START = b"\x00\x00\xff"
ACK, NACK = START + b"\x00\xff\x00", START + b"\xff\x00\x00"
ERROR = bytes.fromhex("0000ff01ff7f8100")  # 6.2.1.5: syntax error
TO_CHIP, TO_HOST = 0xD4, 0xD5
LONGEST_DATA = 265  # TFI included


def framed(data: bytes) -> bytes:
    """TFI and what follows it, as a frame; an extended one from 256 bytes on, as the length byte is one byte."""
    tail = bytes([-sum(data) & 0xFF, 0])
    if len(data) <= 0xFF:
        return START + bytes([len(data), -len(data) & 0xFF]) + data + tail
    length = len(data).to_bytes(2, "big")
    return START + b"\xff\xff" + length + bytes([-sum(length) & 0xFF]) + data + tail


@dataclass(frozen=True)
class Acknowledged:
    """An ACK, or with `again` a NACK: send the last answer once more."""

    again: bool = False


@dataclass(frozen=True)
class Command:
    """What follows TFI D4: the command code and its parameters."""

    code: int
    data: bytes


Event = Acknowledged | Command


class Deframer:
    """Takes bytes as they come; `take` gives what has become complete."""

    def __init__(self) -> None:
        self._held = b""
        self.damaged = 0  # frames whose sums were wrong

    def forget(self) -> None:
        self._held = b""

    def take(self, data: bytes) -> list[Event]:
        self._held += data
        events: list[Event] = []
        while (at := self._held.find(b"\x00\xff")) >= 0:
            used, event = self._frame(self._held[at + 2 :])
            if not used:
                self._held = self._held[at:]
                return events
            events += [event] if event else []
            self._held = self._held[at + 2 + used :]
        self._held = self._held[-1:] if self._held.endswith(b"\x00") else b""
        return events

    def _frame(self, rest: bytes) -> tuple[int, Event | None]:
        """How many bytes after the start code were used, and what they say; 0 when more must come."""
        if len(rest) < 2:
            return 0, None
        if rest[:2] in (b"\x00\xff", b"\xff\x00"):
            return 2, Acknowledged(again=rest[0] == 0xFF)
        if rest[:2] != b"\xff\xff":
            return self._data(rest, 2, rest[0]) if not sum(rest[:2]) & 0xFF else self._damage()
        if len(rest) < 5:
            return 0, None
        length = int.from_bytes(rest[2:4], "big")
        return self._data(rest, 5, length) if not sum(rest[2:5]) & 0xFF else self._damage()

    def _data(self, rest: bytes, head: int, length: int) -> tuple[int, Event | None]:
        if not 2 <= length <= LONGEST_DATA:
            return self._damage()
        if len(rest) < head + length + 1:
            return 0, None
        data = rest[head : head + length]
        if sum(rest[head : head + length + 1]) & 0xFF or data[0] != TO_CHIP:
            return self._damage()
        return head + length + 1, Command(data[1], data[2:])

    def _damage(self) -> tuple[int, None]:
        self.damaged += 1
        return 2, None
