"""Boards to try firmware on: `run` boots a main.py in a small world and gives the node when its time is over."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from balise_boards import load_board
from balise_sim.buses import Wire
from balise_sim.clocks import VirtualLoop
from balise_sim.node import Node
from balise_sim.world import World

START_UTC_MS = 1_544_300_000_000


@pytest.fixture
def world() -> Iterator[World]:
    loop = VirtualLoop()
    with World(loop, START_UTC_MS, seed=7) as world:
        yield world
    loop.close()


Boot = Callable[..., Node]


@pytest.fixture
def boot(world: World, tmp_path: Path) -> Boot:
    """A powered node with this main.py."""

    def start(main: str, wires: Sequence[Wire] = (), board: str = "esp32", name: str = "air-01") -> Node:
        root = tmp_path / name
        root.mkdir()
        (root / "main.py").write_text(main, encoding="utf-8")
        node = world.add_node(name, load_board(board), root, wires)
        node.power_on()
        return node

    return start


@pytest.fixture
def run(world: World, boot: Boot) -> Callable[..., Node]:
    """As `boot`, then `for_s` seconds of the world."""

    def go(main: str, wires: Sequence[Wire] = (), board: str = "esp32", for_s: float = 10) -> Node:
        node = boot(main, wires, board)
        world.loop.run_until_complete(world.run_for(for_s))
        return node

    return go
