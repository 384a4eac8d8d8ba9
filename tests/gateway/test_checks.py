"""The tests in time against flags that ioos_qc gave, the recorded days without false alarms, and what each is for."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from balise_gateway.quality import FAIL, PASS, SUSPECT, gross_range
from balise_gateway.quality.checks import Column, flat_line, rate_of_change, spike
from balise_gateway.quality.cross import Cross
from balise_gateway.quality.gross_range import Range
from balise_gateway.quality.limits import Limits, LimitSettings, LimitTable
from balise_gateway.quality.neighbour import disagree, is_outlying

ORACLE = json.loads((Path(__file__).parent / "qartod_flags.json").read_text())
HOUR_MS = 3_600_000


def column(case: dict[str, Any]) -> Column:
    return Column([1_000 * case["step_s"] * row for row in range(len(case["values"]))], case["values"])


def agree(case: dict[str, Any], told: list[int], found: list[tuple[int, int]]) -> None:
    """Where the oracle judged (2 is not evaluated, 9 missing), its flag is ours."""
    ours = dict(found)
    for row, flag in enumerate(told):
        if flag in (PASS, SUSPECT, FAIL):
            assert ours.get(row, PASS) == flag, (row, case["values"])


@pytest.mark.parametrize("case", [case for case in ORACLE["cases"] if "spike" in case])
def test_as_ioos_qc_does(case: dict[str, Any]) -> None:
    limits = Limits(rate_per_min=30, rate_fail_per_min=150, spike=30, spike_fail=150)
    agree(case, case["spike"]["flags"], spike.find(column(case), limits))
    after_missing = {
        row + 1 for row, value in enumerate(case["values"]) if value is None
    }  # we look across, it does not
    told = [2 if row in after_missing else flag for row, flag in enumerate(case["rate"]["flags"])]
    agree(case, told, rate_of_change.find(column(case), limits))
    low, high = case["gross"]["fail"]
    fails = [gross_range.flag(value, Range(low, high)) == FAIL for value in case["values"]]
    assert fails == [flag == FAIL for flag in case["gross"]["flags"]]  # our range has no suspect band


@pytest.mark.parametrize("case", [case for case in ORACLE["cases"] if "flat" in case])
def test_a_flat_line_as_ioos_qc_sees_it(case: dict[str, Any]) -> None:
    limits = Limits(flat_ms=1_000 * case["flat"]["suspect_s"], flat_fail_ms=1_000 * case["flat"]["fail_s"])
    agree(case, case["flat"]["flags"], flat_line.find(column(case), limits))


def test_the_oracle_judged_every_kind() -> None:
    told = Counter((test, flag) for case in ORACLE["cases"] for test in case for flag in set(dict_flags(case[test])))
    assert {(test, flag) for test in ("spike", "rate", "flat") for flag in (PASS, SUSPECT, FAIL)} <= set(told)


def dict_flags(told: Any) -> list[int]:
    return list(told["flags"]) if isinstance(told, dict) else []


def test_a_step_is_no_spike_and_the_values_beside_one_are_not_doubted() -> None:
    limits = Limits(spike=50)
    assert spike.find(Column([0, 1, 2, 3], [10, 10, 200, 200]), limits) == []
    assert spike.find(Column([0, 1, 2, 3, 4], [11, 10, 200, 11, 10]), limits) == [(2, SUSPECT)]


def test_after_a_long_gap_nothing_is_compared() -> None:
    limits = Limits(rate_per_min=1, spike=1)
    assert rate_of_change.find(Column([0, HOUR_MS + 1], [0, 99_999]), limits) == []
    assert rate_of_change.find(Column([0, HOUR_MS], [0, 61]), limits) == [(1, SUSPECT)]
    assert spike.find(Column([0, HOUR_MS + 1, HOUR_MS + 2], [0, 9, 0]), limits) == []


def test_rows_closer_than_a_minute_are_allowed_what_a_minute_is() -> None:
    assert rate_of_change.find(Column([0, 5_000], [0, 10]), Limits(rate_per_min=10)) == []


def test_humidity_stuck_at_100_is_told() -> None:
    limits = LimitTable().of("humidity", 2)
    assert limits is not None
    hours = Column([HOUR_MS * hour for hour in range(100)], [10_000] * 100)
    found = flat_line.find(hours, limits)
    assert found[0] == (24, SUSPECT)
    assert (96, FAIL) in found


def test_finer_dust_cannot_weigh_more() -> None:
    cross = Cross(("pm1", "pm2_5", "pm10"), (1, 1, 1))
    found = set(cross.find([[50, 50, None], [60, 39, 10], [61, 61, 5]]))
    assert found == {("size_order", 0, 1), ("size_order", 1, 1)}  # 0.5 more is rounding, and missing is not less


def test_coarse_particles_in_wet_air_and_in_dust() -> None:
    cross = Cross(("coarse_count", "humidity", "pm2_5", "pm10"), (0, 2, 1, 1))
    columns = [[3, 3, 3, None], [8_600, 8_500, None, 9_000], [100, 100, 100, 100], [400, 501, 400, 400]]
    assert set(cross.find(columns)) == {("wet_particles", 0, 0), ("dust", 0, 1)}


def test_titanlib_buddies() -> None:
    """titanlib's buddy check: values 0 (8 times), 0.1 and 1; threshold 1, least spread 0.01: the last two stand out."""
    values = [0.0] * 8 + [0.1, 1.0]
    out = [is_outlying(value, values[:at] + values[at + 1 :], 0.01, 1.0) for at, value in enumerate(values)]
    assert out == [False] * 8 + [True, True]


def test_one_wrong_neighbour_does_not_make_the_others_wrong() -> None:
    assert not is_outlying(10.0, [10.5, 9.8, 300.0], 5.0)
    assert is_outlying(300.0, [10.5, 9.8, 10.0], 5.0)
    assert not is_outlying(300.0, [10.5, 9.8], 5.0)  # two do not outvote one


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [(10, 15, False), (10, 15.1, False), (10, 18.7, False), (10, 18.9, True), (1, 5.9, False), (100, 200, True)],
)
def test_two_dust_sensors_side_by_side(one: float, other: float, told: bool) -> None:
    assert disagree(one, other, 5.0) == disagree(other, one, 5.0) == told


def test_limits_are_overridden_one_by_one_and_switched_off_by_zero() -> None:
    table = LimitTable(
        [LimitSettings(channel="temperature", rate_per_min=1.5, flat_h=0), LimitSettings(channel="co2", near=9)]
    )
    limits = table.of("temperature", 2)
    assert limits is not None
    assert (limits.rate_per_min, limits.flat_ms, limits.spike) == (150, None, 500)
    assert table.of("battery", 3) is None
    derived, base = table.of("pm2_5.kappa_koehler", 1), table.of("pm2_5", 1)
    assert derived == base
