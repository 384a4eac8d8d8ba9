"""The world: owns the clock's meaning, the network, the nodes and the source of their VMs.

Promises: on a virtual loop, the same seed and the same calls give the same bytes in every run. Leaves to others: the
passing of time (the loop: clocks.py, paced.py), what is measured (replay.py), what goes wrong (scenarios).

    loop = VirtualLoop()
    with World(loop, start_utc_ms, seed=1) as world:
        node = world.add_node("air-01", load_board("esp32"), root, [Wire("bme280", "i2c0", {"address": 0x76})], home)
        node.power_on()
        loop.run_until_complete(world.run_for(3600))
"""

import asyncio
import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from balise_boards import Board
from balise_sim.bridge import Bridge, Op, Reply, Request
from balise_sim.buses import Wire
from balise_sim.link import Link
from balise_sim.net import Network
from balise_sim.node import Node, board_settings
from balise_sim.overlay_store import BOOT, START, boot_folder, compiled
from balise_sim.vm import Vm, VmError, VmSource, open_source

SECOND_US = 1_000_000
FIRST_NODE_ADDRESS = 20
ROOMY_HEAP_BYTES = 4_000_000
# A 64-bit MicroPython keeps 3 bits of tables for each block of 32 bytes inside its heap
HEAP_SHARE = 32 / (32 + 3 / 8)
HEAP_MARGIN_BYTES = 128
BASELINE_SLACK_BYTES = 2048
# A VM's table of names doubles when it is full. Here it holds the 500 names of the overlays too, which on a board are
# in flash, so firmware of our size makes it double to 1,280 names (14,144 bytes), where a board's own tables for as
# many take 11,900 bytes of this heap altogether, of which 7,104 are paid here as well.
NAME_TABLE_BYTES = 14_144 + 7_104 - 11_900
PROMPT_BYTES = 6_000  # what overlays/_prompt.py takes on top


class Environment(Protocol):
    """What there is to measure at one place."""

    def channel(self, name: str) -> Callable[[int], float] | None:
        """The quantity as a function of the world's microseconds; None when this place does not say."""


