"""What the BME680's sheet says of its heated plate, beyond what our driver's vectors show."""

import pytest

from balise_node.drivers.bme680 import Sensor
from balise_sim.devices.bme680 import Model
from contracts.bench import Bench

SECOND_US = 1_000_000


def registers(model: Model, start: int, count: int, at_us: int) -> bytes:
    model.write(bytes((start,)), at_us)
    return model.read(count, at_us)


@pytest.mark.parametrize("around_c", [-40.0, 0.0, 25.0, 85.0])
def test_the_plate_gets_as_hot_as_the_driver_wants(around_c: float) -> None:
    """The driver's integer formula against the floating one, which it follows coarsely; DS: 200 to 400 Cel."""
    bench, model = Bench(), Model()
    model.set_channel("temperature", around_c)
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    for _ in range(2):
        sensor.wake()
        sensor.sample()
        assert not sensor.flags
    assert model.heated_to_c == pytest.approx(300, abs=20)


def test_a_plate_that_was_heated_too_shortly_is_not_stable() -> None:
    model = Model()
    for wait, status in ((0x04, 0x20), (0x59, 0x30)):
        model.write(bytes((0x72, 1, 0x5A, 0x65, 0x64, wait, 0x71, 0x10, 0x74, 0x25)), 0)
        assert registers(model, 0x2B, 1, SECOND_US)[0] & 0x30 == status


def test_without_gas_a_measurement_is_short_and_its_gas_not_valid() -> None:
    """API: 1 ms, three samples of 1.963 ms, four switches of 0.477 ms."""
    model = Model()
    model.write(bytes((0x72, 1, 0x71, 0, 0x74, 0x25)), 0)
    assert registers(model, 0x1D, 1, 8_700) == b"\x20"
    assert registers(model, 0x1D, 1, 8_900) == b"\x80"
    assert registers(model, 0x2B, 1, 8_900)[0] & 0x30 == 0


def test_while_it_heats_the_status_says_so() -> None:
    model = Model()
    model.write(bytes((0x72, 1, 0x5A, 0x65, 0x64, 0x59, 0x71, 0x10, 0x74, 0x25)), 0)
    assert registers(model, 0x1D, 1, 50_000) == b"\x60"
    assert registers(model, 0x1D, 1, 120_000) == b"\x80"
    model.write(bytes((0x74, 0x25)), 130_000)
    assert registers(model, 0x1D, 1, 130_000) == b"\x20", "the data of before are no longer new"
