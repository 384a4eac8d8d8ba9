"""Grains counted in a volume of air: sums over the last hour and day, and what they say of the concentration.

Promises an interval that holds the true mean of a Poisson count with at least 95 %, by integers only, so that boards
with 32-bit floats give the same digits. Leaves to the drivers what a grain is. The sums are in memory only: after a
restart they begin at zero, and the volume that each row tells says how much air was seen.
"""

from array import array

# The exact bounds of the mean when 0 to 29 were counted, in thousandths: half the 2.5 % quantile of chi-square with 2n
# degrees of freedom, rounded down, and half the 97.5 % quantile with 2n + 2, rounded up.
# F. Garwood, Biometrika 28 (1936) 437-442.
# fmt: off
_LOW = (
    0, 25, 242, 618, 1089, 1623, 2201, 2814, 3453, 4115, 4795, 5491, 6200, 6921, 7653,
    8395, 9145, 9903, 10667, 11439, 12216, 12999, 13787, 14580, 15377, 16178, 16984, 17793, 18605, 19421,
)
_HIGH = (
    3689, 5572, 7225, 8768, 10242, 11669, 13060, 14423, 15764, 17085, 18391, 19683, 20962, 22231, 23490,
    24741, 25983, 27219, 28448, 29671, 30889, 32101, 33309, 34512, 35711, 36905, 38097, 39284, 40468, 41649,
)
# fmt: on
_Z_NANO = 1_959_963_985  # the 97.5 % quantile of the normal distribution, rounded up
_LEAST_VOLUME = 100  # 1 ml: in less air than a breath, no count says anything


class Window:
    """Sums over the last `blocks` blocks of block_cs hundredths of a second of counting; the last one is under way.

    So it spans at most blocks * block_cs, give or take half an interval for each block, and at the least one block less
    once it is full. Time in which nothing was counted does not age it. Volumes are in 0.01 ml.
    """

    def __init__(self, blocks: int, block_cs: int) -> None:
        self._sums = [array("i", [0] * blocks) for _ in range(3)]
        self._block_cs, self._filled_cs, self._at = block_cs, 0, 0

    def add(self, count: int, volume: int, period_cs: int, doubtful: bool) -> None:
        """What one interval of counting gave."""
        if self._filled_cs + period_cs // 2 > self._block_cs:  # an interval is where the greater part of it is
            self._at = (self._at + 1) % len(self._sums[0])
            self._filled_cs = 0
            for sums in self._sums:
                sums[self._at] = 0
        self._filled_cs += period_cs
        for sums, value in zip(self._sums, (count, volume, volume if doubtful else 0)):  # noqa: B905
            sums[self._at] += value

    def totals(self) -> tuple[int, int, int]:
        """Count, volume, and how much of the volume was doubtful."""
        counts, volumes, doubtful = self._sums
        return sum(counts), sum(volumes), sum(doubtful)


def per_m3(count: int, volume: int) -> "tuple[int, int, int] | tuple[None, None, None]":
    """Concentration and its 95 % interval, in tenths per m3; None each while there is hardly any volume (0.01 ml)."""
    if volume < _LEAST_VOLUME:
        return None, None, None
    low, high = mean_interval(count)
    tenths = 1_000_000_000  # of a grain per m3, for one in 0.01 ml
    return (
        (count * tenths + volume // 2) // volume,
        low * (tenths // 1000) // volume,
        -(-high * (tenths // 1000) // volume),
    )


def mean_interval(count: int) -> tuple[int, int]:
    """Bounds of the mean of a Poisson count, in thousandths of a count, rounded outward."""
    if count < len(_LOW):
        return _LOW[count], _HIGH[count]
    return _bound(count, -1), _bound(count + 1, 1)


def _bound(m: int, sign: int) -> int:
    """m (1 - 1 / 9m +- z / 3 sqrt(m))^3 in thousandths: E. B. Wilson and M. M. Hilferty, PNAS 17 (1931) 684-688.

    From ten counts on it lies outside the exact bounds by itself, by less than 0.01 count (a test compares them).
    """
    root_micro = _root(m * 10**12)
    spread = -(-_Z_NANO * 1_000_000 // (3 * root_micro))
    if sign > 0:
        return -(-m * 1000 * (10**9 - 10**9 // (9 * m) + spread) ** 3 // 10**27)
    return m * 1000 * (10**9 + -(10**9) // (9 * m) - spread) ** 3 // 10**27


def _root(square: int) -> int:
    """The largest integer whose square is no more (MicroPython has no isqrt)."""
    root = 1
    while root * root <= square:
        root *= 2
    while True:
        better = (root + square // root) // 2
        if better >= root:
            return root
        root = better
