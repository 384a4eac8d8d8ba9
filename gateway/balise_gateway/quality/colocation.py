"""Two series side by side: paired, judged, and made into a proposal.

Promises pairs of means over common windows of which both series have three quarters; and a refusal with every reason
when the overlap is too short, too thin, too narrow or shows two different things. Nothing is corrected here: a proposal
becomes a record only when somebody asks for it, and a correction when the host configures it.

The limits: 7 days side by side (EPA asks for 14 to 30), R2 of 0.7 (EPA's target for PM2.5, EPA/600/R-20/280), and a
reference that has moved by at least the channel's `near` (`limits.py`) between its 5th and its 95th percentile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balise_gateway.quality.aggregates import (
    LEAST_COMPLETENESS_PCT,
    MEAN,
    How,
    Window,
    aggregate,
    function_of,
    usual_period_ms,
)
from balise_gateway.quality.fit import Fit, fit
from balise_gateway.quality.limits import LimitTable

LEAST_DAYS, LEAST_R2, LEAST_HUMIDITY_SPAN = 7.0, 0.7, 20.0
DAY_MS = 86_400_000
_STEPS = 1_000_000  # values become integers of a millionth, so that aggregates are exact
_LINEAR = (MEAN,)


@dataclass(frozen=True)
class Points:
    """One channel of one device: UTC and values in the channel's unit; `flags` by row."""

    times_ms: Sequence[int]
    values: Sequence[float | None]
    flags: Mapping[int, int]


@dataclass(frozen=True)
class Pairs:
    """Means of common windows, rising in time."""

    window_s: int
    starts_ms: list[int]
    sensor: list[float]
    reference: list[float]
    humidity_pct: list[float] | None

    @property
    def days(self) -> float:
        """From the first window to the end of the last."""
        return (self.starts_ms[-1] - self.starts_ms[0] + 1_000 * self.window_s) / DAY_MS if self.starts_ms else 0.0


@dataclass(frozen=True)
class Proposal:
    """A fit, and why it must not be used: an empty list when it may."""

    pairs: Pairs
    fit: Fit | None
    refusals: list[str]


def pair(sensor: Points, reference: Points, humidity: Points | None, window_s: int) -> Pairs:
    """The windows that all series have."""
    series = [_means(points, window_s) for points in (sensor, reference, *([humidity] if humidity else []))]
    common = sorted(set(series[0]).intersection(*series[1:]))
    columns = [[means[start] for start in common] for means in series]
    return Pairs(window_s, common, columns[0], columns[1], columns[2] if humidity else None)


def propose(channel: str, pairs: Pairs, least_days: float = LEAST_DAYS) -> Proposal:
    """What the pairs say, and every reason why they do not say enough."""
    refusals = _refusals(channel, pairs, least_days)
    try:
        found = fit(pairs.sensor, pairs.reference, pairs.humidity_pct)
    except ValueError as error:
        return Proposal(pairs, None, [*refusals, str(error)])
    if found.r2 < LEAST_R2:
        refusals.append(f"R2 is {found.r2:.2f}, less than {LEAST_R2}: they do not measure the same")
    if found.coefficients[1] <= 0:
        refusals.append(f"the gain is {found.coefficients[1]:.3g}: when the reference rises, the sensor falls")
    return Proposal(pairs, found, refusals)


def _refusals(channel: str, pairs: Pairs, least_days: float) -> list[str]:
    told = []
    if function_of(channel, pairs.window_s) not in _LINEAR:
        told.append(f"{channel} is not joined by a mean: a straight line does not fit it")
    wanted = int(least_days * DAY_MS / 1_000 / pairs.window_s * LEAST_COMPLETENESS_PCT / 100)
    if pairs.days < least_days:
        told.append(f"{pairs.days:.1f} days side by side; at least {least_days:g}")
    if len(pairs.starts_ms) < wanted:
        told.append(f"{len(pairs.starts_ms)} common windows of {pairs.window_s} s; at least {wanted}")
    if pairs.reference:
        told += _too_narrow(channel, pairs)
    return told


def _too_narrow(channel: str, pairs: Pairs) -> list[str]:
    limits = LimitTable().of(channel, 0)
    least, moved = (limits.near if limits is not None else None) or 0.0, _span(pairs.reference)
    told = []
    if moved < least or not moved:
        told.append(f"the reference moved by {moved:.3g} only; at least {least:g}")
    if pairs.humidity_pct is not None and _span(pairs.humidity_pct) < LEAST_HUMIDITY_SPAN:
        span = _span(pairs.humidity_pct)
        told.append(f"humidity moved by {span:.3g} points only; at least {LEAST_HUMIDITY_SPAN:g}, or fit without it")
    return told


def _span(values: Sequence[float]) -> float:
    """From the 5th to the 95th percentile."""
    rising, last = sorted(values), len(values) - 1
    return rising[last - last // 20] - rising[last // 20]


def _means(points: Points, window_s: int) -> dict[int, float]:
    """The mean of each window that is three quarters full, by its start."""
    values = [None if value is None else round(value * _STEPS) for value in points.values]
    window = Window(window_s, usual_period_ms(sorted(points.times_ms), window_s))
    found = aggregate(points.times_ms, values, points.flags, How(MEAN), window)
    return {
        one.start_ms: one.value / _STEPS
        for one in found
        if one.value is not None and one.completeness_pct >= LEAST_COMPLETENESS_PCT
    }
