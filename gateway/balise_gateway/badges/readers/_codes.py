"""Codes as they come in: bytes to lines, a line to a text, and the same code held for a while to one sighting.

Promises bounded memory whatever arrives, and a named reason for whatever is dropped. Leaves devices to the kinds, and
what a code proves to whoever takes it.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from balise_gateway.badges.seen import Seen

MOST_CHARS = 1024  # our own codes have fewer than 300; a QR code has at most 4,296 (ISO/IEC 18004, version 40-L)


def text_of(data: bytes) -> str | None:
    """The code as text; None when it is none: not UTF-8, or with control characters in it."""
    try:
        return checked(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def checked(text: str) -> str | None:
    """The text of a code without spaces around it; None for what no code of ours has in it."""
    text = text.strip(" ")
    return text if text.isprintable() and 0 < len(text) <= MOST_CHARS else None


class Lines:
    """Cuts a stream of bytes at CR and LF. Too long a line is dropped whole, and counted."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._begun = bytearray()
        self._too_long = False

    @property
    def begun(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._begun) or self._too_long

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`, without their ends; empty ones are none."""
        *ended, rest = data.replace(b"\r", b"\n").split(b"\n")
        for piece in ended:
            self._add(piece)
            line, fits = bytes(self._begun), not self._too_long
            self._begun.clear()
            self._too_long = False
            if line and fits:
                yield line
        self._add(rest)

    def expire(self) -> None:
        """The rest of a line that has begun does not come any more."""
        if self.begun:
            self._counters["cut off"] += 1
        self._begun.clear()
        self._too_long = False

    def _add(self, piece: bytes) -> None:
        if self._too_long:
            return
        self._begun += piece
        if len(self._begun) > MOST_CHARS:
            self._counters["too long"] += 1
            self._too_long = True
            self._begun.clear()


class Sightings:
    """The same code, again and again, is one sighting until it was away for `away_s`. The others are counted."""

    def __init__(self, away_s: float, now_s: Callable[[], float], counters: Counter[str]) -> None:
        self._away_s, self._now_s, self._counters = away_s, now_s, counters
        self._last_s: dict[str, float] = {}

    def is_new(self, code: str) -> bool:
        now_s = self._now_s()
        self._last_s = {c: at_s for c, at_s in self._last_s.items() if now_s - at_s < self._away_s}
        new = code not in self._last_s
        self._last_s[code] = now_s
        if not new:
            self._counters["repeated"] += 1
        return new


def seen_code(reader: str, code: str) -> Seen:
    return Seen(via="qr", reader=reader, uri=code)
