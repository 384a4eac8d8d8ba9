"""SPI on a board: modes, chip select, speed and time, as firmware in a VM sees them."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from balise_boards import load_board
from balise_sim.bridge import Op, Request
from balise_sim.buses import Bench, Wire, WiringError
from balise_sim.devices.base import SPIDevice
from balise_sim.layout import wiring
from balise_sim.node import Node
from balise_sim.scenario import Home

Run = Callable[..., Node]
SCK, MOSI, MISO, CS, OTHER_CS = 14, 13, 12, 15, 27
PINS = bytes((SCK, MOSI, MISO))
LOW, HIGH = 0, 1


class Echo(SPIDevice):
    """Says each byte a byte later, plus one; keeps what it heard and when."""

    MODE, MIN_HZ, MAX_HZ = 1, 300_000, 750_000
    CHANNELS: ClassVar = {}

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []
        self.moments_us: list[tuple[int, int]] = []

    def reset(self, now_us: int) -> None:
        self.heard.clear()

    def on_byte(self, byte: int, at_us: int, until_us: int) -> int:
        self.heard.append(byte)
        self.moments_us.append((at_us, until_us))
        return (self.heard[-2] + 1) & 0xFF if len(self.heard) > 1 else 0


class Table:
    """A board with devices on SPI 1, spoken to as its overlays do."""

    def __init__(self, *wires: tuple[SPIDevice, tuple[int, ...] | None]) -> None:
        self.bench = Bench(load_board("esp32"), lambda: None)
        for device, pins in wires:
            self.bench.ports["spi"][1].attach(device, pins)

    def ask(
        self, op: Op, value: int = 0, small: int = 0, payload: bytes = b"", handle: int = 1
    ) -> tuple[int, bytes, int]:
        kind, method = self.bench.handlers()[op]
        return tuple(self.bench.answer(kind, method, Request(op, handle, small, 0, value, payload), 0))

    def open(self, mode: int = 1, hz: int = 500_000, pins: bytes = PINS, handle: int = 1) -> int:
        return self.ask(Op.SPI_OPEN, hz, mode, pins, handle)[0]

    def exchange(self, data: bytes) -> bytes:
        return self.ask(Op.SPI, payload=data)[1]

    def hold(self, pin: int, level: int) -> None:
        self.bench.pins.request(pin, 2, level)


def wired(cs: int = CS) -> tuple[int, ...]:
    return (SCK, MOSI, MISO, cs)


def test_only_the_selected_device_hears_and_speaks() -> None:
    first, second = Echo(), Echo()
    table = Table((first, wired()), (second, wired(OTHER_CS)))
    assert table.open() == 1
    assert table.exchange(b"\x01\x02") == b"\xff\xff", "a pin that nobody drives selects nobody"
    table.hold(CS, HIGH)
    table.hold(OTHER_CS, LOW)
    assert table.exchange(b"\x10\x20\x30") == b"\x00\x11\x21"
    assert (first.heard, second.heard) == ([], [0x10, 0x20, 0x30])


def test_two_that_are_selected_at_once_spoil_each_other() -> None:
    first, second = Echo(), Echo()
    table = Table((first, wired()), (second, wired(OTHER_CS)))
    table.open()
    table.hold(CS, LOW)
    table.exchange(b"\x0e")
    table.hold(OTHER_CS, LOW)
    assert table.exchange(b"\xf0\x00") == bytes((0x0F & 0x00, 0xF1))


def test_a_bus_on_other_pins_than_the_wires_is_empty() -> None:
    device = Echo()
    table = Table((device, wired()))
    table.hold(CS, LOW)
    for pins in (bytes((SCK, MOSI, 25)), bytes((SCK, MISO, MOSI))):
        table.open(pins=pins)
        assert table.exchange(b"\x55\x55") == b"\xff\xff"
    assert not device.heard


@pytest.mark.parametrize("mode", range(4))
def test_a_device_in_another_mode_hears_and_says_shifted_bytes(mode: int) -> None:
    device = Echo()
    table = Table((device, None))
    table.open(mode=mode)
    came = table.exchange(b"\x80\x81\x42")
    if mode == Echo.MODE:
        assert (device.heard, came) == ([0x80, 0x81, 0x42], b"\x00\x81\x82")
    else:
        assert device.heard == [0x40, 0x40, 0xA1]
        assert came == bytes.fromhex("0020a0"), "00 41 41, one bit later"


@pytest.mark.parametrize(("hz", "heard"), [(299_999, 0x2A), (300_000, 0x55), (750_000, 0x55), (750_001, 0x2A)])
def test_a_clock_beyond_the_parts_own_gives_garbage(hz: int, heard: int) -> None:
    device = Echo()
    table = Table((device, None))
    table.open(hz=hz)
    table.exchange(b"\x55")
    assert device.heard == [heard]


def test_the_least_significant_bit_first() -> None:
    device = Echo()
    table = Table((device, None))
    table.open(mode=1 | 4)
    assert table.exchange(b"\x01\x03") == b"\x00\x81"
    assert device.heard == [0x80, 0xC0]


def test_time_of_each_byte() -> None:
    device = Echo()
    table = Table((device, None))
    table.open(hz=400_000)
    assert table.ask(Op.SPI, payload=b"\x00" * 3)[2] == 60
    assert device.moments_us == [(0, 20), (20, 40), (40, 60)]


def test_what_cannot_be_is_refused() -> None:
    table = Table((Echo(), wired()))
    assert table.ask(Op.SPI, payload=b"\x00")[0] < 0, "not opened yet"
    assert table.open(hz=0) < 0
    assert table.open(hz=80_000_001) < 0
    assert table.open(handle=0) < 0, "the flash chip's own"
    with pytest.raises(WiringError, match="four pins"):
        Table((Echo(), (SCK, MOSI, MISO)))
    with pytest.raises(WiringError, match="chip select each"):
        Table((Echo(), None), (Echo(), wired()))
    with pytest.raises(WiringError, match="esp32 has spi1, spi2 for it"):
        Bench(load_board("esp32"), lambda: None).attach(Wire("opc_n3", "uart1"))


def test_a_bus_in_software_finds_the_wired_port() -> None:
    table = Table((Echo(), wired()))
    assert table.open(handle=255) == 1
    assert table.open(handle=255, pins=bytes((25, 26, 27))) == 1, "the first, where nothing is wired"


def test_a_fault_flips_one_bit_in_thirty_two_bytes() -> None:
    device = Echo()
    device.fault("flipped_bit")
    said = b"".join(device.transfer(bytes((at,)), 1, 500_000, 0) for at in range(64))
    right = bytes((0, *range(1, 64)))
    assert [at for at in range(64) if said[at] != right[at]] == [0, 32]


MAIN = """
import time
from machine import I2C, SPI, Pin, SoftSPI
bus = SPI(2, baudrate=500000, phase=1, sck=Pin(18), mosi=Pin(23), miso=Pin(19))
soft = SoftSPI(baudrate=500000, phase=1, sck=Pin(18), mosi=Pin(23), miso=Pin(19))
cs = Pin(5, Pin.OUT, value=1)
time.sleep(2)
print(bus.read(2, 0x12))
for line in (bus, soft):
    cs(0)
    line.write(b"\\x12")
    time.sleep_ms(11)
    line.write(b"\\x12")
    time.sleep_us(20)
    major, minor = line.read(1), bytearray(1)
    time.sleep_us(20)
    line.readinto(minor, 0x12)
    print(major[0], minor[0])
    cs(1)
