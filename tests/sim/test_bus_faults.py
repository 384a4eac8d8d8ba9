"""Wires go wrong as wires do: held low, shared by two chips of one address, refused, noisy; and pulses are seen."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from balise_boards import load_board
from balise_sim.buses import Bench, Wire
from balise_sim.buses.i2c import Port as I2CPort
from balise_sim.buses.uart import Port as UartPort
from balise_sim.devices.base import Quantity, Register, RegisterDevice
from balise_sim.devices.sds011 import Model as Sds011
from balise_sim.node import Node
from balise_sim.world import World
from node.yard import Yard

Boot = Callable[..., Node]
BME = Wire("bme280", "i2c0", {"address": 0x76})
ASK = """
import time
from machine import I2C, Pin
bus = I2C(0, scl=22, sda=21)
def ask():
    try:
        print(bus.readfrom_mem(0x76, 0xD0, 1)[0])
    except OSError as error:
        print('errno', error.errno)
"""
FREE = """
def clock(times):
    scl = Pin(22, Pin.OUT, value=1)
    for _ in range(times):
        scl(0)
        scl(1)
"""


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def go(world: World, duration_s: float) -> None:
    world.loop.run_until_complete(world.run_for(duration_s))


def test_a_held_data_line_is_freed_by_nine_clocks(world: World, boot: Boot) -> None:
    node = boot(
        ASK + FREE + "time.sleep(5)\nask()\nprint(Pin(21).value(), bus.scan())\nclock(8)\nask()\nclock(1)\nask()\n"
        "print(bus.scan())\n",
        [BME],
    )
    go(world, 2)
    node.bench.ports["i2c"][0].fault("stuck_data")
    go(world, 10)
    assert texts(node) == ["errno 110", "0 []", "errno 110", "96", "[118]"]


@pytest.mark.parametrize("fault", ["stuck_data", "stuck_clock"])
def test_a_held_line_ends_with_the_power(world: World, boot: Boot, fault: str) -> None:
    node = boot(ASK + FREE + "time.sleep(5)\nask()\n" + ("clock(20)\nask()\n" if fault == "stuck_clock" else ""), [BME])
    go(world, 2)
    node.bench.ports["i2c"][0].fault(fault)
    go(world, 5)
    assert set(texts(node)) == {"errno 110"}
    node.power_cut()
    node.power_on()
    go(world, 10)
    assert texts(node)[-1] == "96"


def test_a_chip_that_holds_the_bus_stops_the_others(world: World, boot: Boot) -> None:
    node = boot(ASK + "time.sleep(5)\nask()\n", [BME, Wire("sht4x", "i2c0", {"address": 0x44})])
    go(world, 2)
    node.bench.devices["sht4x"].fault("stuck_low")
    go(world, 5)
    assert texts(node) == ["errno 110"]


def test_data_that_is_refused(world: World, boot: Boot) -> None:
    node = boot(ASK + "time.sleep(5)\nask()\nprint(bus.scan())\n", [BME])
    go(world, 2)
    node.bench.ports["i2c"][0].fault("nack_data")
    go(world, 5)
    assert texts(node) == ["errno 19", "[118]"]


class Fixed(RegisterDevice):
    """A chip with one register."""

    CHANNELS: ClassVar = {"level": Quantity(0, 1, 1, 0)}
    REGISTERS: ClassVar = {0: Register(0, "r", "here")}

    def __init__(self, value: int) -> None:
        super().__init__(0x40)
        self.memory[0] = value


def test_two_chips_of_one_address_pull_each_others_ones_down() -> None:
    port = I2CPort(load_board("esp32"))
    for value in (0b1111_0000, 0b1010_1010):
        port.attach(Fixed(value), None)
    assert port.transact(0x40, b"\x00", 1, 0)[:2] == (0, bytes((0b1010_0000,)))


def test_two_chips_of_which_one_is_unplugged_are_one() -> None:
    port = I2CPort(load_board("esp32"))
    first, second = Fixed(0xF0), Fixed(0xAA)
    port.attach(first, None)
    port.attach(second, None)
    first.fault("nack")
    assert port.transact(0x40, b"\x00", 1, 0)[:2] == (0, b"\xaa")
    second.fault("nack")
    assert port.transact(0x40, b"\x00", 1, 0)[0] == -19


@pytest.mark.parametrize(("fault", "lost"), [("framing", 0), ("lost_bytes", 2)])
def test_noise_on_a_serial_line(fault: str, lost: int) -> None:
    clean, spoilt = (UartPort(load_board("esp32")) for _ in range(2))
    for port in (clean, spoilt):
        port.attach(Sds011(), None)
        port.open((17, 16), 9600, 10, 256)
    spoilt.fault(fault)
    first, second = clean.fetch(0, 10_500_000)[1], spoilt.fetch(0, 10_500_000)[1]
    assert len(first) == 100
    assert (len(second), first == second) == (100 - lost, False)
    spoilt.fault(fault, on=False)
    assert clean.fetch(0, 20_500_000)[1] == spoilt.fetch(0, 20_500_000)[1]


def test_a_noisy_line_gives_missing_values_and_never_wrong_ones(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        yard.run(3)
        yard.node.bench.ports["uart"][2].fault("framing")
        yard.run(10)
        rows = yard.check_nothing_lost()
        assert {row.values[0] for row in rows} <= {120, None}


def test_an_unknown_fault_names_the_known() -> None:
    bench = Bench(load_board("esp32"), lambda: None)
    with pytest.raises(ValueError, match="stuck_data, stuck_clock, nack_data"):
        bench.ports["i2c"][0].fault("stuck")
    with pytest.raises(ValueError, match="it has none"):
        bench.ports["adc"][32].fault("noise")


def test_pwm_is_seen_by_the_world(world: World, boot: Boot) -> None:
    node = boot(
        "import time\nfrom machine import PWM, Pin\nfan = PWM(Pin(4), freq=25000, duty_u16=32768)\n"
        "print(fan.freq(), fan.duty_u16(), fan.duty_ns())\ntime.sleep(2)\nfan.duty_ns(10000)\nfan.freq(50000)\n"
        "time.sleep(2)\nfan.deinit()\ntry:\n    PWM(99)\nexcept ValueError as error:\n    print(error)\n"
    )
    go(world, 1)
    assert node.bench.pins.modulated == {4: (25_000, 32_768)}
    go(world, 2)
    assert node.bench.pins.modulated == {4: (50_000, 16_383)}
    go(world, 2)
    assert node.bench.pins.modulated == {}
    assert texts(node) == ["25000 32768 20000", "invalid pin"]


def test_pulses_are_measured(world: World, boot: Boot) -> None:
    node = boot(
        "import time\nfrom machine import Pin, time_pulse_us\npin = Pin(4)\ntime.sleep(1)\nstart = time.ticks_us()\n"
        "print(time_pulse_us(pin, 1), time_pulse_us(pin, 1, 5000), time_pulse_us(pin, 1, 5000))\n"
        "print(time.ticks_diff(time.ticks_us(), start))\n"
    )
    node.bench.pins.pulses[4] = deque([(0, 10, 10), (1, 200, 580), (1, 100, 9000)])
    go(world, 5)
    assert texts(node) == ["580 -1 -2", str(780 + 5100 + 5000 + 3)]
