"""Recorded days: nothing real in them is doubted, and each fault that is put into them is, for its reason."""

import csv
import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

import pytest

from balise_gateway.nodes.manifests import Columns, witnessed
from balise_gateway.quality.aggregates import Window, windows_of
from balise_gateway.quality.judge import Judge, Verdicts
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.series import of_readings
from balise_wire.channels import channel
from balise_wire.items import Manifest, Readings

FIELDS = {
    "pm10": "pm10_ugm3",
    "pm2_5": "pm2_5_ugm3",
    "temperature": "temperature_c",
    "humidity": "relative_humidity_pct",
    "pressure": "pressure_pa",
}
NAMES = tuple(FIELDS)
SCALES = tuple(channel(name).scale for name in NAMES)
Table = list[list[int | None]]


def columns_of(*names: str) -> Columns:
    entries = [channel(name).manifest_entry("any") for name in names]
    return witnessed(Manifest(1, {"tick_ms": 1_000, "channels": entries}), "urn:dev:ops:1")


@cache
def recorded(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader((files("balise_sim") / "data" / file).read_text().splitlines()))


def air() -> tuple[list[int], Table]:
    """1,179 rows of two winter days in Aberdeen: an SDS011 and a BME280."""
    rows = recorded("air_aberdeen_sds011_bme280.csv")
    times = [int(datetime.fromisoformat(row["time_utc"]).timestamp()) for row in rows]
    return times, [
        [round(float(row[field]) * 10**scale) for row in rows]
        for field, scale in zip(FIELDS.values(), SCALES, strict=True)
    ]


def sound() -> tuple[list[int], Table]:
    """10,080 minutes of LAeq."""
    rows = recorded("noise_laeq_1min.csv")
    times = [int(datetime.fromisoformat(row["time_local"]).replace(tzinfo=UTC).timestamp()) for row in rows]
    return times, [[round(float(row["laeq_dba"]) * 10) if row["laeq_dba"] else None for row in rows]]


def judged(times: list[int], table: Table, *names: str) -> tuple[Verdicts, set[tuple[str, str, int]]]:
    """The verdicts, and (reason, channel, row) of each doubt; five rows come at a time, as from a node."""
    judge, verdicts, columns = Judge(LimitTable(), {}, deque()), Verdicts(), columns_of(*names)
    for first in range(0, len(times), 5):
        part = slice(first, first + 5)
        item = Readings(1, None, times[part], [column[part] for column in table])
        judge.judge(b"n" * 8, item, columns, verdicts)
        assert item.columns == [column[part] for column in table]
    rows = {at * 1_000: row for row, at in enumerate(times)}
    return verdicts, {(doubt.reason, doubt.channel, rows[doubt.at_ms]) for doubt in judge.recent}


def test_nothing_real_is_doubted_in_air() -> None:
    _, doubts = judged(*air(), *NAMES)
    assert {reason for reason, _, _ in doubts} <= {"gap"}  # the station was silent for a while, in fact


def test_nothing_real_is_doubted_in_sound() -> None:
    verdicts, doubts = judged(*sound(), "laeq")
    assert {reason for reason, _, _ in doubts} <= {"gap"}
    assert set(verdicts.counts) <= {"flag gap", "flag missing"}


def _set(table: Table, name: str, rows: range, value: Callable[[int], int | None]) -> None:
    column = table[NAMES.index(name)]
    for row in rows:
        column[row] = value(column[row] or 0)


@pytest.mark.parametrize(
    ("name", "rows", "value", "told"),
    [
        ("temperature", range(500, 501), lambda v: v + 700, {("spike", 500)}),  # over 148 s: too slow for the rate
        (
            "temperature",
            range(500, 501),
            lambda v: v + 2_600,
            {("spike", 500), ("rate_of_change", 500), ("rate_of_change", 501)},
        ),
        ("temperature", range(500, 501), lambda v: -14_200, {("gross_range", 500)}),
        ("pressure", range(500, 600), lambda v: v + 300, {("rate_of_change", 500), ("rate_of_change", 600)}),
        ("pm2_5", range(500, 501), lambda v: 2_200, {("spike", 500), ("size_order", 500)}),
        ("pm10", range(500, 501), lambda v: 99, set()),  # somebody smokes
        ("humidity", range(500, 501), lambda v: 10_100, {("gross_range", 500)}),
        ("humidity", range(500, 501), lambda v: None, set()),
    ],
)
def test_what_is_put_in_is_found(
    name: str, rows: range, value: Callable[[int], int | None], told: set[tuple[str, int]]
) -> None:
    times, table = air()
    _set(table, name, rows, value)
    _, doubts = judged(times, table, *NAMES)
    assert {(reason, row) for reason, channel, row in doubts if channel == name} == told


def test_a_stuck_sensor_is_found_after_its_hours() -> None:
    times, table = air()
    _set(table, "humidity", range(400, len(times)), lambda v: 9_990)
    _, doubts = judged(times, table, *NAMES)
    stuck = sorted(row for reason, channel, row in doubts if (reason, channel) == ("flat_line", "humidity"))
    assert times[stuck[0]] - times[400] >= 24 * 3_600 > times[stuck[0] - 1] - times[400]
    assert stuck == list(range(stuck[0], len(times)))


def test_an_hour_of_sound_is_joined_by_its_energy() -> None:
    """Against the sum written out in full, and always above the mean of the decibels."""
    times, table = sound()
    readings = of_readings(Readings(1, None, times, table), ("laeq",), (1,), 1_000)
    (hours,) = windows_of(readings, Window(3_600, 60_000))
    assert len(hours) == 168
    for hour in hours[1:-1]:
        levels = [
            value / 10
            for at, value in zip(times, table[0], strict=True)
            if value is not None and hour.start_ms < at * 1_000 <= hour.end_ms
        ]
        told = 10 * math.log10(sum(10 ** (level / 10) for level in levels) / len(levels))
        assert hour.value is not None
        assert hour.value / 10 == pytest.approx(told, abs=0.0501)
        assert hour.value / 10 >= sum(levels) / len(levels) - 0.05
