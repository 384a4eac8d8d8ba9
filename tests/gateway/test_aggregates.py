"""Many rows in one: exact means, energies of levels, what cannot be joined, and completeness."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.quality import NOT_EVALUATED, PASS, SUSPECT
from balise_gateway.quality.aggregates import (
    How,
    Window,
    aggregate,
    coarse_channels,
    coarse_readings,
    energy_mean,
    function_of,
    join,
    mean,
    usual_period_ms,
    windows_of,
)
from balise_gateway.quality.series import Series, of_readings
from balise_wire.channels import channel, names
from balise_wire.items import Readings, unpack_item

HOUR = Window(3_600, 60_000)
START_MS = 1_544_313_600_000  # 2018-12-09T00:00:00Z
INT32 = st.integers(-(2**31), 2**31 - 1)


def series(column: str, values: list[int | None], flags: dict[int, int] | None = None) -> Series:
    times = [START_MS + 60_000 * (row + 1) for row in range(len(values))]
    return Series((column,), (channel(column).scale,), times, [values], {0: flags or {}})


@given(st.lists(INT32, min_size=1))
def test_the_mean_is_exact_and_halves_go_up(values: list[int]) -> None:
    assert mean(values) == math.floor(Fraction(sum(values), len(values)) + Fraction(1, 2))


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ([600, 600], 600),
        ([600, 700], 674),  # 10 log10((1e6 + 1e7) / 2) = 67.4036
        ([400, 900], 870),  # half the energy of one loud minute
        ([500] * 9 + [800], 700),  # 10 log10((9e5 + 1e8) / 10) = 70.0389
    ],
)
def test_levels_are_joined_by_their_energy(levels: list[int], told: int) -> None:
    assert energy_mean(levels, 1) == told
    assert energy_mean([level * 10 for level in levels], 2) // 10 in (told, told - 1)


def test_a_level_weighs_as_long_as_it_lasted() -> None:
    assert energy_mean([600, 700], 1, [10, 0]) == 600
    assert energy_mean([600, 700], 1, [599, 1]) == 601  # 10 log10((599e6 + 1e7) / 600) = 60.0647
    assert energy_mean([600] * 3 + [700], 1) == energy_mean([600, 700], 1, [3, 1])


@given(st.lists(st.integers(200, 1_400), min_size=1), st.sampled_from([0, 1, 2]))
def test_an_energetic_mean_lies_between_mean_and_most(levels: list[int], scale: int) -> None:
    assert mean(levels) <= energy_mean(levels, scale) <= max(levels)


def test_every_channel_has_a_function() -> None:
    told = {name: function_of(name, 3_600) for name in names()}
    assert told["pm2_5"] == told["temperature"] == "mean"
    assert told["laeq"] == told["lceq"] == "energy"
    assert told["lamax"] == told["lcpeak"] == "maximum"
    assert told["lamin"] == "minimum"
    assert told["la10"] == told["la50"] == told["la90"] == "none"
    assert told["coarse_count"] == told["sampled_volume"] == told["noise_overload"] == "sum"
    assert told["pms_status"] == "bits"
    assert told["coarse_1h_per_m3"] == "last"
    assert function_of("coarse_1h_per_m3", 86_400) == "none"  # the last hour says nothing of the day
    assert function_of("coarse_24h_low_per_m3", 86_400) == "last"
    assert function_of("pm2_5.kappa-koehler", 3_600) == "mean"


def test_percentiles_are_missing_but_bounded() -> None:
    (found,) = windows_of(series("la50", [400, 420, 610]), HOUR)[0]
    assert (found.value, found.least, found.most, found.n) == (None, 400, 610, 3)


def test_bits_and_sums() -> None:
    assert join([1, 4, 4], How("bits")) == 5
    assert join([1, 4, 4], How("sum")) == 9
    assert join([2**31 - 1, 1], How("sum")) is None  # has no place on the wire: missing, not wrong


def test_only_what_passed_counts_and_the_rest_is_told() -> None:
    values: list[int | None] = [10, 20, 99_999, None, 90, 30]
    (found,) = windows_of(series("pm2_5", values, {2: 4, 4: 3}), HOUR)[0]
    assert (found.value, found.n, found.left_out, found.least, found.most) == (20, 3, 2, 10, 30)
    assert (found.start_ms, found.end_ms) == (START_MS, START_MS + 3_600_000)
    assert (found.expected, found.completeness_pct, found.flag) == (60, 5, SUSPECT)


def test_a_window_where_all_was_left_out_has_no_value() -> None:
    (found,) = windows_of(series("pm2_5", [99_999], {0: 4}), HOUR)[0]
    assert (found.value, found.n, found.left_out, found.flag) == (None, 0, 1, PASS)


@pytest.mark.parametrize(("n", "flag"), [(44, SUSPECT), (45, PASS), (60, PASS)])
def test_three_quarters_are_enough(n: int, flag: int) -> None:
    (found,) = windows_of(series("pm2_5", [10] * n), HOUR)[0]
    assert (found.flag, found.completeness_pct) == (flag, 100 * n // 60)


def test_what_nobody_judged_makes_a_window_that_nobody_judged() -> None:
    (found,) = windows_of(series("pm2_5", [10] * 60, {0: NOT_EVALUATED}), HOUR)[0]
    assert (found.n, found.flag) == (60, NOT_EVALUATED)


def test_a_stamp_on_the_border_belongs_to_the_window_that_ends_there() -> None:
    times = [START_MS, START_MS + 1, START_MS + 3_600_000, START_MS + 3_600_001]
    found = aggregate(times, [1, 2, 3, 4], {}, How("sum"), HOUR)
    assert [(one.start_ms - START_MS, one.value) for one in found] == [(-3_600_000, 1), (0, 5), (3_600_000, 4)]


@given(st.lists(st.tuples(st.integers(0, 7_200_000), st.integers(0, 1_000), st.sampled_from([1, 1, 3, 4]))))
def test_every_row_is_in_one_window_in_any_order(rows: list[tuple[int, int, int]]) -> None:
    def windows(rows: list[tuple[int, int, int]]) -> list[object]:
        flags = {number: flag for number, (_, _, flag) in enumerate(rows) if flag != PASS}
        times, values = [START_MS + at for at, _, _ in rows], [value for _, value, _ in rows]
        return list(aggregate(times, values, flags, How("mean"), HOUR))

    found = windows(rows)
    assert sum(one.n + one.left_out for one in found) == len(rows)  # type: ignore[attr-defined]
    assert found == windows(rows[::-1])


def test_the_usual_period_is_the_median_gap() -> None:
    assert usual_period_ms([0, 145_000, 293_000, 438_000], 3_600) == 145_000
    assert usual_period_ms([5], 3_600) == 3_600_000
    assert Window(3_600, 148_000).expected == 24


def test_a_noise_row_is_weighed_by_its_duration() -> None:
    noise = Series(("laeq", "noise_duration"), (1, 1), [START_MS + 1, START_MS + 2], [[600, 700], [5_990, 10]])
    level, duration = (column[0].value for column in windows_of(noise, HOUR))
    assert (level, duration) == (601, 6_000)
    unknown = Series(noise.names, noise.scales, noise.times_ms, [[600, 700], [5_990, None]])
    assert windows_of(unknown, HOUR)[0][0].value == 674


def test_coarse_rows_go_over_the_wire() -> None:
    rows = [START_MS // 1_000 + 60 * (row + 1) for row in range(120)]
    fine = Readings(1, None, rows, [[20 + row % 2 for row in range(120)], [None] * 60 + [510] * 60], {0: [[0, 4]]})
    coarse = coarse_readings(of_readings(fine, ("pm2_5", "la10"), (1, 1), 1_000), 7, 1_000, HOUR)
    assert coarse is not None
    assert unpack_item(coarse.pack("rice")) == coarse
    assert coarse.times == [START_MS // 1_000, START_MS // 1_000 + 3_600]
    assert coarse.columns == [[21, 21], [None, None]]
    assert coarse.flags == {}
    told = coarse_channels([channel("pm2_5").manifest_entry("sds011")], 3_600)
    assert told[0]["agg"] == {"function": "mean", "window_s": 3_600, "completeness_pct": 75}


def test_rows_without_utc_and_broken_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="anchor"):
        of_readings(Readings(1, 3, [5], [[1]]), ("pm2_5",), (1,), 1_000)
    with pytest.raises(ValueError, match="whole number of ticks"):
        coarse_readings(series("pm2_5", [1]), 1, 7_000, HOUR)
    assert coarse_readings(series("pm2_5", [None]), 1, 1_000, HOUR) is None