class World:
    """See the module. `core` keeps the world and its VMs on one processor core: a fleet runs about twice as fast."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, start_utc_ms: int, seed: int = 0, *, core: int | None = None
    ) -> None:
        self.loop, self.start_utc_ms, self.seed = loop, start_utc_ms, seed
        self.network = Network(loop)
        self.nodes: dict[str, Node] = {}
        self.source: VmSource = open_source()
        self._boot_folder = boot_folder()
        self._baseline_bytes = 0
        self._affinity = os.sched_getaffinity(0)
        loop.set_exception_handler(_stop_at_failure)
        if core is not None:
            os.sched_setaffinity(0, {core})
            self.source.pin(core)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all VMs."""
        for node in self.nodes.values():
            node.power_cut()
        self.source.close()
        os.sched_setaffinity(0, self._affinity)

    # Time

    @property
    def now_us(self) -> int:
        """Microseconds since the world began."""
        return round(self.loop.time() * SECOND_US)

    @property
    def utc_ms(self) -> int:
        return self.start_utc_ms + self.now_us // 1000

    def call_at_us(self, at_us: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_at(at_us / SECOND_US, callback)

    async def run_for(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)

    async def run_until(self, utc_ms: int) -> None:
        await asyncio.sleep(max(0.0, (utc_ms - self.start_utc_ms) / 1000 - self.loop.time()))

    # Nodes

    def add_node(
        self, name: str, board: Board, root: Path, wires: Sequence[Wire] = (), home: Environment | None = None
    ) -> Node:
        """A board with its devices, not powered yet. Raises buses.WiringError."""
        link = Link(self.loop, seed=f"{self.seed}/{name}/link")
        node = Node(self, name, board, root, link)
        self.add(node, wires, home)
        return node

    def add(self, node: Node, wires: Sequence[Wire] = (), home: Environment | None = None) -> None:
        """Wires a node and makes it one of this world's. Raises buses.WiringError."""
        if node.name in self.nodes:
            raise ValueError(f"the world has a node {node.name!r} already")
        for wire in wires:
            device = node.bench.attach(wire)
            for channel in device.CHANNELS:
                value = home.channel(channel) if home is not None else None
                if value is not None:
                    device.set_channel(channel, value)
        self.nodes[node.name] = node

    def next_address(self) -> str:
        return f"192.168.4.{FIRST_NODE_ADDRESS + len(self.nodes)}"

    # VMs

    def spawn(self, board: Board, *, prompt: bool = False) -> Vm:
        """A VM whose firmware finds as much free heap as the board has; with a prompt on a terminal when asked."""
        if not self._baseline_bytes:
            self._baseline_bytes = self._measure_baseline(board)
        heap_bytes = heap_argument_bytes(board.heap_bytes + NAME_TABLE_BYTES, self._baseline_bytes)
        if prompt:
            return self.source.spawn(self._prompt_argv(heap_bytes + PROMPT_BYTES), terminal=True)
        return self.source.spawn(self._argv(heap_bytes))

    def check_baseline(self, baseline_bytes: int) -> None:
        """What the overlays take must be what was added to the heap, or the limit would not be the board's."""
        if self._baseline_bytes and abs(baseline_bytes - self._baseline_bytes) > BASELINE_SLACK_BYTES:
            raise VmError(f"the overlays take {baseline_bytes} bytes of heap, measured were {self._baseline_bytes}")

    def _measure_baseline(self, board: Board) -> int:
        """What the overlays take of the heap, asked of a VM with plenty: on a board they would be code in flash."""
        measured = 0

        def ready(request: Request) -> None:
            nonlocal measured
            measured = request.value

        def greet(_request: Request) -> Reply:
            return Reply(0, json.dumps(board_settings(board, self._boot_folder)).encode())

        vm = self.source.spawn(self._argv(ROOMY_HEAP_BYTES))
        Bridge(vm.bridge, {Op.HELLO: greet, Op.READY: ready}, lambda: None).serve()
        self.source.kill(vm)
        text = os.read(vm.console_fd, 4096).decode(errors="replace") if not measured else ""
        vm.close()
        if not measured:
            raise VmError(f"the VM does not load the board's modules: {text}")
        return measured

    def _argv(self, heap_bytes: int) -> list[str]:
        return ["micropython", "-X", f"heapsize={heap_bytes}", str(self._boot_folder / START)]

    def _prompt_argv(self, heap_bytes: int) -> list[str]:
        """Boots from a text and not from a file, and leaves no name behind at the prompt."""
        boot = f"__import__('sys').path.insert(0, {str(self._boot_folder)!r})\n__import__({BOOT!r})"
        return ["micropython", "-X", f"heapsize={heap_bytes}", "-i", "-c", boot]


def _stop_at_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback that failed (no VM, a broken device model) would leave a world that silently does nothing."""
    loop.default_exception_handler(context)
    if "handle" in context:
        loop.stop()


def heap_argument_bytes(free_bytes: int, baseline_bytes: int) -> int:
    """The -X heapsize that leaves `free_bytes` beside the overlays."""
    return math.ceil((free_bytes + baseline_bytes) / HEAP_SHARE) + HEAP_MARGIN_BYTES


def install_firmware(
    root: Path, packages: Sequence[str] = ("balise_node", "balise_wire"), *, copies: bool = False
) -> None:
    """Puts our packages, compiled, under /lib of a board's root, and leaves everything else there alone.

    As links, which firmware cannot write through, or as copies, which belong to the board.
    """
    library = root / "lib"
    library.mkdir(parents=True, exist_ok=True)
    for package in packages:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(f"the package {package} is not installed: nothing to put on the board")
        target = library / package
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            shutil.rmtree(target)
        source = compiled(Path(spec.submodule_search_locations[0]).resolve(), package)
        shutil.copytree(source, target) if copies else target.symlink_to(source)
