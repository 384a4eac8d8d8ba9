"""What the SGP41's driver tells beyond the drivers' contract: its index, its pace, its conditioning, and on a board."""

from pathlib import Path
from typing import Any

import pytest

from balise_node.drivers.sgp41 import Sensor
from balise_sim.buses import Wire
from balise_sim.devices.sgp41 import Model
from contracts.bench import Bench
from node.yard import Yard

I2C = {"i2c": 0, "sda": 21, "scl": 22}
GAS_NODE: dict[str, Any] = {"sensors": [{"model": "sgp41", **I2C}, {"model": "bme280", **I2C}]}


def sampled(sensor: Sensor, bench: Bench, period_s: int, count: int) -> list[tuple[int | None, ...]]:
    """Samples of a node that does not rest between rows."""
    rows = []
    for _ in range(count):
        rows.append(sensor.sample())
        bench.sleep_ms(period_s * 1000)
    return rows


def test_an_index_every_ten_seconds_and_none_when_slower() -> None:
    for period_s, indices in ((10, (100, 1)), (11, (None, None))):
        bench, model = Bench(), Model()
        sensor = Sensor(bench.bus(model), bench.sleep_ms, period_s=period_s)
        sensor.wake()
        rows = sampled(sensor, bench, period_s, 60)
        assert rows[4] == (30000, 16000, None, None)
        assert rows[-1] == (30000, 16000, *indices)


def test_gas_raises_the_index() -> None:
    bench, model = Bench(), Model()
    sensor = Sensor(bench.bus(model), bench.sleep_ms, period_s=10)
    sensor.wake()
    sampled(sensor, bench, 10, 100)
    model.set_channel("voc_raw", 28000.0)
    assert max(row[2] or 0 for row in sampled(sensor, bench, 10, 20)) > 300


def test_the_conditioning_ends_in_time_whatever_the_node_does_next() -> None:
    """A NOx pixel that is conditioned for more than 10 s is destroyed; a node may take minutes to its first row."""
    bench, model = Bench(), Model()
    sensor = Sensor(bench.bus(model), bench.sleep_ms)
    began_us = bench.now_us
    sensor.wake()
    assert 5_000_000 < bench.now_us - began_us < 8_000_000  # a Pico's watchdog waits no longer
    bench.sleep_ms(300_000)
    sensor.sample()
    assert not model.is_burnt


def test_an_sgp40_gives_what_it_has() -> None:
    bench, model = Bench(), Model(variant="sgp40")
    sensor = Sensor(bench.bus(model), bench.sleep_ms, period_s=10)
    sensor.wake()
    assert sampled(sensor, bench, 10, 60)[-1] == (30000, None, 100, None)


@pytest.mark.parametrize(("period_s", "indices"), [(10, (100, 1)), (60, (None, None))])
def test_on_a_board_beside_a_bme280(tmp_path: Path, period_s: int, indices: tuple[int | None, ...]) -> None:
    with_sgp41 = Yard(tmp_path, period_s=period_s, **GAS_NODE)
    with_sgp41.node.bench.attach(Wire("sgp41", "i2c0"))
    with with_sgp41 as yard:
        yard.run(6)
        rows = yard.check_nothing_lost()
        assert yard.kept()[-1].values == (30000, 16000, *indices, 2150, 5000, 101_325)
        assert len(rows) >= 5 * 60 // period_s
        assert len(yard.said("boot ")) == 1
