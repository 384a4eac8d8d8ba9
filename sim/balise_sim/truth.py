"""The truth of a stretch of time, to compare a sensor's row with.

Promises: one way to take the mean, for recorded and for made-up air. Leaves to others what there is at a moment.
"""

import math
from collections.abc import Callable

US_PER_S = 1_000_000
LEVELS = ("laeq",)  # in dB: their mean is that of the energy


def mean(quantity: Callable[[int], float], name: str, span_us: tuple[int, int], step_s: int) -> float:
    """The mean of a quantity from one moment of the world to another, looked at every so many seconds."""
    values = [quantity(us) for us in range(*span_us, step_s * US_PER_S)]
    if name in LEVELS:
        return 10 * math.log10(sum(10 ** (level / 10) for level in values) / len(values))
    return sum(values) / len(values)
