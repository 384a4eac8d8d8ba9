"""A straight line between a sensor and a reference, by least squares, with what it is worth.

Promises reference = offset + gain * sensor (+ term * RH), the standard error of each coefficient, the residual's
standard deviation, R2, RMSE, nRMSE (of the reference's mean) and the CV between both (EPA/600/R-20/280, "Performance
testing protocols": standard deviation of both units about their mean, of the mean of all). Plain Python. Leaves to
`colocation.py` whether the pairs allow a fit at all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fit:
    """`coefficients`: offset, gain and, if fitted, the humidity term per %RH; `errors`: their standard errors."""

    n: int
    coefficients: tuple[float, ...]
    errors: tuple[float, ...]
    residual_sd: float
    r2: float
    rmse: float
    nrmse_pct: float
    cv_pct: float


def apply(coefficients: Sequence[float], value: float, humidity_pct: float = 0.0) -> float:
    """What the line makes of a value."""
    offset, gain, *more = coefficients
    return offset + gain * value + (more[0] * humidity_pct if more else 0.0)


def fit(sensor: Sequence[float], reference: Sequence[float], humidity_pct: Sequence[float] | None = None) -> Fit:
    """The line through these pairs. ValueError when a column does not vary, or is the other's multiple."""
    columns = [list(sensor)] if humidity_pct is None else [list(sensor), list(humidity_pct)]
    n, p = len(reference), len(columns) + 1
    if n <= p:
        raise ValueError(f"{n} pairs for {p} coefficients")
    means = [math.fsum(column) / n for column in columns]
    middle = math.fsum(reference) / n
    centred = [[value - mean for value in column] for column, mean in zip(columns, means, strict=True)]
    target = [value - middle for value in reference]
    inverse = _inverse([[_dot(one, other) for other in centred] for one in centred])
    moments = [_dot(column, target) for column in centred]
    slopes = [_dot(row, moments) for row in inverse]
    offset = middle - _dot(slopes, means)
    residuals = [value - _dot(slopes, [column[row] for column in centred]) for row, value in enumerate(target)]
    left, whole = _dot(residuals, residuals), _dot(target, target)
    variance = left / (n - p)
    lever = 1 / n + sum(means[i] * inverse[i][j] * means[j] for i in range(p - 1) for j in range(p - 1))
    errors = [math.sqrt(variance * lever), *(math.sqrt(variance * inverse[i][i]) for i in range(p - 1))]
    rmse = math.sqrt(left / n)
    return Fit(
        n=n,
        coefficients=(offset, *slopes),
        errors=tuple(errors),
        residual_sd=math.sqrt(variance),
        r2=1 - left / whole if whole else 0.0,
        rmse=rmse,
        nrmse_pct=_percent(rmse, middle),
        cv_pct=cv_pct([sensor, reference]),
    )


def cv_pct(units: Sequence[Sequence[float]]) -> float:
    """How much units side by side differ: in per cent of the mean of all."""
    n, count = len(units[0]), len(units)
    means = [math.fsum(unit[row] for unit in units) / count for row in range(n)]
    off = math.fsum((unit[row] - means[row]) ** 2 for unit in units for row in range(n))
    return _percent(math.sqrt(off / (n * count - 1)), math.fsum(means) / n)


def _percent(part: float, whole: float) -> float:
    return abs(100 * part / whole) if whole else math.inf


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Of one or two columns' products; ValueError when they do not vary on their own."""
    if len(matrix) == 1:
        if matrix[0][0] <= 0:
            raise ValueError("the sensor did not move")
        return [[1 / matrix[0][0]]]
    (a, b), (_, d) = matrix
    determinant = a * d - b * b
    if determinant <= 1e-9 * a * d:
        raise ValueError("sensor and humidity moved together: their effects cannot be told apart")
    return [[d / determinant, -b / determinant], [-b / determinant, a / determinant]]
