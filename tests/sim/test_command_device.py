"""What holds for every simulated chip of commands and words, alone and on the bus; the firmware's side against it."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_boards import load_board
from balise_node.drivers import SensorError, _float32, _sensirion
from balise_sim.bridge import Op, Request
from balise_sim.buses.i2c import Port
from balise_sim.devices import _command
from balise_sim.devices._command import Command, CommandDevice, coded
from balise_sim.devices.base import Nack
from contracts.bench import Bench

GOLDEN = [("beef", 0x92), ("8000", 0xA2), ("6666", 0x93), ("0300", 0xAC), ("0500", 0xF6), ("0000", 0x81)]
TAKES_US = 40_000


class Echo(CommandDevice):
    """Answers its argument after 40 ms, and measures when it is told."""

    CHANNELS = {}  # noqa: RUF012 - as the models have it

    def __init__(self, holds: bool = False) -> None:
        self.measures, self.ended_us = False, 0
        super().__init__(0x33)
        self.holds = holds

    def is_measuring(self) -> bool:
        return self.measures

    def hold_us(self, now_us: int) -> int:
        return max(self.busy_until_us - now_us, 0) if self.holds else super().hold_us(now_us)

    def _echo(self, words: Sequence[int], at_us: int) -> Sequence[int]:
        self.ended_us = at_us
        return words

    def _start(self, words: Sequence[int], at_us: int) -> None:
        self.measures = True

    COMMANDS = {  # noqa: RUF012 - as the models have it
        0x0010: Command(_echo, TAKES_US, "chosen", words=3),
        0x2400: Command(_start, 0, "chosen", measuring=True),
    }


ECHO = b"\x00\x10" + coded([1, 2, 3])


@pytest.mark.parametrize(("data", "crc"), GOLDEN)
def test_both_sides_have_the_makers_checksum(data: str, crc: int) -> None:
    """SHT4x, SGP4x and SPS30 data sheets: the examples of their sections on the checksum."""
    assert _sensirion.crc8(bytes.fromhex(data)) == _command.crc8(bytes.fromhex(data)) == crc


def test_until_it_is_done_nothing_is_acknowledged() -> None:
    model = Echo()
    model.write(ECHO, 0)
    for act in (lambda: model.read(9, TAKES_US - 1), lambda: model.write(ECHO, TAKES_US - 1)):
        with pytest.raises(Nack, match="busy"):
            act()
    assert model.read(9, TAKES_US) == coded([1, 2, 3])
    assert model.ended_us == TAKES_US


def test_an_answer_is_read_once_and_not_beyond_its_end() -> None:
    model = Echo()
    model.write(ECHO, 0)
    assert model.read(12, TAKES_US) == coded([1, 2, 3]) + b"\xff\xff\xff"
    with pytest.raises(Nack, match="nothing to say"):
        model.read(9, TAKES_US)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "no command"),
        (b"\x77\x77", "no command"),
        (ECHO[:-3], "takes 3 words after 0010, not 2"),
        (ECHO[:-1], "no argument"),
        (ECHO[:-1] + b"\x00", "no argument"),
    ],
)
def test_what_does_not_fit_is_not_acknowledged(data: bytes, reason: str) -> None:
    with pytest.raises(Nack, match=reason):
        Echo().write(data, 0)


def test_while_it_measures_it_takes_only_what_the_sheet_allows() -> None:
    model = Echo()
    for at_us in (0, 1):
        model.write(b"\x24\x00", at_us)
    with pytest.raises(Nack, match="measures"):
        model.write(ECHO, 2)


def test_it_is_deaf_until_its_power_is_up_and_the_firmware_asks_again() -> None:
    bench, model = Bench(), Echo()
    model.reset(0)
    with pytest.raises(Nack, match="busy"):
        model.write(ECHO, 999)
    chip = _sensirion.Commands("sht31", bench.bus(model), bench.sleep_ms, 0x33, boot_ms=1)
    assert chip.ask(0x0010, 3, 40, (1, 2, 3)) == [1, 2, 3]


def test_a_chip_that_is_deaf_at_every_other_command_is_not_waited_for_again_and_again() -> None:
    class Moody(Echo):
        turns = 0

        def on_write(self, data: bytes, now_us: int) -> None:
            self.turns += 1
            if self.turns % 2:
                raise Nack("not now")
            super().on_write(data, now_us)

    bench = Bench()
    chip = _sensirion.Commands("scd30", bench.bus(Moody()), bench.sleep_ms, 0x33, boot_ms=2000)
    for _ in range(2):
        assert chip.ask(0x0010, 3, 40, (1, 2, 3)) == [1, 2, 3]
    with pytest.raises(SensorError, match="nack"):
        chip.ask(0x0010, 3, 40, (1, 2, 3))


@pytest.mark.parametrize(("wait_ms", "wanted"), [(39, "not ready"), (40, "")])
def test_the_firmware_tells_an_answer_that_is_not_there_from_a_chip_that_is_not(wait_ms: int, wanted: str) -> None:
    bench = Bench()
    bench.now_us = 1_000_000
    chip = _sensirion.Commands("sht31", bench.bus(Echo()), bench.sleep_ms, 0x33, boot_ms=1)
    found = ""
    try:
        chip.ask(0x0010, 3, wait_ms, (1, 2, 3))
    except SensorError as error:
        found = error.what
    assert found == wanted


def test_a_clock_that_is_held_costs_its_time_on_the_bench() -> None:
    bench = Bench()
    bench.now_us = 1_000_000
    bus = bench.bus(Echo(holds=True))
    bus.writeto(0x33, ECHO)
    began_us = bench.now_us
    assert bus.readfrom(0x33, 9) == coded([1, 2, 3])
    assert bench.now_us >= began_us + TAKES_US


@given(st.integers(0, 0xFFFFFFFF), st.sampled_from([1, 10, 100, 1000]))
def test_single_precision_without_floats(bits: int, factor: int) -> None:
    value: float = struct.unpack(">f", bits.to_bytes(4, "big"))[0] * factor
    found = _float32.scaled(bits, factor)
    if value != value or abs(value) >= 2**31 - 0.5:
        assert found is None
    else:
        assert found is not None
        assert abs(found - value) <= 0.5


@pytest.mark.parametrize(
    ("words", "factor", "wanted"),
    [("41480000", 1000, 12500), ("c1480000", 10, -125), ("00000000", 10, 0), ("7fc00000", 10, None)],
)
def test_known_numbers(words: str, factor: int, wanted: int | None) -> None:
    """12.5 as SPS30 data sheets show it, below zero, nothing, and "not a number"."""
    assert _float32.scaled(int(words, 16), factor) == wanted


def test_float_words() -> None:
    assert _command.float_words(12.5, -12.5) == [0x4148, 0, 0xC148, 0]


@pytest.mark.parametrize(("timeout_us", "wanted"), [(TAKES_US, 0), (TAKES_US - 1000, -110)])
def test_a_board_lets_a_chip_hold_the_clock_until_its_timeout(timeout_us: int, wanted: int) -> None:
    port, model = Port(load_board("esp32")), Echo(holds=True)
    port.attach(model, None)
    wiring = bytes((255, 255)) + timeout_us.to_bytes(4, "little")
    port.on_open(Request(Op.I2C_OPEN, 0, 0, 0, 400_000, wiring), 0)
    model.write(ECHO, 0)
    status, answer, cost_us = port.transact(0x33, b"", 9, 500)
    assert status == wanted
    assert answer == (b"" if wanted else coded([1, 2, 3]))
    assert min(TAKES_US, timeout_us) - 500 <= cost_us <= TAKES_US + 1000
