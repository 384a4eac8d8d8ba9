"""A table of your own: raw values and what they really are, with straight lines between.

Promises nothing outside of the table: what is not between its ends is not corrected.
"""

import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from balise_gateway.quality.models import Corrected, CorrectionSettings, clipped
from balise_gateway.settings import Key

VERSION = 1
SOURCE = "the host's own table"


@dataclass(frozen=True, kw_only=True)
class Settings(CorrectionSettings):
    """[[correction]] kind = "table" """

    points: Annotated[str, Key('raw value and true value, two pairs or more, such as "0 0, 50 41.5, 200 150"')]

    def problem(self) -> str | None:
        try:
            points = parse(self.points)
        except ValueError:
            points = []
        rising = all(before < after for (before, _), (after, _) in itertools.pairwise(points))
        if len(points) >= 2 and rising:
            return None
        return f'points = {self.points!r}: write two pairs or more, raw values rising, such as "0 0, 50 41.5"'


class Model:
    """The lines between the points."""

    NEEDS_HUMIDITY = False

    def __init__(self, settings: Settings) -> None:
        self._text, self._points = settings.points, parse(settings.points)

    def problem_with(self, entry: Mapping[object, object]) -> str | None:
        return None

    def corrected(self, value: float, humidity_pct: float) -> Corrected | None:
        points = self._points
        if not points[0][0] <= value <= points[-1][0]:
            return None
        after = min(bisect_right(points, value, key=lambda point: point[0]), len(points) - 1)
        (low, from_), (high, to) = points[after - 1], points[after]
        true = from_ + (to - from_) * (value - low) / (high - low)
        return Corrected(true) if from_ < 0 or to < 0 else clipped(true)

    def told(self) -> dict[str, str]:
        return {"points": self._text}


def parse(text: str) -> list[tuple[float, float]]:
    """The pairs of a table; ValueError for what is no pair of numbers."""
    pairs = []
    for pair in text.split(","):
        raw, true = pair.split()
        pairs.append((float(raw), float(true)))
    if not all(math.isfinite(number) for pair in pairs for number in pair):
        raise ValueError(text)
    return pairs
