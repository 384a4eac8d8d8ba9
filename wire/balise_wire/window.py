"""Which frame counts of one boot are held: all up to `contiguous`, and a bitmap of what is held beyond.

Promises that a count is taken once, in any order of arrival, within WINDOW of the first one missing. Both ends keep
one: the gateway against replays (on disk, so that a restart forgets nothing), the node to know what an ack covers.
Leaves to others what is done about a count that is refused.

Sender's duty: never send a frame more than WINDOW - 1 counts after the oldest one still kept. So an authentic frame
beyond the window says that the sender has given up what lies more than WINDOW before it (its loss item tells why), and
the receiver may skip(count - WINDOW), then add(count).
"""

from balise_wire.errors import WireError

WINDOW = 64


class Window:
    """Bit i of `bitmap` stands for count contiguous + 1 + i; bit 0 is never set, or contiguous would be higher."""

    def __init__(self, contiguous: int = 0, bitmap: int = 0) -> None:
        self.contiguous = contiguous
        self.bitmap = bitmap
        self._settle()

    def holds(self, count: int) -> bool:
        """Is this count held?"""
        if count <= self.contiguous:
            return True
        return count <= self.contiguous + WINDOW and bool(self.bitmap >> (count - self.contiguous - 1) & 1)

    def reaches(self, count: int) -> bool:
        """Is this count within the window, so that add() takes it unless it is held?"""
        return count <= self.contiguous + WINDOW

    def add(self, count: int) -> None:
        """Hold this count; "replay" if it is held already, "window" if it is too far ahead."""
        if self.holds(count):
            raise WireError("replay", f"count {count} is held already")
        if not self.reaches(count):
            raise WireError("window", f"count {count} is more than {WINDOW} beyond {self.contiguous}")
        self.bitmap |= 1 << (count - self.contiguous - 1)
        self._settle()

    def skip(self, last: int) -> None:
        """Wait no longer for counts up to `last`: the sender does not have them any more."""
        if last > self.contiguous:
            self.bitmap >>= last - self.contiguous
            self.contiguous = last
            self._settle()

    def _settle(self) -> None:
        while self.bitmap & 1:
            self.bitmap >>= 1
            self.contiguous += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Window) and (self.contiguous, self.bitmap) == (other.contiguous, other.bitmap)

    def __repr__(self) -> str:
        return f"Window({self.contiguous}, {self.bitmap:#x})"
