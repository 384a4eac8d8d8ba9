"""The interval of a count holds the true mean as often as it says; sums of an hour and a day hold what they should."""

import math
from itertools import pairwise

import pytest

from balise_node.drivers._counting import Window, mean_interval, per_m3
from balise_node.drivers.opc_n3 import Sensor
from balise_sim.devices.opc_n3 import Model
from contracts.bench import Bench
from node.interpreters import micropython

TAIL = 0.025  # of the Poisson distribution, left out at each end
COUNTS = [*range(120), *range(120, 2000, 61), 5000, 20_000, 100_000]
MINUTE_CS, MINUTE_VOLUME = 6000, 28_020  # 4.67 ml/s, in 0.01 ml


def pmf(count: int, mean: float) -> float:
    """Poisson, in logarithms: a float for any count."""
    if mean == 0:
        return 1.0 if count == 0 else 0.0
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def at_most(count: int, mean: float) -> float:
    """The chance of that many or fewer: summed term by term, downwards until the terms vanish."""
    total, term, at = 0.0, pmf(count, mean), count
    while at >= 0 and term > total * 1e-18:
        total += term
        term *= at / mean if mean else 0.0
        at -= 1
    return total


def at_least(count: int, mean: float) -> float:
    total, term, at = 0.0, pmf(count, mean), count
    while term > total * 1e-18:
        total += term
        at += 1
        term *= mean / at
    return total


@pytest.mark.parametrize("count", COUNTS)
def test_the_interval_is_the_exact_one_rounded_outward(count: int) -> None:
    """By what defines it: at each bound, a count so far off has a chance of 2.5 %, a little less for the rounding."""
    low, high = (bound / 1000 for bound in mean_interval(count))
    inward = 0.012  # of a count
    if count == 0:
        assert low == 0
    else:
        assert at_least(count, low) <= TAIL
        assert at_least(count, low + inward) > TAIL
    assert at_most(count, high) <= TAIL
    assert at_most(count, high - inward) > TAIL


def test_coverage_is_at_least_95_percent_for_every_mean() -> None:
    """Summed over all counts, without chance; the worst means lie just beyond the bounds of some count."""
    bounds = [[bound / 1000 for bound in mean_interval(count)] for count in range(420)]
    beyond = [low - 1e-7 for low, _ in bounds[1:]] + [high + 1e-7 for _, high in bounds]
    means = sorted([mean for mean in beyond if 0 < mean < 300] + [1.05**n / 1000 for n in range(250)])
    worst = 1.0
    for mean in means:
        reach = range(max(0, int(mean - 9 * mean**0.5 - 9)), min(len(bounds), int(mean + 9 * mean**0.5 + 20)))
        covered = math.fsum(pmf(count, mean) for count in reach if bounds[count][0] <= mean <= bounds[count][1])
        worst = min(worst, covered)
    assert 0.95 <= worst < 0.96, "exact, and not much wider than it need be"


def test_published_values() -> None:
    """Garwood 1936, as tables of confidence limits print them."""
    assert mean_interval(0) == (0, 3689)
    assert mean_interval(10) == (4795, 18391)
    low, high = mean_interval(100)
    assert (low // 10, -(-high // 10)) == (8136, 12163)


def test_bounds_grow_with_the_count() -> None:
    for (low, high), (next_low, next_high) in pairwise([mean_interval(count) for count in range(2000)]):
        assert low < next_low < next_high
        assert high < next_high


def test_the_same_digits_on_a_board() -> None:
    counts = [*range(0, 100, 3), 1000, 31_337, 589_815]
    script = "from balise_node.drivers._counting import *\nprint([(mean_interval(n), per_m3(n, n + 99)) for n in {}])"
    printed = micropython(script.format(counts), heap="40wK")
    assert eval(printed) == [(mean_interval(n), per_m3(n, n + 99)) for n in counts]


@pytest.mark.parametrize("count", [0, 1, 7, 40, 5000])
def test_concentrations_are_rounded_outward(count: int) -> None:
    volume = 123_457  # 0.01 ml
    value, low, high = per_m3(count, volume)
    m3 = volume * 1e-8
    bounds = mean_interval(count)
    assert value == round(count / m3 * 10)
    assert 0 <= bounds[0] / 1000 / m3 * 10 - low < 1
    assert 0 <= high - bounds[1] / 1000 / m3 * 10 < 1


def test_hardly_any_air_says_nothing() -> None:
    assert per_m3(0, 99) == (None, None, None)
    assert per_m3(0, 100) == (0, 0, 36_890_000)


@pytest.mark.parametrize("per_true_m3", [20, 800, 4000, 15_000, 60_000])
def test_the_drivers_interval_covers_the_models_truth(per_true_m3: int) -> None:
    """The real driver on the real model, one minute each: seeded, so it passes always or never."""
    covered = 0
    for seed in range(80):
        bench, model = Bench(), Model(seed=seed)
        model.set_channel("coarse_per_m3", per_true_m3)
        sensor = Sensor(bench.bus(model, Sensor.LINE), bench.sleep_ms)
        bench.sleep_ms(2000)
        sensor.wake()
        bench.sleep_ms(60_000)
        told = dict(zip(Sensor.CHANNELS, sensor.sample(), strict=True))
        covered += told["coarse_1h_low_per_m3"] <= per_true_m3 * 10 <= told["coarse_1h_high_per_m3"]
    assert covered >= 0.95 * 80


def test_a_window_holds_what_was_counted_so_far_and_then_at_most_its_span() -> None:
    window = Window(12, 30_000)
    for minute in range(1, 200):
        window.add(1, MINUTE_VOLUME, MINUTE_CS + minute % 5 - 2, doubtful=False)
        count, volume, _ = window.totals()
        assert volume == count * MINUTE_VOLUME
        assert count == minute if minute <= 60 else 56 <= count <= 60


@pytest.mark.parametrize("late_cs", [-3, 0, 3])
def test_a_day_of_half_hours(late_cs: int) -> None:
    window = Window(48, 180_000)
    held = []
    for _ in range(3 * 24 * 60):
        window.add(2, MINUTE_VOLUME, MINUTE_CS + late_cs, doubtful=False)
        held.append(window.totals()[0] // 2)
    assert max(held) == 24 * 60
    assert min(held[24 * 60 :]) == 23 * 60 + 31


def test_an_interval_longer_than_a_block_has_one_of_its_own() -> None:
    window = Window(3, 100)
    for count in (1, 2, 3, 4):
        window.add(count, 10, 250, doubtful=False)
    assert window.totals() == (9, 30, 0)


def test_doubtful_volume_falls_out_with_its_block() -> None:
    window = Window(2, 100)
    window.add(1, 10, 100, doubtful=True)
    assert window.totals() == (1, 10, 10)
    window.add(1, 20, 100, doubtful=False)
    assert window.totals() == (2, 30, 10)
    window.add(1, 40, 100, doubtful=False)
    assert window.totals() == (2, 60, 0)
