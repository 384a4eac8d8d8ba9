"""What a display shows: letters where they belong, nothing else, and what a node writes on it."""

from pathlib import Path

import pytest

from balise_node.drivers import SensorError
from balise_node.drivers._font import columns
from balise_node.drivers.ssd1306 import Sensor
from balise_sim.buses import Wire
from balise_sim.devices.ssd1306 import HEIGHT, WIDTH, Model
from contracts.bench import Bench
from node.yard import CONFIG, WIRES, Yard

HI = """\
█   █  ▀█▀
█▄▄▄█   █
█   █   █
▀   ▀  ▀▀▀"""


class Rig:
    """A display and its driver, set up."""

    def __init__(self) -> None:
        self.bench, self.model = Bench(), Model()
        self.sensor = Sensor(self.bench.bus(self.model), self.bench.sleep_ms)
        self.sensor.wake()


def read(model: Model, line: int) -> str:
    """What the dots of a line spell."""
    rows = model.picture()[8 * line : 8 * line + 8]
    text = ""
    for letter in range(21):
        cells = [sum(rows[y][6 * letter + x] << y for y in range(8)) for x in range(6)]
        found = [code for code in range(32, 96) if list(columns(chr(code))) == cells[:5]]
        text += "?" if not found or cells[5] else chr(found[0])
    return text.rstrip()


def test_the_picture_of_two_letters() -> None:
    rig = Rig()
    rig.sensor.show(["Hi"])
    assert rig.model.drawn().rstrip() == HI


def test_nothing_is_lit_before_it_is_set_up() -> None:
    model = Model()
    assert not any(map(any, model.picture()))
    model.write(b"\x00\xaf", 0)  # on, but without the charge pump
    assert not any(map(any, model.picture()))


def test_show_leaves_nothing_of_before() -> None:
    rig = Rig()
    assert any(map(any, rig.model.picture())), "the memory holds anything after power came"
    rig.sensor.show(["one", "two", "three"])
    rig.sensor.show([])
    assert not any(map(any, rig.model.picture()))


def test_lines_and_letters_that_do_not_fit_are_cut() -> None:
    rig = Rig()
    rig.sensor.show([f"{number} ABCDEFGHIJKLMNOPQRSTUVWXYZ" for number in range(10)])
    assert [read(rig.model, line) for line in range(8)] == [f"{number} ABCDEFGHIJKLMNOPQRS" for number in range(8)]


def test_the_picture_is_again_there_after_a_power_cut() -> None:
    rig = Rig()
    rig.model.reset(rig.bench.now_us)
    rig.sensor.sample()
    rig.sensor.show(["back"])
    assert read(rig.model, 0) == "BACK"
    rig.sensor.sleep()
    assert read(rig.model, 0) == "BACK"


def test_a_display_that_is_gone_is_told() -> None:
    rig = Rig()
    rig.model.fault("nack")
    with pytest.raises(SensorError, match="nack"):
        rig.sensor.show(["gone"])


def test_other_ways_to_address_the_memory() -> None:
    """DS 10.1.3: page by page wraps within its page, vertical goes down first."""
    model = Model()
    model.write(b"\x00\x20\x02\xb3\x0f\x17\xaf", 0)  # page 3, column 7F
    model.write(b"\x40\x11\x22", 0)
    assert (model.memory[3 * WIDTH + 127], model.memory[3 * WIDTH]) == (0x11, 0x22)
    model.write(b"\x00\x20\x01\x21\x05\x06\x22\x06\x07", 0)
    model.write(b"\x40\x01\x02\x03\x04\x05", 0)
    assert bytes(model.memory[6 * WIDTH + 5 : 6 * WIDTH + 7]) == b"\x05\x03"
    assert bytes(model.memory[7 * WIDTH + 5 : 7 * WIDTH + 7]) == b"\x02\x04"
    assert len(model.picture()) == HEIGHT


def test_a_node_writes_its_values(tmp_path: Path) -> None:
    sensors = [*CONFIG["sensors"], {"model": "ssd1306", "i2c": 0, "sda": 21, "scl": 22}]
    with Yard(tmp_path, wires=(*WIRES, Wire("ssd1306", "i2c0")), sensors=sensors) as yard:
        display = yard.node.bench.devices["ssd1306"]
        assert isinstance(display, Model)
        yard.node.bench.devices["bme280"].set_channel("temperature", -0.07)
        yard.run(4)
        shown = [read(display, line) for line in range(8)]
        assert shown == [
            "PM2_5 12.0",
            "PM10 20.0",
            "TEMPERATURE -0.07",
            "HUMIDITY 50.00",
            "PRESSURE 101325",
            "",
            "",
            "",
        ]
        assert len(yard.check_nothing_lost()[-1].values) == 5
        display.fault("nack")
        yard.node.bench.devices["sds011"].fault("silence")
        yard.run(3)
        assert yard.said("sensor ssd1306: nack")
        assert len(yard.said("sensor ssd1306:")) == 1, "told once, not each minute"
        display.fault("nack", on=False)
        yard.run(3)
        assert read(display, 0) == "PM2_5 -"
        assert len(yard.said("sensor ssd1306: works again")) == 1
