"""A node with Sensirion's particle sensors on UART and I2C, in a real MicroPython on a simulated ESP32."""

from pathlib import Path

from balise_sim.buses import Wire
from node.yard import Yard

WIRES = (Wire("sps30_uart", "uart2"), Wire("sen66", "i2c0"))
GASES = ["humidity", "temperature", "voc_index", "nox_index", "co2", "sen66_status"]
SENSORS = [
    {"model": "sps30_uart", "uart": 2, "tx": 17, "rx": 16},
    {"model": "sen66", "i2c": 0, "sda": 21, "scl": 22, "channels": GASES},
]


def test_rows_flags_and_a_sensor_that_was_unplugged(tmp_path: Path) -> None:
    with Yard(tmp_path, wires=WIRES, sensors=SENSORS) as yard:
        devices = yard.node.bench.devices
        devices["sps30_uart"].set_channel("n10_per_cm3", 17.125)
        devices["sps30_uart"].set_channel("typical_particle_size", 0.61e-6)
        devices["sen66"].set_channel("co2", 812.0)
        yard.run(6)
        values = yard.check_nothing_lost()[-1].values
        assert values[1] == 120, "PM2.5 of the yard's air"
        assert values[8:11] == (17_125, 610, 0)
        assert values[11:13] == (5000, 2150)
        assert values[15:] == (812, 0)
        devices["sps30_uart"].fault("fan_stopped")
        yard.run(4)
        values = yard.check_nothing_lost()[-1].values
        assert (values[1], values[10]) == (120, 16), "what the sensor has given is kept beside its status"
        devices["sps30_uart"].fault("fan_stopped", on=False)
        devices["sps30_uart"].fault("silence")
        devices["sen66"].fault("nack")
        yard.run(4)
        assert set(yard.check_nothing_lost()[-1].values) == {None}
        assert yard.said("sensor sps30_uart: silent")
        assert yard.said("sensor sen66: nack")
        devices["sps30_uart"].fault("silence", on=False)
        devices["sen66"].fault("nack", on=False)
        yard.run(5)
        assert None not in yard.check_nothing_lost()[-1].values
