"""The checks that look at more than one value of a column: one module each, found by its name.

The contract, of a module `checks/<reason>.py` (the stem is the reason that people are told):

* `QARTOD`: the number of the test in the IOOS QARTOD manuals.
* `find(column, limits)`: (row, flag) of the rows that are suspect or fail, rows rising. Row -1 is the last one before,
  which only a check that looks ahead may judge. Pure; rows rise in time; a missing value is neither judged nor
  compared with; a test whose limit is None finds nothing.

`tests/contracts/test_check.py` holds each of them to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from balise_gateway.quality.limits import Limits

Found = list[tuple[int, int]]
LONGEST_GAP_MS = 3_600_000  # beyond it two rows say nothing of each other: the test is not made


@dataclass(frozen=True, slots=True)
class Column:
    """One column of rows that follow each other in time, after at most two (ms, value) that came `before` them."""

    times_ms: Sequence[int]
    values: Sequence[int | None]
    before: tuple[tuple[int, int], ...] = ()
    since_ms: int = 0  # since when the last value before has been the same

    def present(self) -> Iterator[tuple[int, int, int]]:
        """(row, ms, value) of the values that are there; rows -2 and -1 are those before."""
        for number, (at_ms, value) in enumerate(self.before):
            yield number - len(self.before), at_ms, value
        for row, told in enumerate(self.values):
            if told is not None:
                yield row, self.times_ms[row], told


class Check(Protocol):
    """A module of this package."""

    QARTOD: int

    def find(self, column: Column, limits: Limits) -> Found: ...
