"""A node with sensors on 1-Wire, an analogue pin and its own supply, in a real MicroPython on a simulated ESP32."""

from pathlib import Path

from balise_sim.buses import Wire
from node.yard import Yard

ROM = "281cb801000000c6"
WIRES = (
    Wire("ds18b20", "onewire4", {"rom": ROM}),
    Wire("battery", "adc34", {"ratio_milli": 2000}),
    Wire("ina219", "i2c0", {"address": 0x41, "shunt_milliohm": 50}),
)
SENSORS = [
    {"model": "ds18b20", "onewire": 4, "rom": ROM, "bits": 11},
    {"model": "battery", "adc": 34, "ratio_milli": 2000},
    {"model": "ina219", "i2c": 0, "sda": 21, "scl": 22, "address": 0x41, "shunt_milliohm": 50},
]


def test_rows_of_a_power_node(tmp_path: Path) -> None:
    with Yard(tmp_path, wires=WIRES, sensors=SENSORS) as yard:
        devices = yard.node.bench.devices
        devices["ds18b20"].set_channel("temperature", -5.25)
        devices["battery"].set_channel("battery", 3.7)
        devices["ina219"].set_channel("supply_voltage", 12.0)
        devices["ina219"].set_channel("supply_current", 1.5)
        yard.run(6)
        temperature, battery, voltage, current, power = yard.check_nothing_lost()[-1].values
        assert temperature == -525
        assert battery is not None
        assert abs(battery - 3700) <= 15
        assert (voltage, current, power) == (12_000, 15_000, 18_000)
        (manifest,) = yard.peer.manifests()
        assert [channel["model"] for channel in manifest.map["channels"]] == ["ds18b20", "battery", *["ina219"] * 3]


def test_faults_give_no_value_and_leave_the_others_alone(tmp_path: Path) -> None:
    with Yard(tmp_path, wires=WIRES, sensors=SENSORS) as yard:
        devices = yard.node.bench.devices
        yard.run(3)
        devices["ds18b20"].fault("shorted")
        devices["battery"].fault("floating")
        yard.run(3)
        values = yard.check_nothing_lost()[-1].values
        assert values[:2] == (None, None)
        assert None not in values[2:]
        assert yard.said("sensor ds18b20: bus stuck")
        devices["ds18b20"].fault("shorted", on=False)
        devices["battery"].fault("floating", on=False)
        yard.run(3)
        assert None not in yard.check_nothing_lost()[-1].values


def test_an_option_that_the_sensor_has_not_is_told(tmp_path: Path) -> None:
    wrong = {**SENSORS[2], "model": "bme280"}
    with Yard(tmp_path, wires=WIRES, sensors=[wrong]) as yard:
        yard.run(1)
        (told,) = yard.said("config.json:")[:1]
        assert "shunt_milliohm" in told


def test_a_rom_code_that_is_no_number_is_told(tmp_path: Path) -> None:
    wrong = {**SENSORS[0], "rom": "28-1cb801000000c"}
    with Yard(tmp_path, wires=WIRES, sensors=[wrong]) as yard:
        yard.run(1)
        (told,) = yard.said("config.json:")[:1]
        assert "ds18b20" in told
