"""Real drivers in the VM talk to real device models, through the bridge, on the board's buses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from balise_boards import load_board
from balise_sim.buses import Bench, Wire, WiringError
from balise_sim.buses.uart import Port as UartPort
from balise_sim.buses.uart import read_at
from balise_sim.devices.sds011 import Model as Sds011
from balise_sim.node import Node
from balise_sim.world import World, install_firmware

Run = Callable[..., Node]
Boot = Callable[..., Node]
WIRES = [
    Wire("bme280", "i2c0", {"address": 0x76}, pins=(21, 22)),
    Wire("sds011", "uart1", pins=(17, 16)),
    Wire("pms5003", "uart2", pins=(33, 32)),
]
SAMPLE = """
import time
from machine import I2C, UART, Pin
from balise_node.drivers import load
buses = {
    "bme280": I2C(0, scl=Pin(22), sda=Pin(21)),
    "sds011": UART(1, 9600, tx=17, rx=16, timeout=0),
    "pms5003": UART(2, 9600, tx=33, rx=32, timeout=0),
}
for name in ("bme280", "sds011", "pms5003"):
    sensor = load(name)(buses[name], time.sleep_ms)
    sensor.wake()
    time.sleep(sensor.WARMUP_S)
    print(name, *sensor.sample())
"""


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def test_real_drivers_read_what_the_models_were_told(world: World, boot: Boot, tmp_path: Path) -> None:
    node = boot(SAMPLE, WIRES)
    install_firmware(tmp_path / "air-01")
    told = {
        "bme280": {"temperature": 21.4, "humidity": 43.0, "pressure": 101_300.0},
        "sds011": {"pm2_5": 12.3, "pm10": 45.6},
        "pms5003": {"pm2_5": 12.0, "pm10": 45.0},
    }
    for name, values in told.items():
        for channel, value in values.items():
            node.bench.devices[name].set_channel(channel, value)
    world.loop.run_until_complete(world.run_for(120))
    said = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in texts(node)}
    temperature, humidity, pressure = said["bme280"]
    assert (abs(temperature - 2140) <= 1, abs(humidity - 4300) <= 5, abs(pressure - 101_300) <= 2) == (True,) * 3
    assert said["sds011"] == [123, 456]
    assert said["pms5003"][1:3] == [120, 450]


def test_a_bus_on_other_pins_than_the_wires_is_empty(run: Run) -> None:
    node = run("from machine import I2C\nfor scl in (22, 5):\n    print(I2C(0, scl=scl, sda=21).scan())\n", WIRES)
    assert texts(node) == ["[118]", "[]"]


@pytest.mark.parametrize(("board", "number"), [("esp32", 19), ("pico_w", 5)])
def test_nobody_acknowledges_with_the_boards_own_errno(run: Run, board: str, number: int) -> None:
    node = run(
        "from machine import I2C\ntry:\n    I2C(0, scl=5, sda=4).readfrom_mem(0x33, 0, 1)\n"
        "except OSError as error:\n    print(error.errno)\n",
        board=board,
    )
    assert texts(node) == [str(number)]


def test_a_fault_is_seen_by_the_firmware_and_ends(world: World, boot: Boot) -> None:
    node = boot(
        "import time\nfrom machine import SoftI2C\nbus = SoftI2C(22, 21)\n"
        "while True:\n    print(bus.scan())\n    time.sleep(1)\n",
        WIRES,
    )
    world.loop.run_until_complete(world.run_for(1))
    node.bench.devices["bme280"].fault("nack")
    world.loop.run_until_complete(world.run_for(1))
    node.bench.devices["bme280"].fault("nack", False)
    world.loop.run_until_complete(world.run_for(1))
    assert texts(node) == ["[118]", "[]", "[118]"]


def test_bus_time_is_charged(run: Run) -> None:
    node = run(
        "import time\nfrom machine import I2C\n"
        "for hz in (400000, 100000):\n    bus = I2C(0, scl=22, sda=21, freq=hz)\n"
        "    start = time.ticks_us()\n    bus.readfrom_mem(0x76, 0xD0, 1)\n"
        "    print(time.ticks_diff(time.ticks_us(), start))\n",
        WIRES,
    )
    assert texts(node) == [str(4 * 25 + 3), str(370 + 3)]  # two addresses, register, value; and one look at the clock


def test_a_stream_reader_gets_whole_bursts(run: Run) -> None:
    node = run(
        "import asyncio\nfrom machine import UART\n"
        "async def main():\n    reader = asyncio.StreamReader(UART(1, 9600, tx=17, rx=16))\n"
        "    for _ in range(3):\n        print(len(await reader.read(100)))\n"
        "asyncio.run(main())\n",
        WIRES,
    )
    assert texts(node) == ["10", "10", "10"]
    assert node.requests < 20  # a burst costs one wake-up, not one for each byte


def test_timeouts_of_a_uart(run: Run) -> None:
    node = run(
        "import time\nfrom machine import UART\nuart = UART(1, 9600, tx=17, rx=16, timeout=1500)\n"
        "start = time.ticks_ms()\nprint(len(uart.read(10)), uart.any())\n"
        "uart.init(9600, timeout=0)\nprint(uart.read(10))\n"
        "uart.init(9600, timeout=100)\nstart = time.ticks_ms()\nprint(uart.read(10))\n"
        "print(time.ticks_diff(time.ticks_ms(), start))\n",
        WIRES,
    )
    assert texts(node) == ["10 0", "None", "None", "100"]


def test_what_nobody_reads_overflows(run: Run) -> None:
    node = run(
        "import time\nfrom machine import UART\nuart = UART(1, 9600, tx=17, rx=16, rxbuf=200)\n"
        "uart.any()\ntime.sleep(60)\nprint(uart.any())\n",
        WIRES,
        for_s=70,
    )
    assert texts(node) == ["328"]  # the buffer and the 128 bytes of the hardware
    assert node.bench.ports["uart"][1].overflowed_bytes > 200


def test_another_speed_gives_garbage() -> None:
    port = UartPort(load_board("esp32"))
    port.attach(Sds011(), None)
    port.open((17, 16), 115_200, 10, 256)
    data = port.fetch(0, 5_000_000)[1]
    assert data
    assert set(data) == {0xF8}


PARITIES = """
import time
from machine import UART
from balise_node.drivers import SensorError, load
driver = load("nextpm")
for parity in (driver.LINE["parity"], None, 1):
    sensor = driver(UART(1, 115200, parity=parity, tx=17, rx=16, timeout=0), time.sleep_ms)
    try:
        sensor.wake()
        print(parity, "heard")
    except SensorError as error:
        print(parity, error.what)
