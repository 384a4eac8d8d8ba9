"""Many rows in one: the values of a window of time as one value that says what stands behind it.

Promises: integers in, integers of the same scale out; only values that passed (flag 1) or were never judged (2) count,
a suspect or failed one is left out and told as left out; each quantity is joined as it may be (a mean of decibels is
the mean of energies, a percentile cannot be joined at all); and a window that holds less than three quarters of what it
should is suspect itself. Pure: no clock, no journal. Leaves to its callers when a window is over.

* **Windows** start at multiples of their length since 1970 in UTC. A row is stamped when its sample ended, so a stamp
  on a border belongs to the window that ends there: start < stamp <= start + length. A window is named by its start.
* **Rounding**: halves go up, to the integer above (floor(x + 1/2)), as for times in `dating.py`; means are exact.
* **Three quarters**: Directive 2008/50/EC, annex XI ("criteria for checking validity"): 75 % of the values.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from balise_gateway.quality import NOT_EVALUATED, PASS, SUSPECT
from balise_gateway.quality.series import Series
from balise_wire.items import Readings

LEAST_COMPLETENESS_PCT = 75
_INT32 = 1 << 31

MEAN, ENERGY, MAXIMUM, MINIMUM, SUM, BITS, LAST, NONE = (
    "mean",  # arithmetic
    "energy",  # 10 log10 of the mean of 10^(L/10), weighted by duration where that is known
    "maximum",
    "minimum",
    "sum",
    "bits",  # every bit that was set in any of the values
    "last",  # of values that look back further than a row themselves
    "none",  # cannot be joined: `least` and `most` still bound the truth
)

_FUNCTIONS = {
    **dict.fromkeys(("laeq", "lceq"), ENERGY),
    **dict.fromkeys(("lamax", "lcpeak"), MAXIMUM),
    "lamin": MINIMUM,
    **dict.fromkeys(("la10", "la50", "la90"), NONE),  # the true one lies between the least and the most of the parts
    **dict.fromkeys(("noise_overload", "noise_under_range", "noise_duration"), SUM),
    **dict.fromkeys(("coarse_count", "sampled_volume"), SUM),
    **dict.fromkeys(("latitude", "longitude"), LAST),  # a place is a vector: the mean across the 180th meridian is none
}
_LOOKS_BACK_S = {"coarse_1h_": 3_600, "coarse_24h_": 86_400}  # sliding rates with Poisson bounds, of so many seconds
DURATION = "noise_duration"  # weighs the levels of its row


@dataclass(frozen=True)
class How:
    """A function of the list above, and the scale of the values (ENERGY needs it)."""

    function: str
    scale: int = 1


def function_of(name: str, window_s: int) -> str:
    """How the values of this channel become one value of a window; a derived channel ("pm2_5.x") as its base."""
    base = name.partition(".")[0]
    for head, back_s in _LOOKS_BACK_S.items():
        if base.startswith(head):
            return LAST if window_s <= back_s else NONE
    return BITS if base.endswith("_status") else _FUNCTIONS.get(base, MEAN)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One window of one channel. `value`, `least`, `most`: scaled integers; None where nothing can be said."""

    start_ms: int
    window_s: int
    n: int  # values that counted
    left_out: int  # values that came and did not: suspect or failed
    expected: int
    value: int | None
    least: int | None
    most: int | None
    judged: bool  # every value that counted had passed; False when some were not evaluated

    @property
    def end_ms(self) -> int:
        return self.start_ms + 1_000 * self.window_s

    @property
    def completeness_pct(self) -> int:
        """Of the expected values, rounded down; never above 100."""
        return min(100, 100 * self.n // self.expected)

    @property
    def flag(self) -> int:
        """Suspect below three quarters, else not evaluated when one of its values was, else pass."""
        if self.value is None:
            return PASS  # missing is said by its absence
        if self.completeness_pct < LEAST_COMPLETENESS_PCT:
            return SUSPECT
        return PASS if self.judged else NOT_EVALUATED


@dataclass(frozen=True)
class Window:
    """How long windows are, and how far apart the rows that they hold should be."""

    window_s: int
    period_ms: int

    @property
    def expected(self) -> int:
        """How many rows a whole window has, rounded down; at least one."""
        return max(1, 1_000 * self.window_s // max(1, self.period_ms))

    def start_of(self, utc_ms: int) -> int:
        """The start of the window that a stamp belongs to."""
        length_ms = 1_000 * self.window_s
        return (utc_ms - 1) // length_ms * length_ms


def usual_period_ms(times_ms: Sequence[int], window_s: int) -> int:
    """The median gap between rows, for a node whose period nobody knows; one window when there is one row."""
    gaps = sorted(after - before for before, after in itertools.pairwise(times_ms) if after > before)
    return gaps[len(gaps) // 2] if gaps else 1_000 * window_s


def aggregate(
    times_ms: Sequence[int],
    values: Sequence[int | None],
    flags: Mapping[int, int],
    how: How,
    window: Window,
    weights: Sequence[int | None] | None = None,
) -> list[Aggregate]:
    """The windows of one column, rising; `flags` by row, what is absent passed; `weights` are used by ENERGY only.

    `times_ms` is UTC and need not rise. A window in which no value came at all is not in the list.
    """
    by_start: dict[int, list[int]] = {}
    for row, value in enumerate(values):
        if value is not None:
            by_start.setdefault(window.start_of(times_ms[row]), []).append(row)
    found = []
    for start_ms in sorted(by_start):
        came = sorted(by_start[start_ms], key=times_ms.__getitem__)
        rows = [row for row in came if flags.get(row, PASS) in (PASS, NOT_EVALUATED)]
        counted = [value for row in rows if (value := values[row]) is not None]
        shares = shares_of(rows, weights) if how.function == ENERGY else None
        bounded = counted and how.function != BITS
        found.append(
            Aggregate(
                start_ms=start_ms,
                window_s=window.window_s,
                n=len(counted),
                left_out=len(came) - len(rows),
                expected=window.expected,
                value=join(counted, how, shares) if counted else None,
                least=min(counted) if bounded else None,
                most=max(counted) if bounded else None,
                judged=all(flags.get(row, PASS) == PASS for row in rows),
            )
        )
    return found


def shares_of(rows: Iterable[int], weights: Sequence[int | None] | None) -> list[int] | None:
    """The duration behind each row; None where that is not known of all of them."""
    known = [weights[row] for row in rows] if weights is not None else [None]
    shares = [weight for weight in known if weight is not None and weight > 0]
    return shares if len(shares) == len(known) else None


def join(values: Sequence[int], how: How, shares: Sequence[int] | None = None) -> int | None:
    """One value of many (at least one); None when they cannot be joined, or the sum has more than 32 bits."""
    if how.function == MEAN:
        return mean(values)
    joined = exact(values, how, shares)
    return math.floor(joined + 0.5) if joined is not None and -_INT32 <= joined < _INT32 else None


def exact(values: Sequence[int], how: How, shares: Sequence[int] | None = None) -> float | None:
    """The same, not rounded: still in scaled integers."""
    if how.function == ENERGY:
        return _energy(values, how.scale, shares)
    return _JOIN[how.function](values)


def mean(values: Sequence[int]) -> int:
    """The arithmetic mean, halves up."""
    n = len(values)
    return (2 * sum(values) + n) // (2 * n)


def energy_mean(levels: Sequence[int], scale: int, shares: Sequence[int] | None = None) -> int:
    """10 log10 of the weighted mean of 10^(L/10); levels in 1/10**scale dB. Halves up."""
    return math.floor(_energy(levels, scale, shares) + 0.5)


def _energy(levels: Sequence[float], scale: int, shares: Sequence[float] | None) -> float:
    steps = 10.0**scale
    weights = shares if shares is not None else [1.0] * len(levels)
    top = max(levels)  # relative to it nothing overflows
    powers = [share * 10 ** ((level - top) / (10 * steps)) for level, share in zip(levels, weights, strict=True)]
    return top + 10 * steps * math.log10(math.fsum(powers) / math.fsum(weights))


def combined(one: tuple[float, int], other: tuple[float, int], how: How) -> float | None:
    """One value of two that stand for so many each (value, n): for windows that are written bit by bit."""
    (before, n), (after, more) = one, other
    if how.function == MEAN:
        return (before * n + after * more) / (n + more)
    if how.function == ENERGY:
        return _energy([before, after], how.scale, [n, more])
    return _JOIN[how.function]([before, after])


def _bits(values: Sequence[float]) -> int:
    seen = 0
    for value in values:
        seen |= int(value)
    return seen


_JOIN: dict[str, Callable[[Sequence[float]], float | None]] = {
    MEAN: lambda values: sum(values) / len(values),
    MAXIMUM: max,
    MINIMUM: min,
    SUM: sum,
    BITS: _bits,
    LAST: lambda values: values[-1],
    NONE: lambda values: None,
}


def coarse_channels(channels: Iterable[Mapping[object, object]], window_s: int) -> list[dict[object, object]]:
    """The same channels of a manifest, with `agg`: rows are windows of `window_s`, stamped with their start."""
    return [{**channel, "agg": _agg(str(channel["n"]), window_s)} for channel in channels]


def _agg(name: str, window_s: int) -> dict[object, object]:
    function = function_of(name, window_s)
    return {"function": function, "window_s": window_s, "completeness_pct": LEAST_COMPLETENESS_PCT}


def windows_of(series: Series, window: Window) -> list[list[Aggregate]]:
    """The windows of each column."""
    weights = series.column(DURATION)
    found = []
    for number, (name, scale) in enumerate(zip(series.names, series.scales, strict=True)):
        how = How(function_of(name, window.window_s), scale)
        flags = series.flags_of(number)
        found.append(aggregate(series.times_ms, series.columns[number], flags, how, window, weights))
    return found


def coarse_readings(series: Series, manifest: int, tick_ms: int, window: Window) -> Readings | None:
    """One row for each window, stamped with its start; None when nothing came in any.

    Which windows are over is the caller's to know: hand in the rows of whole windows only. Raises ValueError for a
    window that is not a whole number of ticks.
    """
    if 1_000 * window.window_s % tick_ms:
        raise ValueError(f"a window of {window.window_s} s is not a whole number of ticks of {tick_ms} ms")
    columns = [{one.start_ms: one for one in found} for found in windows_of(series, window)]
    starts = sorted({start_ms for column in columns for start_ms in column})
    if not starts:
        return None
    values = [[column[at].value if at in column else None for at in starts] for column in columns]
    marks = {number: list(_marks(column, starts)) for number, column in enumerate(columns)}
    flags = {number: pairs for number, pairs in marks.items() if pairs}
    return Readings(manifest, None, [at // tick_ms for at in starts], values, flags)


def _marks(column: Mapping[int, Aggregate], starts: Sequence[int]) -> Iterator[list[int]]:
    for row, at in enumerate(starts):
        if at in column and column[at].flag != PASS:
            yield [row, column[at].flag]
