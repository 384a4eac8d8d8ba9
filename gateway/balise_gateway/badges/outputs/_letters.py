"""Letters for pictures: DejaVu where the machine has it, else those that Pillow brings, with accents drawn by us.

Promises that é, à, ç, «, » and their kin are drawn in both cases. Pillow's own scalable letters (Aileron, since Pillow
10.1) are a part of that font without accented letters, so the base letter is drawn, and its accent over it. Leaves
what is written where to `_layout.py`.
"""

import importlib
import math
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from balise_gateway.errors import BadgeError, MissingExtra

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FILES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}
_PLAIN = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "–": "-", "—": "-", "\u2212": "-", "œ": "oe", "Œ": "OE", "æ": "ae"}
)
# Accents as lines in a square of 1 over the letter (0 is its left or top edge), and which lie under it.
_ACCENTS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "\u0300": (((0.3, 0.0), (0.6, 1.0)),),  # grave
    "\u0301": (((0.7, 0.0), (0.4, 1.0)),),  # acute
    "\u0302": (((0.2, 1.0), (0.5, 0.0), (0.8, 1.0)),),  # circumflex
    "\u0308": (((0.25, 0.5), (0.3, 0.5)), ((0.7, 0.5), (0.75, 0.5))),  # diaeresis
    "\u0327": (((0.5, 0.0), (0.65, 0.5), (0.35, 1.0)),),  # cedilla
}
_BELOW = "\u0327"


class Letters(Protocol):
    """One size of letters."""

    height: int

    def width(self, text: str) -> int:
        """In dots."""
        ...

    def draw(self, pen: "ImageDraw", at: tuple[int, int], text: str, ink: str) -> None:
        """With the upper left corner there."""
        ...


Source = Callable[[int, bool], Letters]  # size in dots, bold


def found() -> Source:
    """DejaVu, or else what Pillow brings."""
    try:
        importlib.import_module("PIL.ImageFont")
    except ImportError as error:
        raise MissingExtra("a display", "pillow", "badge") from error
    if files() is None:
        return brought()
    return lru_cache(maxsize=None)(_dejavu)


def files() -> tuple[str, str] | None:
    """Where DejaVu's plain and bold letters lie; None when this machine has none, or no Pillow to find them."""
    try:
        from PIL import ImageFont
    except ImportError:
        return None
    try:
        plain, bold = (ImageFont.truetype(FILES[is_bold], 10) for is_bold in (False, True))
    except OSError:
        return None
    return str(plain.path), str(bold.path)


def brought() -> Source:
    """The letters that Pillow brings. Raises BadgeError where Pillow is too old to bring any."""
    from PIL import ImageFont

    if not hasattr(ImageFont, "load_default_imagefont"):  # came with the scalable default, in 10.1
        raise BadgeError("no letters to draw with: apt install fonts-dejavu-core, or pip install 'pillow>=10.1'")
    return lru_cache(maxsize=None)(_Composed)


class _Plain:
    """Letters of a font that has all that we need."""

    def __init__(self, font: Any) -> None:
        self._font = font
        _, top, _, bottom = font.getbbox("ÀÉÊÇgjp|")
        self._top = math.floor(top)
        self.height: int = math.ceil(bottom) - self._top

    def width(self, text: str) -> int:
        wide: float = self._font.getlength(text)
        return math.ceil(wide)

    def draw(self, pen: "ImageDraw", at: tuple[int, int], text: str, ink: str) -> None:
        pen.text((at[0], at[1] - self._top), text, ink, self._font)


def _dejavu(size: int, bold: bool) -> Letters:
    from PIL import ImageFont

    return _Plain(ImageFont.truetype(FILES[bold], size))


class _Composed:
    """Base letters of Pillow's own font, one after the other, accents drawn over (cedillas: under) them."""

    def __init__(self, size: int, bold: bool) -> None:
        from PIL import ImageFont

        self._font: Any = ImageFont.load_default(size)
        self._bold = bold
        self._accent = max(2, round(size * 0.18))
        self._pen = max(1, round(size / (9 if bold else 13)))
        top = self._font.getbbox("H")[1]
        self._gap = max(1, self._accent // 3)
        self._lift = (
            self._accent + self._gap + self._pen // 2 - int(top)
        )  # room for the accent of a capital, and none for what the font leaves free
        self.height: int = math.ceil(self._font.getbbox("Hg")[3]) + self._lift

    def width(self, text: str) -> int:
        return sum(self._advance(base) for base, _ in _bases(text))

    def draw(self, pen: "ImageDraw", at: tuple[int, int], text: str, ink: str) -> None:
        x, y = at
        for base, accents in _bases(text):
            pen.text((x, y + self._lift), base, ink, self._font)
            if self._bold:
                pen.text((x + 1, y + self._lift), base, ink, self._font)
            for accent in accents:
                self._draw_accent(pen, (x, y + self._lift), (base, accent), ink)
            x += self._advance(base)

    def _advance(self, base: str) -> int:
        wide: float = self._font.getlength(base)
        return math.ceil(wide) + self._bold + (base == " ")

    def _draw_accent(self, pen: "ImageDraw", at: tuple[int, int], mark: tuple[str, str], ink: str) -> None:
        base, accent = mark
        left, top, right, bottom = (int(edge) for edge in self._font.getbbox(base))
        wide = max(self._accent + 1, min(right - left, round(1.5 * self._accent)))
        x = at[0] + (left + right - wide) / 2
        y = at[1] + (bottom if accent == _BELOW else top - self._gap - self._accent)
        for line in _ACCENTS[accent]:
            pen.line([(x + dx * wide, y + dy * self._accent) for dx, dy in line], ink, self._pen, "curve")


def _bases(text: str) -> list[tuple[str, str]]:
    """Each letter without its accents, and those accents that we can draw."""
    told: list[tuple[str, str]] = []
    for letter in text.translate(_PLAIN):
        whole = unicodedata.normalize("NFD", letter)
        told.append((whole[0], "".join(mark for mark in whole[1:] if mark in _ACCENTS)))
    return told
