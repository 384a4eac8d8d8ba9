"""What the drivers of humidity and CO2 sensors do beyond the drivers' contract."""

import pytest

from balise_node.drivers import SensorError, scd4x, scd30, sht4x
from balise_sim.devices import scd4x as scd4x_model
from balise_sim.devices import scd30 as scd30_model
from balise_sim.devices import sht4x as sht4x_model
from contracts.bench import Bench


def test_an_sht4x_tells_its_number_and_heats() -> None:
    bench, model = Bench(), sht4x_model.Model()
    sensor = sht4x.Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    assert sensor.serial == 0x0F5A31C7
    assert sensor.sample() == (2000, 5500)
    hot_centi_c, dry_centi_pct = sensor.heat()
    assert hot_centi_c == 7000
    assert 0 < dry_centi_pct < 1000


@pytest.mark.parametrize(("driver", "model", "longest_ms"), [(scd4x, scd4x_model, 7000), (scd30, scd30_model, 3500)])
def test_a_co2_sensor_measures_on_between_samples_and_answers_in_time(driver, model, longest_ms: int) -> None:
    """A sample waits for a measurement, but never as long as the 8 s of a Pico's watchdog."""
    bench, device = Bench(), model.Model()
    sensor = driver.Sensor(bench.bus(device), bench.sleep_ms)
    sensor.wake()
    for minute in range(5):
        device.set_channel("co2", 500 + minute)
        began_us = bench.now_us
        assert sensor.sample()[0] == 500 + minute
        assert bench.now_us - began_us < longest_ms * 1000
        sensor.sleep()
        bench.sleep_ms(60_000)
        device.set_channel("co2", 5000)  # is measured meanwhile, and must not be given as now
        bench.sleep_ms(20_000)
        calls = bench.calls
        sensor.wake()
        assert bench.calls == calls
    sensor.sample()  # what was measured before the fault is read and thrown away by the next one
    device.fault("never_ready")
    began_us = bench.now_us
    with pytest.raises(SensorError, match="not ready"):
        sensor.sample()
    assert bench.now_us - began_us < longest_ms * 1000


def test_an_scd30_whose_clock_is_held_is_read_again_after_the_timeout() -> None:
    bench, device = Bench(), scd30_model.Model()
    bench.now_us = 3_000_000
    sensor = scd30.Sensor(bench.bus(device), bench.sleep_ms)
    sensor.wake()
    device.fault("holds_clock")
    assert sensor.sample()[0] == 600
