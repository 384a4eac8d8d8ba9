"""Codes that say "I stand here": the screen shows the newest one, a phone brings it back.

Promises that a code cannot be guessed, that it is worth nothing after a few minutes, that no clock need be right, and
that the same number with the same code is one visit, however often the phone sends it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from balise_gateway.badges.showing import Showing

NEW_EACH_S, GOOD_FOR_S = 60.0, 180.0
CODE_BYTES = 9
MAX_TOLD = 200  # numbers that are remembered with one code: more do not pass a door in three minutes


@dataclass
class Code:
    """One code, and what was said of the numbers that came with it."""

    text: str = field(repr=False)
    since_s: float
    _told: dict[bytes, Showing] = field(default_factory=dict, repr=False)

    def told(self, number: str) -> Showing | None:
        """What was said of this number with this code."""
        return self._told.get(_digest(number))

    def remember(self, number: str, showing: Showing) -> None:
        """Keeps it, as long as the code is good."""
        self._told[_digest(number)] = showing

    @property
    def is_full(self) -> bool:
        return len(self._told) >= MAX_TOLD


class Codes:
    """The codes of one place. `now_s` is a clock that never jumps."""

    def __init__(
        self, now_s: Callable[[], float], make: Callable[[], str] = lambda: secrets.token_urlsafe(CODE_BYTES)
    ) -> None:
        self._now_s, self._make = now_s, make
        self._codes: list[Code] = []

    def newest(self) -> str:
        """What the screen shows now."""
        codes = self._good()
        if not codes or self._now_s() - codes[-1].since_s >= NEW_EACH_S:
            codes.append(Code(self._make(), self._now_s()))
        return codes[-1].text

    def find(self, text: str) -> Code | None:
        """The code with this text, while it is good; all are compared, in constant time."""
        found = None
        for code in self._good():
            if hmac.compare_digest(code.text.encode(), text.encode("utf-8", "surrogateescape")):
                found = code
        return found

    def _good(self) -> list[Code]:
        self._codes = [code for code in self._codes if self._now_s() - code.since_s < GOOD_FOR_S]
        return self._codes


def _digest(number: str) -> bytes:
    return hashlib.sha256(number.encode("utf-8", "surrogateescape")).digest()
