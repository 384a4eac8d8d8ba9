"""The board under test: at `--port`, or a simulated one that is started for the session."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from balise_sim.kits import Kit, kit
from hardware.serial_board import Board

collect_ignore = ["test_board.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("balise")
    group.addoption("--kit", default="air-esp32", help="board and sensors: a kit's name, or BOARD+SENSOR+...")
    group.addoption("--longest-warm-up-s", default=5, type=int, help="sensors that need longer are not read")


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("pytest_embedded"):
        collect_ignore.clear()


@pytest.fixture(scope="session")
def chosen_kit(request: pytest.FixtureRequest) -> Kit:
    return kit(request.config.getoption("kit"))


@pytest.fixture(scope="session")
def _line(request: pytest.FixtureRequest) -> Iterator[str]:
    given = request.config.getoption("port")
    if given:
        yield given
        return
    command = [sys.executable, "-m", "balise_tools", "sim", "board", request.config.getoption("kit")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
def port(_line: str) -> str:
    """pytest-embedded's: where its serial service finds the board."""
    return _line


@pytest.fixture
def board(dut: Any) -> Board:
    """The board at its prompt, as if just started without main.py."""
    board = Board(dut)
    board.interrupt()
    return board
