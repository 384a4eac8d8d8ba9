"""How often which level: what percentiles come from, and what can be merged where percentiles cannot.

Promises that merging two is the same as having counted all in one, and that means are means of energy, not of decibels.
Leaves to others which levels are counted (meter.py: Fast levels each 128 ms).
"""

from array import array

LOWEST, STEP = 2000, 50  # 20 dB, classes of 0.5 dB, in 1/100 dB
CLASSES = 240  # up to 140 dB; what lies beyond counts in the first or last


class Histogram:
    """Counts of levels, and the energy that they stand for: `energy` in `spans` of 4 ms."""

    def __init__(self) -> None:
        self.counts = array("I", bytes(4 * CLASSES))
        self.energy = self.spans = self.total = 0

    def clear(self) -> None:
        """Nothing counted."""
        for at in range(CLASSES):
            self.counts[at] = 0
        self.energy = self.spans = self.total = 0

    def add(self, level: int) -> None:
        """Count one level."""
        self.counts[min(max((level - LOWEST) // STEP, 0), CLASSES - 1)] += 1
        self.total += 1

    def merge(self, other: "Histogram") -> None:
        """Count all that the other has counted."""
        for at in range(CLASSES):
            self.counts[at] += other.counts[at]
        self.energy += other.energy
        self.spans += other.spans
        self.total += other.total

    def exceeded(self, percent: int) -> int:
        """The level that was exceeded in so much of the time, on a line within its class; needs one count."""
        above = self.total * percent  # in hundredths of a count
        at = CLASSES
        while True:
            at -= 1
            here = self.counts[at] * 100
            if here and here >= above:
                return LOWEST + STEP * (at + 1) - STEP * above // here
            above -= here
