"""1-Wire buses and analogue pins: what the VM's modules find on them, and what is on the wire."""

from collections.abc import Callable
from pathlib import Path

import pytest

from balise_boards import load_board
from balise_sim.buses import Bench, Wire, WiringError
from balise_sim.buses.onewire import Line
from balise_sim.devices._onewire import crc8
from balise_sim.devices.ds18b20 import Model as Ds18b20
from balise_sim.node import Node
from balise_sim.world import World, install_firmware

Run = Callable[..., Node]
Boot = Callable[..., Node]
SCAN = """
from machine import Pin
from onewire import OneWire
for pin in {pins}:
    bus = OneWire(Pin(pin))
    print(pin, bus.reset(), sorted(bytes(rom).hex() for rom in bus.scan()), bus.readbit())
"""


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def roms(count: int) -> list[str]:
    """Codes that differ early, late, and hardly."""
    starts = [bytes((0x28,)) + (0x0F0F * number).to_bytes(6, "little") for number in range(count)]
    return [(start + bytes((crc8(start),))).hex() for start in starts]


def test_the_checksum_of_the_application_note() -> None:
    """Maxim application note 27: 02 1C B8 01 00 00 00 has A2."""
    assert crc8(bytes.fromhex("021cb801000000")) == 0xA2
    assert crc8(bytes.fromhex("021cb801000000a2")) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_a_scan_finds_every_chip_on_the_wire(run: Run, count: int) -> None:
    wires = [Wire("ds18b20", "onewire4", {"rom": rom}) for rom in roms(count)]
    node = run(SCAN.format(pins=(4,)), wires)
    assert texts(node) == [f"4 {count > 0} {sorted(roms(count))} 1"]


def test_a_pin_without_a_wire_is_idle(run: Run) -> None:
    node = run(SCAN.format(pins=(22,)), [Wire("ds18b20", "onewire4")])
    assert texts(node) == ["22 False [] 1"]


def test_two_chips_are_told_apart_by_their_codes() -> None:
    cold, warm = (Ds18b20(rom) for rom in roms(2))
    cold.set_channel("temperature", -10.0)
    warm.set_channel("temperature", 30.0)
    line = Line((cold, warm))
    found = []
    for chip in (cold, warm):
        line.reset(0)
        line.run(b"\x55" + chip.rom + b"\x44", 10_000)
        line.reset(800_000)
        line.run(b"\x55" + chip.rom + b"\xbe", 810_000)
        found.append(int.from_bytes(line.run(b"\xff\xff", 820_000), "little", signed=True) / 16)
    assert found == [-10.0, 30.0]


def test_a_chip_says_when_its_conversion_is_done() -> None:
    """DS18B20 data sheet, "convert T": read slots give 0 until then; at 9 bits it takes an eighth of the time."""
    for settings, done_us in ((0x7F, 675_000), (0x1F, 84_375)):
        chip = Ds18b20()
        line = Line((chip,))
        line.reset(0)
        line.run(b"\xcc\x4e\x4b\x46" + bytes((settings,)), 0)
        line.reset(0)
        line.run(b"\xcc\x44", 0)
        assert line.bit(1, done_us - 10_000) == 0
        assert line.bit(1, done_us + 10_000) == 1


def test_bus_time_of_onewire_is_charged(run: Run) -> None:
    node = run(
        "import time\nfrom machine import Pin\nfrom onewire import OneWire\nbus = OneWire(Pin(4))\n"
        "start = time.ticks_us()\nbus.reset()\nbus.write(b'\\xcc\\xbe')\nbus.readinto(bytearray(9))\n"
        "print(time.ticks_diff(time.ticks_us(), start))\n",
        [Wire("ds18b20", "onewire4")],
    )
    assert texts(node) == [str(960 + 11 * 8 * 70 + 3)]


READ = """
from machine import ADC, Pin
adc = ADC(Pin({pin}))
print(hasattr(adc, "read_uv"), adc.read_u16())
"""


@pytest.mark.parametrize(("board", "pin", "low"), [("esp32", 34, 142_000), ("pico_w", 26, 0)])
def test_an_esp32_cannot_see_ground(run: Run, board: str, pin: int, low: int) -> None:
    node = run(READ.format(pin=pin), board=board)
    assert texts(node) == [f"{board == 'esp32'} {low * 65535 // 3_300_000}"]


def test_a_pin_without_a_converter_is_refused(run: Run) -> None:
    node = run("from machine import ADC, Pin\ntry:\n    ADC(Pin(17))\nexcept ValueError as error:\n    print(error)\n")
    assert texts(node) == ["invalid pin"]


def test_a_battery_on_a_pico_w(world: World, boot: Boot, tmp_path: Path) -> None:
    """The rp2 port has no read_uv()."""
    node = boot(
        "import time\nfrom machine import ADC, Pin\nfrom balise_node.drivers.battery import Sensor\n"
        "print(*Sensor(ADC(Pin(27)), time.sleep_ms, ratio_milli=2000).sample())\n",
        [Wire("battery", "adc27", {"ratio_milli": 2000})],
        board="pico_w",
    )
    install_firmware(tmp_path / "air-01")
    node.bench.devices["battery"].set_channel("battery", 4.0)
    world.loop.run_until_complete(world.run_for(5))
    assert abs(int(texts(node)[0]) - 4000) <= 15


def test_a_pin_has_one_voltage() -> None:
    bench = Bench(load_board("esp32"), lambda: None)
    bench.attach(Wire("battery", "adc34"))
    with pytest.raises(WiringError, match="one voltage"):
        bench.attach(Wire("battery", "adc34"))
