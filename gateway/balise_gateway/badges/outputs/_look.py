"""Colours and shapes of the states: one table for screens, pages and lights.

Promises that each state has a shape of its own, so that nobody needs colours; that ink stands out from its background
by at least 4.5:1 (WCAG 2.1, 1.4.3); and that only "accepted" is green. Shapes are lines in a square of 100, so that
Pillow and SVG draw the same. Leaves words to `_words.py`.
"""

import math
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A line through these points, or a filled polygon."""

    points: tuple[Point, ...]
    filled: bool = False


@dataclass(frozen=True)
class Ring:
    """A circle, or a disc."""

    centre: Point
    radius: float
    filled: bool = False


Shape = tuple[Stroke | Ring, ...]


@dataclass(frozen=True)
class Look:
    """How a state looks. `symbol` names the shape, for people who write about it."""

    background: str
    ink: str
    symbol: str
    shape: Shape


WIDTH = 8.0  # of lines, in hundredths of the symbol


def _box(left: float, top: float, right: float, bottom: float, *, filled: bool = False) -> Stroke:
    return Stroke(((left, top), (right, top), (right, bottom), (left, bottom), (left, top)), filled)


def _heart(angle: float) -> Point:
    """The usual parametric heart (16 sin³, 13 cos - 5 cos 2 - 2 cos 3 - cos 4), in the square."""
    up = 13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle) - math.cos(4 * angle)
    return round(50 + 2.7 * 16 * math.sin(angle) ** 3, 1), round(46 - 2.7 * up, 1)


_CARD: Shape = (
    _box(18, 56, 82, 92),
    Stroke(((50, 8), (50, 44))),
    Stroke(((34, 29), (50, 45), (66, 29))),
    _box(28, 72, 46, 82, filled=True),
)
_TICK: Shape = (Ring((50, 50), 44), Stroke(((28, 52), (44, 68), (73, 34))))
_BUBBLE: Shape = (
    Stroke(((8, 14), (92, 14), (92, 70), (50, 70), (30, 92), (30, 70), (8, 70), (8, 14))),
    *(Ring((x, 42), 3, True) for x in (28, 50, 72)),
)
_HEART: Shape = (Stroke(tuple(_heart(step * math.tau / 40) for step in range(41))),)
_QUESTION: Shape = (
    Stroke(((50, 4), (96, 50), (50, 96), (4, 50), (50, 4))),
    Stroke(((37, 41), (39, 32), (46, 27), (55, 27), (62, 33), (62, 39), (51, 47), (50, 56))),
    Ring((50, 74), 3, True),
)
_PLUG: Shape = (
    Stroke(((30, 40), (70, 40), (70, 58), (60, 70), (40, 70), (30, 58), (30, 40))),
    Stroke(((39, 40), (39, 22))),
    Stroke(((61, 40), (61, 22))),
    Stroke(((50, 70), (50, 94))),
    Stroke(((6, 14), (94, 86))),
)
_ARROW: Shape = (
    Stroke(((50, 66), (50, 10))),
    Stroke(((26, 34), (50, 10), (74, 34))),
    Stroke(((10, 60), (10, 90), (90, 90), (90, 60))),
)
_HOURGLASS: Shape = (
    Stroke(((18, 8), (82, 8), (18, 92), (82, 92), (18, 8))),
    Stroke(((38, 78), (50, 62), (62, 78)), True),
)

LOOKS = {
    "ready": Look("#12355b", "#ffffff", "card under an arrow", _CARD),
    "accepted": Look("#0a7d46", "#ffffff", "tick in a ring", _TICK),
    "desk": Look("#ffc533", "#1a1a1a", "speech bubble", _BUBBLE),
    "no_credit": Look("#6a3fb5", "#ffffff", "heart", _HEART),
    "unknown": Look("#c9400f", "#ffffff", "question mark in a diamond", _QUESTION),
    "unplugged": Look("#1f1f1f", "#ffffff", "plug, struck out", _PLUG),
    "sending": Look("#cfe3f5", "#12253a", "arrow out of a tray", _ARROW),
    "away": Look("#8c8c8c", "#111111", "hourglass", _HOURGLASS),
}


def svg(look: Look) -> str:
    """The shape as SVG that takes its colour from the text around it."""
    return f'<svg viewBox="-4 -4 108 108" aria-hidden="true">{"".join(_element(part) for part in look.shape)}</svg>'


def _element(part: Stroke | Ring) -> str:
    fill = "currentColor" if part.filled else "none"
    pen = f'fill="{fill}" stroke="currentColor" stroke-width="{WIDTH:g}" stroke-linejoin="round" stroke-linecap="round"'
    if isinstance(part, Ring):
        return f'<circle cx="{part.centre[0]:g}" cy="{part.centre[1]:g}" r="{part.radius:g}" {pen}/>'
    return f'<polyline points="{" ".join(f"{x:g},{y:g}" for x, y in part.points)}" {pen}/>'
