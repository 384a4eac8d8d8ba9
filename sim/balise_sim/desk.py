"""One board on a desk: a kit in a world of its own, in real time, on a pseudo-terminal.

Promises: the board has the kit's sensors, which measure the recorded air, and our packages in /lib; a folder of files
is used as it is, so what was there stays. Leaves to others: what runs on it, and who is at the other end of the line.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from balise_boards import load_board
from balise_sim.buses import Wire
from balise_sim.kits import Kit
from balise_sim.layout import wiring
from balise_sim.live import LiveNode, RealTime
from balise_sim.node import Node
from balise_sim.pace import PacedLoop
from balise_sim.replay import Home as Place
from balise_sim.scenario import Home
from balise_sim.world import World, install_firmware

NAME = "board"
LOOK_S = 0.1


@dataclass(frozen=True)
class Desk:
    """`loop` must run for the board to live. `wires` says what is plugged in where."""

    loop: PacedLoop
    node: LiveNode
    wires: tuple[str, ...]

    @property
    def path(self) -> str:
        return self.node.terminal.path

    def serve(self) -> int:
        """Until Ctrl-C or SIGTERM; 0."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.loop.add_signal_handler(number, self.loop.stop)
        self.loop.run_forever()
        return 0

    def shell(self) -> int:
        """mpremote's prompt on the board, until it ends; its exit status. Ctrl-C is for the board."""
        self.loop.add_signal_handler(signal.SIGINT, lambda: None)
        process = subprocess.Popen([sys.executable, "-m", "mpremote", "connect", self.path, "repl"])
        return self.loop.run_until_complete(self._until_ended(process))

    async def _until_ended(self, process: "subprocess.Popen[bytes]") -> int:
        while (status := process.poll()) is None:
            await asyncio.sleep(LOOK_S)
        return status


def put_on(world: World, kit: Kit, root: Path, main: str = "", name: str = NAME) -> Node:
    """A powered board of the kit in a world on virtual time, with this main.py; `root` is its file system."""
    root.mkdir(parents=True, exist_ok=True)
    install_firmware(root)
    if main:
        (root / "main.py").write_text(main, encoding="utf-8")
    node = world.add_node(name, load_board(kit.board), root, _wires(kit), Place(world.start_utc_ms))
    node.power_on()
    return node


def _wires(kit: Kit) -> list[Wire]:
    return [Wire(model, f"{bus.kind}{bus.number}") for model, bus in wiring(Home(NAME, kit.board, kit.sensors))]


@contextmanager
def set_up(kit: Kit, files: Path, image: Path | None = None, seed: int = 0) -> Iterator[Desk]:
    """A powered board until the context ends; `files` is its file system, or fills the new flash `image`."""
    files.mkdir(parents=True, exist_ok=True)
    install_firmware(files, copies=True)
    plugs = wiring(Home(NAME, kit.board, kit.sensors))
    told = [f"{model} on {bus.kind}{bus.number} ({_pins(bus.role_pins)})" for model, bus in plugs]
    loop = PacedLoop(RealTime())
    start_utc_ms = round(time.time() * 1000)
    with World(loop, start_utc_ms, seed=seed) as world:
        node = LiveNode(world, NAME, load_board(kit.board), files, image)
        world.add(node, _wires(kit), Place(start_utc_ms))
        node.power_on()
        yield Desk(loop, node, tuple(told))
    node.terminal.close()
    loop.close()


def _pins(role_pins: Mapping[str, int]) -> str:
    return ", ".join(f"{role} {pin}" for role, pin in role_pins.items())
