"""The same air node, unchanged, on every board that we know."""

from pathlib import Path

import pytest

from balise_boards import board_names, load_board
from balise_sim.buses import Wire
from node.yard import CALM, Yard


@pytest.mark.parametrize("name", board_names())
def test_the_air_node_runs_on_the_board(tmp_path: Path, name: str) -> None:
    board = load_board(name)
    i2c = board.bus("i2c", 0).role_pins
    uart = [bus for bus in board.buses if bus.kind == "uart"][-1]
    free = [pin for pin in board.gpio if pin not in i2c.values()]
    # An ESP32 joins any pin to any UART; an RP2 has its own, those of the other UART would be refused
    pins = {"tx": free[4], "rx": free[5]} if board.platform == "esp32" else {"tx": 8, "rx": 9}
    sensors = [
        {"model": "sds011", "uart": uart.number, **pins},
        {"model": "bme280", "i2c": 0, **i2c},
    ]
    wires = [Wire("sds011", f"uart{uart.number}"), Wire("bme280", "i2c0", {"address": 0x76})]
    with Yard(tmp_path, wires=wires, board=name, watchdog_s=8, sensors=sensors) as yard:
        yard.run(6)
        assert yard.node.fault is None, yard.node.console.text()
        assert yard.node.boots == 1, yard.node.console.text()
        rows = yard.check_nothing_lost()
        assert len(rows) >= 5
        assert {row.values for row in rows} == {CALM}
