"""What a street's nodes are told about their sensors."""

import json
from pathlib import Path

import pytest

from balise_node.drivers import load
from balise_sim.kits import WANTED, KitError
from balise_sim.layout import Ports, lay_out, wiring
from balise_sim.scenario import bundled, homes_of


def test_what_a_home_wants_of_a_sensor_it_has() -> None:
    for model, wanted in WANTED.items():
        assert set(wanted) < set(load(model).CHANNELS)


def test_rows_of_a_home_hold_what_it_wants(tmp_path: Path) -> None:
    site = lay_out(bundled("pair"), tmp_path, 1, Ports())
    for root in site.node_roots.values():
        for sensor in json.loads((root / "config.json").read_text(encoding="utf-8"))["sensors"]:
            assert tuple(sensor.get("channels", ())) == WANTED.get(sensor["model"], ())


def test_each_kind_of_bus_has_the_keys_and_pins_of_its_own(tmp_path: Path) -> None:
    site = lay_out(bundled("kits"), tmp_path, 1, Ports())
    found = {}
    for root in site.node_roots.values():
        for sensor in json.loads((root / "config.json").read_text(encoding="utf-8"))["sensors"]:
            found[sensor.pop("model")] = sensor
    assert found["inmp441"] == {"i2s": 0, "sck": 16, "ws": 17, "sd": 18}
    assert found["opc_n3"] == {"spi": 0, "sck": 18, "mosi": 19, "miso": 16, "cs": 9}
    assert found["ds18b20"] == {"onewire": 4}
    assert found["battery"] == {"adc": 32}
    assert found["scd4x"] == {"i2c": 0, "scl": 9, "sda": 8, "channels": ["co2"]}, "the BME280 gives the others"


def test_no_pin_has_two_wires() -> None:
    """The first ADC pins of an ESP32 are those of its I2S port."""
    (home,) = homes_of(1, ["esp32+inmp441+battery"])
    (_, sound), (_, supply) = wiring(home)
    assert not set(sound.role_pins.values()) & set(supply.role_pins.values())


def test_a_board_without_a_port_for_a_sensor_is_named() -> None:
    (home,) = homes_of(1, ["pico_w+sds011+pms5003+nextpm"])
    with pytest.raises(KitError, match="pico_w: no free uart port"):
        wiring(home)
