"""Nodes with Sensirion's particle sensors, in a real MicroPython on a simulated ESP32: all channels of each fit."""

from pathlib import Path

from balise_sim.buses import Wire
from node.yard import Yard


def test_sps30_over_uart(tmp_path: Path) -> None:
    sensors = [{"model": "sps30_uart", "uart": 2, "tx": 17, "rx": 16}]
    with Yard(tmp_path, wires=[Wire("sps30_uart", "uart2")], sensors=sensors) as yard:
        sensor = yard.node.bench.devices["sps30_uart"]
        sensor.set_channel("n10_per_cm3", 17.125)
        sensor.set_channel("typical_particle_size", 0.61e-6)
        yard.run(4)
        values = yard.check_nothing_lost()[-1].values
        assert values[1] == 120, "PM2.5 of the yard's air"
        assert values[8:] == (17_125, 610, 0)
        sensor.fault("fan_stopped")
        yard.run(3)
        values = yard.check_nothing_lost()[-1].values
        assert (values[1], values[10]) == (120, 16), "what the sensor has given is kept beside its status"
        sensor.fault("fan_stopped", on=False)
        sensor.fault("silence")
        yard.run(3)
        assert set(yard.check_nothing_lost()[-1].values) == {None}
        assert yard.said("sensor sps30_uart: silent")
        sensor.fault("silence", on=False)
        yard.run(3)
        assert None not in yard.check_nothing_lost()[-1].values


def test_sen66_with_its_fifteen_channels(tmp_path: Path) -> None:
    sensors = [{"model": "sen66", "i2c": 0, "sda": 21, "scl": 22}]
    with Yard(tmp_path, wires=[Wire("sen66", "i2c0")], sensors=sensors) as yard:
        yard.node.bench.devices["sen66"].set_channel("co2", 812.0)
        yard.run(4)
        values = yard.check_nothing_lost()[-1].values
        assert (values[1], *values[4:6], values[8], values[14]) == (120, 5000, 2150, 812, 0)
