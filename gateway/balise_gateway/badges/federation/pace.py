"""How many requests are let through from one address: a bucket that fills with time.

Promises a bounded memory: of many addresses the one that was away longest is forgotten. It is written nowhere.
"""

from collections import OrderedDict
from collections.abc import Callable

MAX_ADDRESSES = 1_000
_S_PER_MIN = 60


class Pace:
    """`now_s` is a clock that never jumps."""

    def __init__(self, per_min: int, now_s: Callable[[], float]) -> None:
        self._per_min, self._now_s = per_min, now_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # (requests left, when), by address

    def wait_s(self, address: str) -> float:
        """Takes one request; 0, or how long until the next one is let through."""
        now_s, most = self._now_s(), float(self._per_min)
        left, since_s = self._left.pop(address, (most, now_s))
        left = min(most, left + (now_s - since_s) * most / _S_PER_MIN)
        self._left[address] = (left - 1 if left >= 1 else left, now_s)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) * _S_PER_MIN / most
