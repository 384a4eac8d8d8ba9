"""Neighbours (QARTOD test 10): a value that its neighbours of the same site contradict.

Promises: among four nodes or more that stand side by side, a value that is further from the median of the others than
the channel's `near` and than four robust standard deviations is suspect; of two nodes whose dust disagrees (Barkjohn
2021, channel agreement: more than 5 ug/m3 and more than 61 %) both are. Three nodes leave it open who is wrong.
Pure. Leaves to `judge.py` who the neighbours are and when they measured.
"""

from collections.abc import Sequence

QARTOD = 10
LEAST_NEIGHBOURS = 3
DEVIATIONS = 4.0
_MAD_TO_SD = 1.4826  # of a normal distribution
_PAIR_SHARE = 0.61


def is_outlying(value: float, others: Sequence[float], near: float, deviations: float = DEVIATIONS) -> bool:
    """Is `value` far from these neighbours (three or more)? Median and median absolute deviation: one of the others
    may be wrong too. `near` is the distance that is always allowed, in the unit of the values."""
    if len(others) < LEAST_NEIGHBOURS:
        return False
    middle = median(others)
    spread = _MAD_TO_SD * median([abs(other - middle) for other in others])
    return abs(value - middle) > max(near, deviations * spread)


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of both."""
    rising, half = sorted(values), len(values) // 2
    return rising[half] if len(rising) % 2 else (rising[half - 1] + rising[half]) / 2


def disagree(one: float, other: float, near: float) -> bool:
    """Do two dust sensors side by side contradict each other? Shares are of their mean."""
    off = abs(one - other)
    return off > near and off > _PAIR_SHARE * (one + other) / 2
