"""Key events of Linux to text: what a scanner that pretends to be a keyboard has typed.

Promises that a code with a key in it that is not known is dropped and counted, never guessed. Key numbers and the
form of `struct input_event` are those of the kernel (include/uapi/linux/input-event-codes.h and input.h); positions of
the French keys are those of the layout "fr" of xkeyboard-config. Leaves the device to `keyboard_wedge.py`.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from balise_gateway.badges.readers._codes import MOST_CHARS

EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3  # the kernel's buffer ran over: events are missing
_DOWN, _UP = 1, 0
_ENTER = (28, 96)  # KEY_ENTER, KEY_KPENTER
_SHIFT, _ALTGR = (42, 54), 100  # KEY_LEFTSHIFT, KEY_RIGHTSHIFT; KEY_RIGHTALT
_SILENT = (29, 97, 56, 58, 69, 125)  # Ctrl, Alt, Caps Lock, Num Lock, Meta: scanners touch them, they type nothing
_ROWS = ((2, 12), (16, 12), (30, 12), (43, 1), (44, 10), (86, 1))  # first key and number of keys of each row

# One text per row above; a space stands for a key that types nothing we know (in "fr": dead keys).
_US = ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'`", "\\", "zxcvbnm,./", "\\")
_US_SHIFT = ("!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"~', "|", "ZXCVBNM<>?", "|")
_FR = ("&é\"'(-è_çà)=", "azertyuiop $", "qsdfghjklmù²", "*", "wxcvbn,;:!", "<")
_FR_SHIFT = ("1234567890°+", "AZERTYUIOP £", "QSDFGHJKLM% ", "µ", "WXCVBN?./§", ">")
_FR_ALTGR = (" ~#{[|`\\^@]}", "  €         ", " " * 12, " ", " " * 10, " ")
_ALWAYS = {57: " "} | dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True))  # with the key pad
_ALWAYS |= {55: "*", 74: "-", 78: "+", 98: "/"}


def _table(rows: tuple[str, ...]) -> dict[int, str]:
    keys: dict[int, str] = {}
    for (first, count), text in zip(_ROWS, rows, strict=True):
        keys |= {first + n: char for n, char in zip(range(count), text, strict=True) if char != " "}
    return keys


LAYOUTS = {  # plain, with Shift, with AltGr
    "us": (_table(_US) | _ALWAYS, _table(_US_SHIFT) | _ALWAYS, dict[int, str]()),
    "fr": (_table(_FR) | _ALWAYS, _table(_FR_SHIFT) | _ALWAYS, _table(_FR_ALTGR)),
}


class KeyEvent(NamedTuple):
    """One `struct input_event` without its time."""

    type: int
    code: int
    value: int


class Events:
    """Cuts bytes into events. The time in front is two C longs: 16 bytes on a 64-bit system, 8 on a 32-bit one."""

    def __init__(self, long_bytes: int = struct.calcsize("l")) -> None:
        self._form = struct.Struct(f"={2 * long_bytes}xHHi")
        self.size_bytes = self._form.size
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[KeyEvent]:
        data = self._rest + data
        whole = len(data) - len(data) % self.size_bytes
        self._rest = data[whole:]
        for fields in self._form.iter_unpack(data[:whole]):
            yield KeyEvent(*fields)


class Typing:
    """What is typed, until Enter ends a code."""

    def __init__(self, layout: str, counters: Counter[str]) -> None:
        self._plain, self._shift, self._altgr = LAYOUTS[layout]
        self._counters = counters
        self._held: set[int] = set()
        self._text = ""
        self._spoilt = ""  # why this code cannot be taken

    @property
    def begun(self) -> bool:
        return bool(self._text or self._spoilt)

    def feed(self, event: KeyEvent) -> str | None:
        """The code that this event ends, if it does."""
        if event.type == EV_SYN and event.code == SYN_DROPPED:
            self._spoilt = "events lost"
            self._held.clear()
        if event.type != EV_KEY:
            return None
        if event.code in (*_SHIFT, _ALTGR):
            (self._held.add if event.value != _UP else self._held.discard)(event.code)
        elif event.value == _DOWN and event.code in _ENTER:
            return self._ended()
        elif event.value == _DOWN and event.code not in _SILENT:
            self._type(event.code)
        return None

    def expire(self) -> None:
        """The rest does not come any more."""
        if self.begun:
            self._counters["cut off"] += 1
        self._text = self._spoilt = ""
        self._held.clear()

    def _type(self, code: int) -> None:
        keys = self._altgr if _ALTGR in self._held else self._shift if self._held else self._plain
        if code not in keys:
            self._spoilt = self._spoilt or "unknown key"
        elif len(self._text) >= MOST_CHARS:
            self._spoilt = self._spoilt or "too long"
        else:
            self._text += keys[code]

    def _ended(self) -> str | None:
        text, why = self._text.strip(), self._spoilt
        self._text = self._spoilt = ""
        if why:
            self._counters["unreadable"] += 1
            self._counters[why] += 1
            return None
        return text or None
