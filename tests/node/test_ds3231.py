"""The DS3231's driver as a clock: UTC in and out, through leap days and power cuts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_node.drivers import SensorError
from balise_node.drivers.ds3231 import Sensor
from balise_sim.devices.ds3231 import Model
from contracts.bench import Bench
from contracts.tape import Tape

START, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)


class Rig:
    """A clock and its driver."""

    def __init__(self) -> None:
        self.bench, self.model = Bench(), Model()
        self.sensor = Sensor(self.bench.bus(self.model), self.bench.sleep_ms)


def seconds(*date: int) -> int:
    return round(datetime(*date, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]


def test_a_clock_that_was_never_set_says_nothing() -> None:
    rig = Rig()
    assert rig.sensor.utc_s() is None
    assert rig.sensor.sample()[1] & 0x80


@given(st.datetimes(START.replace(tzinfo=None), (END - timedelta(days=2)).replace(tzinfo=None)), st.integers(0, 99_999))
def test_it_goes_on_from_what_it_was_set_to(moment: datetime, later_s: int) -> None:
    rig, utc_s = Rig(), round(moment.replace(tzinfo=UTC, microsecond=0).timestamp())
    rig.sensor.set_utc_s(utc_s)
    rig.bench.sleep_ms(later_s * 1000)
    found = rig.sensor.utc_s()
    assert found is not None
    assert utc_s + later_s <= found <= utc_s + later_s + 1
    assert not rig.sensor.sample()[1] & 0x80


@pytest.mark.parametrize(
    "date",
    [
        (2000, 1, 1),
        (2000, 2, 29),
        (2000, 12, 31),
        (2001, 1, 1),
        (2024, 2, 28),
        (2024, 3, 1),
        (2027, 3, 1),
        (2099, 12, 31),
    ],
)
def test_days_around_leap_days(date: tuple[int, ...]) -> None:
    rig = Rig()
    rig.sensor.set_utc_s(seconds(*date))
    assert rig.sensor.utc_s() == seconds(*date)
    assert rig.model.memory[3] == datetime(*date, tzinfo=UTC).isoweekday()  # type: ignore[misc, arg-type]


def test_the_time_outlives_a_power_cut_while_the_cell_lives() -> None:
    rig = Rig()
    rig.sensor.set_utc_s(seconds(2026, 7, 1))
    rig.bench.sleep_ms(3_600_000)
    rig.model.reset(rig.bench.now_us)
    assert rig.sensor.utc_s() == seconds(2026, 7, 1, 1)
    rig.model.fault("battery_dead")
    assert rig.sensor.utc_s() == seconds(2026, 7, 1, 1), "nothing is lost before the board's power goes"
    rig.model.reset(rig.bench.now_us)
    assert rig.sensor.utc_s() is None
    assert rig.sensor.sample()[1] & 0x80


def test_an_oscillator_that_stands_still_is_told() -> None:
    rig = Rig()
    rig.sensor.set_utc_s(seconds(2026, 7, 1))
    rig.model.fault("stopped")
    rig.bench.sleep_ms(60_000)
    assert rig.sensor.utc_s() is None


@pytest.mark.parametrize(
    ("registers", "date"),
    [
        ("30592303310726", (2026, 7, 31, 23, 59, 30)),
        ("00006503010126", (2026, 1, 1, 17)),  # 12-hour mode: 5 PM
        ("00005203010126", (2026, 1, 1, 0)),  # 12 AM is midnight
        ("00007203010126", (2026, 1, 1, 12)),  # 12 PM is noon
    ],
)
def test_both_ways_to_count_hours(registers: str, date: tuple[int, ...]) -> None:
    """DS figure 1."""
    tape = Tape({}, {"0": registers, "f": "08"})
    assert Sensor(tape, tape.sleep_ms).utc_s() == seconds(*date)


@pytest.mark.parametrize(
    "registers", ["7a592303310726", "00600003310726", "00002403310726", "00000003311326", "00000003000126"]
)
def test_what_is_no_time_is_refused(registers: str) -> None:
    tape = Tape({}, {"0": registers, "f": "08"})
    with pytest.raises(SensorError, match="bad answer"):
        Sensor(tape, tape.sleep_ms).utc_s()


@pytest.mark.parametrize("utc_s", [0, seconds(1999, 12, 31), seconds(2100, 1, 1)])
def test_a_year_that_the_clock_does_not_have_is_refused(utc_s: int) -> None:
    rig = Rig()
    with pytest.raises(SensorError, match="out of range"):
        rig.sensor.set_utc_s(utc_s)
