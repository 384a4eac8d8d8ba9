"""What must hold on any board that is to be a node, simulated or real."""

import ast

import pytest

from balise_boards import load_board
from balise_sim.kits import Kit
from balise_sim.layout import wiring
from balise_sim.scenario import Home
from balise_wire.channels import channel
from hardware.serial_board import Board

BUSES = {  # the others are not read here
    "i2c": "machine.I2C({number}, scl=machine.Pin({scl}), sda=machine.Pin({sda}), freq=100000)",
    "uart": "machine.UART({number}, tx=machine.Pin({tx}), rx=machine.Pin({rx}), **line)",
}
SAMPLE = """
import machine, time
from balise_node.drivers import load
kind = load({model!r})
line = {{"baudrate": 9600, "timeout": 0, "rxbuf": 512}}
line.update(getattr(kind, "LINE", {{}}))
driver = kind({bus}, time.sleep_ms)
if kind.WARMUP_S > {longest_s}:
    print("None")
else:
    driver.wake()
    time.sleep(kind.WARMUP_S)
    print(dict(zip(kind.CHANNELS, driver.sample())))
    driver.sleep()
"""
WRONG_CONFIG = """
from balise_node.config import parse
from balise_node.errors import ConfigError
try:
    parse('{"nod": "urn:dev:ops:b4115e-air-01"}')
except ConfigError as error:
    print(error)
"""


def test_it_boots_to_a_prompt(board: Board, chosen_kit: Kit) -> None:
    board.write(b"\x04")
    board.expect(rb"soft reboot\r\n")
    board.expect(rb"MicroPython [^\r]*\r\n")
    board.expect(rb'Type "help\(\)" for more information.\r\n>>> ')
    platform = load_board(chosen_kit.board).platform
    assert board.run("import sys\nprint(sys.platform)") == platform + "\n"


def test_its_heap_is_what_we_count_on(board: Board, chosen_kit: Kit) -> None:
    free_bytes = int(board.run("import gc\ngc.collect()\nprint(gc.mem_free())"))
    assert free_bytes >= load_board(chosen_kit.board).free_heap_bytes * 0.9


def test_its_sensors_read_plausible_values(board: Board, chosen_kit: Kit, request: pytest.FixtureRequest) -> None:
    longest_s = request.config.getoption("longest_warm_up_s")
    read = []
    for model, bus in wiring(Home("", chosen_kit.board, chosen_kit.sensors)):
        if bus.kind not in BUSES:
            continue
        opened = BUSES[bus.kind].format(number=bus.number, **bus.role_pins)
        values = ast.literal_eval(board.run(SAMPLE.format(model=model, bus=opened, longest_s=longest_s)))
        for name, value in (values or {}).items():
            about = channel(name)
            assert about.low <= value <= about.high, (model, name, value)
        read += [model] if values else []
    assert read, f"no sensor on {' or '.join(BUSES)} that is ready in {longest_s} s: see --longest-warm-up-s"


def test_a_wrong_config_is_told(board: Board) -> None:
    told = board.run(WRONG_CONFIG)
    assert 'config.json: "nod" is not a known key' in told
    assert '"node"' in told
