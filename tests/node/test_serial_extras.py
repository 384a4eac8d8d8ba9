"""What serial drivers tell beyond the drivers' contract: settings that nobody changes at each reading."""

import pytest

from balise_node.drivers import SensorError, mh_z19, nextpm, senseair_s8
from balise_sim.devices.mh_z19 import Model as MhZ19
from balise_sim.devices.nextpm import Model as NextPm
from balise_sim.devices.senseair_s8 import Model as SenseairS8
from contracts.bench import Bench


def test_nextpm_tells_what_is_inside_and_turns_its_fan() -> None:
    bench, model = Bench(), NextPm()
    model.inside_c, model.inside_pct = 31.25, 40.5
    sensor = nextpm.Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    assert sensor.inside() == (3125, 4050)
    assert sensor.firmware() == 0x1047
    assert sensor.fan_pct() == 50
    assert sensor.fan_pct(80) == 80
    assert sensor.fan_pct() == 80


def test_nextpm_is_put_to_sleep_once_however_often_it_is_told() -> None:
    """One command turns both ways, so the state is asked first."""
    bench, model = Bench(), NextPm()
    sensor = nextpm.Sensor(bench.bus(model), bench.sleep_ms)
    for act, code in ((sensor.sleep, "refused"), (sensor.sleep, "refused"), (sensor.wake, None), (sensor.wake, None)):
        act()
        bench.sleep_ms(20_000)
        try:
            assert sensor.sample()[-1] == 0
            told = None
        except SensorError as error:
            told = error.what
        assert told == code


def test_nextpm_flags_are_those_of_the_last_sample() -> None:
    bench, model = Bench(), NextPm()
    sensor = nextpm.Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    assert sensor.sample()[-1] == 0x04
    assert sensor.flags == dict.fromkeys(range(6), 4)
    bench.sleep_ms(16_000)
    assert sensor.sample()[-1] == 0
    assert sensor.flags == {}


def test_senseair_s8_self_calibration_period() -> None:
    bench, model = Bench(), SenseairS8()
    sensor = senseair_s8.Sensor(bench.bus(model), bench.sleep_ms)
    assert sensor.abc_hours() == 180
    assert sensor.abc_hours(0) == 0
    with pytest.raises(SensorError, match="refused"):
        sensor.abc_hours(4801)
    assert sensor.abc_hours() == 0


def test_senseair_s8_check_value() -> None:
    assert senseair_s8.crc16(b"123456789") == 0x4B37
    assert senseair_s8.command(4, 3, 1).hex() == "fe0400030001d5c5"


def test_mh_z19_baseline_and_zero() -> None:
    bench, model = Bench(), MhZ19()
    sensor = mh_z19.Sensor(bench.bus(model), bench.sleep_ms)
    bench.sleep_ms(200_000)
    assert sensor.sample()[0] == 600
    sensor.zero()
    bench.sleep_ms(100)
    assert sensor.sample()[0] == 400
    assert mh_z19.command(0x79, 0xA0).hex() == "ff0179a000000000e6"
    assert mh_z19.command(0x79, 0).hex() == "ff0179000000000086"
    model.baseline_ppm = 0.0
    sensor.set_baseline(False)
    bench.sleep_ms(90_000_000)
    assert [sensor.sample()[0], sensor.sample()[0]] == [600, 600]
