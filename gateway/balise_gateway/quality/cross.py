"""Between the channels of one row (QARTOD test 9, multi-variate): what cannot be true of both at once.

Promises the reasons below, each with the columns and rows that it makes suspect; nothing fails here, because one does
not know which of the two is wrong. A dew point above the temperature is a humidity above 100 %: the gross range has it.

* `size_order`: finer dust that weighs more than the coarser, which contains it; 1 ug/m3 is left to rounding.
* `wet_particles`: coarse particles counted above 85 % RH, where droplets grow to their size (Crilley 2018: the OPC-N2's
  artefact begins there). Masses of fine dust keep their flag: a correction says itself where it holds.
* `dust`: coarse particles while PM10 is above 50 ug/m3 and above 5 times PM2.5 (our judgement): dust, not pollen.
"""

import itertools
from collections.abc import Iterator, Sequence
from operator import gt
from typing import cast

QARTOD = 9
SIZES = ("pm1", "pm2_5", "pm4", "pm10")
ROUNDING_UGM3 = 1.0
WET_PCT, DUST_RATIO, DUST_UGM3 = 85.0, 5.0, 50.0

Values = Sequence[int | None]
Suspects = Iterator[tuple[str, int, int]]  # (reason, column, row)


def _is_in_order(fine: Values, coarser: Values) -> bool:
    """Whole columns at once: nearly all are."""
    if None in fine or None in coarser:
        return False
    return not any(map(gt, cast(Sequence[int], fine), cast(Sequence[int], coarser)))


class Cross:
    """The pairs that a manifest's columns make. Columns of one quantity have one scale, or are not compared."""

    def __init__(self, names: Sequence[str], scales: Sequence[int]) -> None:
        self._at = {name: (number, 10.0 ** scales[number]) for number, name in enumerate(names)}
        self._pairs = [pair for suffix in ("", "_cf1") for pair in self._size_pairs(suffix)]
        self._coarse = [number for number, name in enumerate(names) if name.startswith("coarse_")]

    def find(self, columns: Sequence[Values]) -> Suspects:
        """The suspects among these rows."""
        for fine, coarser, rounding in self._pairs:
            if _is_in_order(columns[fine], columns[coarser]):
                continue
            for row, (small, large) in enumerate(zip(columns[fine], columns[coarser], strict=True)):
                if small is not None and large is not None and small > large + rounding:
                    yield "size_order", fine, row
                    yield "size_order", coarser, row
        if self._coarse:
            yield from self._of_coarse(columns)

    def _size_pairs(self, suffix: str) -> Iterator[tuple[int, int, float]]:
        present = [self._at[size + suffix] for size in SIZES if size + suffix in self._at]
        for (fine, factor), (coarser, other) in itertools.pairwise(present):
            if factor == other:
                yield fine, coarser, ROUNDING_UGM3 * factor

    def _of_coarse(self, columns: Sequence[Values]) -> Suspects:
        humidity, fine, whole = (self._in_units(columns, name) for name in ("humidity", "pm2_5", "pm10"))
        wet = [row for row, pct in enumerate(humidity) if pct is not None and pct > WET_PCT]
        dusty = [
            row
            for row, (small, all_) in enumerate(zip(fine, whole, strict=False))
            if small is not None and all_ is not None and all_ > max(DUST_UGM3, DUST_RATIO * small)
        ]
        for reason, rows in (("wet_particles", wet), ("dust", dusty)):
            for number in self._coarse:
                yield from ((reason, number, row) for row in rows if columns[number][row] is not None)

    def _in_units(self, columns: Sequence[Values], name: str) -> list[float | None]:
        """The values of a channel in its unit; none when the node has no such channel."""
        if name not in self._at:
            return []
        number, factor = self._at[name]
        return [None if value is None else value / factor for value in columns[number]]
