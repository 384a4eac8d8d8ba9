"""Pictures for small displays: 320 × 240 in colour, 128 × 64 in one bit; the same words and shapes as everywhere.

Promises that every text fits: the largest letters are taken that leave none outside, and `plan` says where each line
goes; that accents are drawn whichever letters the machine has (`_letters.py`). Leaves devices to the kinds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from balise_gateway.badges.outputs import _letters
from balise_gateway.badges.outputs._letters import Letters
from balise_gateway.badges.outputs._look import LOOKS, WIDTH, Look, Ring, Stroke
from balise_gateway.badges.outputs._words import Said

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_FINER = 4
_EDGE = 4.0  # round the square of a shape, for the width of its lines
_LIT = 100  # of 255: a dot of a display without greys
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Area:
    """Where a text goes, and the sizes to try, largest first."""

    box: Box
    sizes: tuple[int, ...]
    bold: bool = False
    short: bool = False  # takes the short form of what to do


@dataclass(frozen=True)
class Layout:
    """A display: its size, whether it has colours, where the symbol goes and where each text."""

    width: int
    height: int
    colours: bool
    symbol: Box
    headline: Area
    text: Area
    credit: Area
    foot: Area


@dataclass(frozen=True)
class Line:
    """One line of text in its place."""

    text: str
    x: int
    y: int
    letters: Letters


COLOUR = Layout(
    320,
    240,
    True,
    (10, 16, 90, 96),
    Area((102, 10, 312, 102), (32, 28, 25, 22, 20), bold=True),
    Area((12, 110, 310, 184), (21, 19, 17, 15, 14)),
    Area((12, 187, 310, 212), (19, 17, 15), bold=True),
    Area((12, 216, 310, 236), (14, 13, 12)),
)
MONO = Layout(
    128,
    64,
    False,
    (0, 2, 24, 26),
    Area((28, 0, 128, 26), (14, 13, 12, 11, 10, 9), bold=True),
    Area((0, 26, 128, 51), (11, 10, 9), short=True),
    Area((0, 51, 128, 64), (11, 10, 9), bold=True, short=True),
    Area((0, 51, 128, 64), (11, 10, 9)),
)


def plan(said: Said, layout: Layout, letters: _letters.Source) -> list[Line]:
    """Where each line goes. The credit has the foot's place where both have one: credit is what people look for."""
    told = [
        (layout.headline, said.headline),
        (layout.text, said.short if layout.text.short else said.text),
        (layout.credit, said.credit_short if layout.credit.short else said.credit),
    ]
    if not (said.credit and layout.foot.box == layout.credit.box):
        told.append((layout.foot, said.foot))
    return [line for area, text in told if text for line in _placed(area, text, letters)]


def picture(said: Said, layout: Layout, letters: _letters.Source) -> "Image":
    """The drawn picture: mode "RGB", or "1" where the display has no colours."""
    from PIL import Image, ImageDraw

    look = LOOKS[said.state]
    paper, ink = (look.background, look.ink) if layout.colours else ("black", "white")
    image = Image.new("RGB" if layout.colours else "1", (layout.width, layout.height), paper)
    pen = ImageDraw.Draw(image)
    pen.fontmode = "L" if layout.colours else "1"
    _symbol(image, look, layout.symbol, ink)
    for line in plan(said, layout, letters):
        line.letters.draw(pen, (line.x, line.y), line.text, ink)
    return image


def _placed(area: Area, text: str, letters: _letters.Source) -> list[Line]:
    """In the largest size that fits, in the middle of the area's height."""
    left, top, right, bottom = area.box
    for size in area.sizes:
        face = letters(size, area.bold)
        lines = _wrapped(text, right - left, face)
        room = bottom - top - len(lines) * face.height
        if room >= 0 and all(face.width(line) <= right - left for line in lines):
            break
    return [Line(line, left, top + max(0, room) // 2 + n * face.height, face) for n, line in enumerate(lines)]


def _wrapped(text: str, width: int, face: Letters) -> list[str]:
    lines: list[str] = []
    for word in text.split(" "):  # not at a space that does not break
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and face.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _symbol(image: "Image", look: Look, box: Box, ink: str) -> None:
    """Drawn larger and made small, so that its edges are smooth."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    mask = Image.new("L", ((right - left) * _FINER, (bottom - top) * _FINER))
    pen = ImageDraw.Draw(mask)
    scale = (right - left) * _FINER / (100 + 2 * _EDGE)
    stroke = max(2 * _FINER, round(WIDTH * scale))
    for part in look.shape:
        _draw(pen, part, scale, stroke)
    small = mask.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    image.paste(ink, box, small if image.mode == "RGB" else small.point(lambda lit: 255 * (lit > _LIT), "1"))


def _draw(pen: "ImageDraw", part: Stroke | Ring, scale: float, stroke: int) -> None:
    half = stroke / 2

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return (point[0] + _EDGE) * scale, (point[1] + _EDGE) * scale

    def disc(centre: tuple[float, float], radius: float, *, filled: bool) -> None:
        x, y = at(centre)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255 if filled else None, 255, stroke)

    if isinstance(part, Ring):
        disc(part.centre, part.radius * scale + half, filled=part.filled)
        return
    points = [at(point) for point in part.points]
    if part.filled:
        pen.polygon(points, 255)
    pen.line(points, 255, stroke, "curve")
    for point in part.points:
        disc(point, half, filled=True)
