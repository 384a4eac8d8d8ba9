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
