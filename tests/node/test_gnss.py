"""The satellite receiver's driver beyond the drivers' contract: UTC, and sentences out of anywhere."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balise_node.drivers import SensorError
from balise_node.drivers.gnss import Sensor
from balise_sim.devices.gnss import Model, sentence
from contracts.bench import Bench
from contracts.tape import Tape

WRITTEN, END = datetime(2026, 1, 1), datetime(2099, 12, 30)


def told(*bodies: str) -> Sensor:
    """A driver that hears these sentences."""
    tape = Tape({}, {})
    tape.says([b"".join(map(sentence, bodies)).hex()])
    return Sensor(tape, tape.sleep_ms)


def seconds(*date: int) -> int:
    return round(datetime(*date, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]


@given(st.datetimes(WRITTEN, END))
@settings(deadline=None, max_examples=60)
def test_utc_is_what_the_satellites_tell(moment: datetime) -> None:
    start_s = round(moment.replace(tzinfo=UTC, microsecond=0).timestamp())
    bench, model = Bench(), Model(start_utc_s=start_s)
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    bench.sleep_ms(300)
    assert sensor.utc_s() == start_s + bench.now_us // 1_000_000


@pytest.mark.parametrize(
    ("date", "time", "utc_s"),
    [
        ("311226", "235959.00", seconds(2026, 12, 31, 23, 59, 59)),
        ("010127", "000000.00", seconds(2027, 1, 1)),
        ("290228", "120000.00", seconds(2028, 2, 29, 12)),
        ("010328", "000000.00", seconds(2028, 3, 1)),
        ("010327", "000000.00", seconds(2027, 3, 1)),
        ("300630", "235960.00", seconds(2030, 7, 1)),  # a leap second is the second after it
        ("311226", "235959.98", seconds(2026, 12, 31, 23, 59, 59)),
    ],
)
def test_days_turn_over(date: str, time: str, utc_s: int) -> None:
    assert told(f"GPRMC,{time},A,4717.11437,N,00833.91522,E,0.004,77.52,{date},,,A").utc_s() == utc_s


def test_a_receiver_whose_weeks_rolled_over_is_put_right() -> None:
    bench, model = Bench(), Model(start_utc_s=seconds(2026, 9, 21))
    model.fault("rolled_over")
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    assert sensor.utc_s() == seconds(2026, 9, 21) + bench.now_us // 1_000_000


@pytest.mark.parametrize("fault", ["no_fix", "cold", "antenna_cut"])
def test_without_a_fix_there_is_no_utc(fault: str) -> None:
    bench, model = Bench(), Model()
    model.fault(fault)
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    bench.sleep_ms(2500)
    assert sensor.utc_s() is None


@pytest.mark.parametrize(("date", "time"), [("311326", "120000"), ("000126", "120000"), ("010126", "240000")])
def test_what_is_no_time_is_refused(date: str, time: str) -> None:
    with pytest.raises(SensorError, match="bad answer"):
        told(f"GPRMC,{time},A,,,,,,,{date},,,A").utc_s()


FIELD = st.text(st.sampled_from("0123456789.,-NSEWAVM$"), max_size=12)


@given(st.lists(st.lists(FIELD, max_size=16), max_size=4))
@settings(deadline=None, max_examples=300)
def test_any_fields_under_a_right_checksum(sentences: list[list[str]]) -> None:
    bodies = [f"GP{kind}," + ",".join(fields) for fields in sentences for kind in ("GGA", "RMC")]
    for ask in (lambda: told(*bodies).sample(), lambda: (told(*bodies).utc_s(),)):
        try:
            values = ask()
        except SensorError as error:
            names = error.what
        else:
            names = ""
            assert all(value is None or abs(value) < 1 << 31 for value in values)
        assert names in ("", "bad answer", "silent", "unasked", "garbage", "checksum")