"""


def test_a_sensor_with_parity_is_heard_with_its_own_only(world: World, boot: Boot, tmp_path: Path) -> None:
    node = boot(PARITIES, [Wire("nextpm", "uart1", pins=(17, 16))])
    install_firmware(tmp_path / "air-01")
    world.loop.run_until_complete(world.run_for(30))
    assert texts(node) == ["0 heard", "None silent", "1 silent"]


@pytest.mark.parametrize(
    ("sent", "expected", "right"),
    [
        (None, None, b"\x00\x01\x03"),
        (0, 0, b"\x00\x01\x03"),
        (0, 1, b""),  # never the same bit
        (0, None, b"\x01"),  # even: the ninth bit is 1, as a stop bit is, where the ones are odd
        (None, 0, b"\x01"),
        (1, None, b"\x00\x03"),
    ],
)
def test_a_wrong_ninth_bit_spoils_a_byte(sent: int | None, expected: int | None, right: bytes) -> None:
    heard = read_at(b"\x00\x01\x03", sent, expected)
    assert len(heard) == 3
    assert heard.replace(b"\xf8", b"") == right


def test_pins_are_levels_that_both_sides_see(world: World, boot: Boot) -> None:
    node = boot(
        "import time\nfrom machine import Pin\n"
        "Pin(2, Pin.OUT).on()\nbutton = Pin(4, Pin.IN, Pin.PULL_UP)\nprint(button.value())\n"
        "button.irq(lambda pin: print('edge', pin.value(), time.ticks_ms()), Pin.IRQ_FALLING)\n"
        "time.sleep(10)\nprint(button.value())\ntry:\n    Pin(6)\nexcept ValueError as error:\n    print(error)\n"
    )
    world.loop.run_until_complete(world.run_for(3))
    assert node.bench.pins.level(2) == 1
    node.bench.pins.drive(4, 0)
    world.loop.run_until_complete(world.run_for(10))
    assert texts(node) == ["1", "edge 0 3000", "0", "invalid pin"]


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (Wire("bme280", "uart1", {"address": 0x76}), "bme280 on uart1: esp32 has i2c0, i2c1 for it"),
        (Wire("sds011", "uart7"), "sds011 on uart7: esp32 has uart1, uart2 for it"),
        (Wire("sds012", "uart1"), "no device model 'sds012'"),
    ],
)
def test_wiring_that_cannot_be(wire: Wire, why: str) -> None:
    with pytest.raises(WiringError, match=why):
        Bench(load_board("esp32"), lambda: None).attach(wire)


def test_a_uart_joins_two_ends() -> None:
    bench = Bench(load_board("esp32"), lambda: None)
    bench.attach(Wire("sds011", "uart1"))
    with pytest.raises(WiringError, match="two ends"):
        bench.attach(Wire("pms5003", "uart1"))


def test_each_port_has_its_own_devices(run: Run) -> None:
    node = run(
        "from machine import I2C\nfor number in (0, 1):\n    print(I2C(number, scl=22, sda=21).scan())\n",
        [Wire("bme280", "i2c1", {"address": 0x77})],
    )
    assert texts(node) == ["[]", "[119]"]