start = time.ticks_us()
bus.init(baudrate=400000)
bus.write_readinto(bytes(5000), bytearray(5000))
print(time.ticks_diff(time.ticks_us(), start))
for act in (
    lambda: SPI(0, sck=Pin(18), mosi=Pin(23), miso=Pin(19)),
    lambda: bus.init(bits=16),
    lambda: bus.write_readinto(b"12", bytearray(3)),
    lambda: SoftSPI(),
):
    try:
        act()
    except ValueError as error:
        print(error)
bus.deinit()
try:
    bus.read(1)
except OSError as error:
    print(error)
"""


def test_firmware_reads_a_part(run: Run) -> None:
    node = run(MAIN, [Wire("opc_n3", "spi2", pins=(18, 23, 19, 5))])
    said = [line for _, line in node.console.lines]
    assert said == [
        "b'\\xff\\xff'",
        "1 17",
        "1 17",
        "100003",
        "SPI(0) doesn't exist or cannot run so",
        "bits must be 8",
        "buffers must be the same length",
        "must specify all of sck/mosi/miso",
        "transfer on deinitialized SPI",
    ]


@pytest.mark.parametrize(("board", "number"), [("esp32", 1), ("pico_w", 0)])
def test_a_home_has_its_part_on_the_first_port_with_a_pin_of_its_own(board: str, number: int) -> None:
    ((model, bus),) = wiring(Home("urn:dev:ops:b4115e-air-01", sensors=("opc_n3",), board=board))
    assert (model, bus.kind, bus.number) == ("opc_n3", "spi", number)
    assert bus.role_pins["cs"] not in {pin for each in load_board(board).buses for pin in each.role_pins.values()}
    assert bus.role_pins["cs"] in load_board(board).gpio
