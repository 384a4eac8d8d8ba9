"""What the SDS011's driver tells beyond the drivers' contract."""

from balise_node.drivers.sds011 import Sensor
from balise_sim.devices.sds011 import Model
from contracts.bench import Bench


def test_firmware_and_id() -> None:
    bench, model = Bench(), Model(device_id=0x1234)
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    assert sensor.firmware() == (18, 11, 16)
    assert sensor.device_id is None
    sensor.sample()
    assert sensor.device_id == 0x1234
    model.fault("id_changed")
    sensor.sample()
    assert sensor.device_id not in (None, 0x1234)


def test_few_bus_calls() -> None:
    """Each is a round trip on a simulated board: read away, ask, read."""
    bench = Bench()
    sensor = Sensor(bench.bus(Model()), bench.sleep_ms)
    sensor.wake()
    calls = bench.calls
    sensor.sample()
    assert bench.calls - calls == 3
    sensor.sleep()
    sensor.wake()
    assert bench.calls - calls == 9


def test_a_sensor_that_had_another_life_is_set_right() -> None:
    """PR 3.1, 3.5: mode and period outlive a power cut; a sensor that works 30 s in 5 min is asleep when asked."""
    bench, model = Bench(), Model()
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    assert sensor.period_min(5) == 5
    assert sensor.speaks_unasked(True)
    model.reset(bench.now_us)
    assert sensor.period_min() == 5
    assert sensor.speaks_unasked()
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    bench.sleep_ms(60_000)
    assert sensor.sample() == (80, 140)
    assert sensor.period_min() == 0
    assert not sensor.speaks_unasked()


def test_another_id() -> None:
    bench, model = Bench(), Model(device_id=0x1234)
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    sensor.wake()
    sensor.set_id(0xBEEF)
    sensor.sample()
    assert sensor.device_id == 0xBEEF
