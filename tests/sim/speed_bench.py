"""How fast the simulator is: simulated seconds per wall second, and where the time goes. For `make bench`.

The single nodes and the eight have no peer but scripted ones; the street runs real gateway and hub beside its nodes,
whose own work then counts too. World and VMs share one processor core, since only one of them runs at a time.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from balise_boards import load_board
from balise_sim.buses import Wire
from balise_sim.clocks import VirtualLoop
from balise_sim.replay import Home
from balise_sim.scenario import bundled, homes_of
from balise_sim.soak import any_core
from balise_sim.street import Street
from balise_sim.world import World, install_firmware
from balise_wire.frames import FrameKeys
from node.peer import Peer
from node.yard import CONFIG, HOST, WIRES, Yard

DAY_S = 86_400
START_UTC_MS = 1_544_313_600_000
SLEEPER = """
import machine, time
from balise_node.drivers.bme280 import Sensor
sensor = Sensor(machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21)), time.sleep_ms)
sensor.wake()
print(sensor.sample())
machine.deepsleep(300000)
"""


@dataclass(frozen=True)
class Speed:
    """`node_s` simulated seconds of all nodes took `wall_s`; world and VMs took so much of the processor."""

    what: str
    limit: int | None
    node_s: float
    wall_s: float
    world_cpu_s: float
    vms_cpu_s: float

    def row(self) -> str:
        world = self.world_cpu_s / (self.world_cpu_s + self.vms_cpu_s)
        where = f"VMs {1 - world:.0%}, world {world:.0%}"
        wanted = "" if self.limit is None else f"≥ {self.limit:,}"
        return f"| {self.what} | {self.node_s / self.wall_s:,.0f} | {wanted} | {where} |"


def measured(what: str, limit: int | None, play: Callable[[], float]) -> Speed:
    """`play` builds, runs and closes a world, and returns its nodes' simulated seconds."""
    before, begun_s = os.times(), time.perf_counter()
    node_s = play()
    after = os.times()
    world_cpu_s = after.user - before.user + after.system - before.system
    vms_cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return Speed(what, limit, node_s, time.perf_counter() - begun_s, world_cpu_s, vms_cpu_s)


def air_node() -> float:
    """A day of an air node, a row a minute, its frames taken and answered."""
    folder = Path(tempfile.mkdtemp())
    with Yard(folder, mqtt=CONFIG["mqtt"] | {"keepalive_s": 300}, core=any_core()) as yard:
        yard.run(DAY_S / 60)
        assert len(yard.kept()) > 1_430
    return DAY_S


def eight_nodes() -> float:
    """Six hours of eight air nodes in one world, each with a peer of its own."""
    folder = Path(tempfile.mkdtemp())
    with World(VirtualLoop(), START_UTC_MS, seed=1, core=any_core()) as world:
        peers = [_settle(world, folder / f"air-{number}", number) for number in range(8)]
        world.loop.run_until_complete(world.run_for(6 * 3_600))
        assert all(len(peer.frames) > 355 for peer in peers)
        return world.loop.time() * 8


def _settle(world: World, root: Path, number: int) -> Peer:
    """A powered node of its own name and key, and the peer that it talks to."""
    key, port = Random(number).randbytes(16), 1_883 + number
    peer = Peer(FrameKeys(key), lambda: world.utc_ms)
    world.loop.run_until_complete(world.network.listen(peer.listener.connect, HOST, port))
    root.mkdir()
    install_firmware(root)
    (root / "main.py").write_text("import balise_node.main\n", encoding="utf-8")
    mqtt = CONFIG["mqtt"] | {"port": port, "keepalive_s": 300}
    told = CONFIG | {"board": "esp32", "node": f"urn:dev:ops:b4115e-air-{number}", "key": key.hex(), "mqtt": mqtt}
    (root / "config.json").write_text(json.dumps(told), encoding="utf-8")
    world.add_node(root.name, load_board("esp32"), root, WIRES, Home(START_UTC_MS, number)).power_on()
    return peer


def street() -> float:
    """Six hours of eight homes with gateway and hub."""
    scenario = replace(bundled("street"), events=(), hours=6, homes=homes_of(8))
    played = Street(scenario, Path(tempfile.mkdtemp()), 1, core=any_core())
    assert played.play().ok
    return played.loop.time() * 8


def sleeper() -> float:
    """A day of a node that boots every five minutes, measures and sleeps."""
    root = Path(tempfile.mkdtemp()) / "sleeper"
    root.mkdir()
    install_firmware(root)
    (root / "main.py").write_text(SLEEPER, encoding="utf-8")
    wires = [Wire("bme280", "i2c0", {"address": 0x76})]
    with World(VirtualLoop(), START_UTC_MS, seed=1, core=any_core()) as world:
        node = world.add_node("sleeper", load_board("esp32"), root, wires, Home(START_UTC_MS))
        node.power_on()
        world.loop.run_until_complete(world.run_for(DAY_S))
        assert node.boots == DAY_S / 300
    return DAY_S


def speed_table() -> list[str]:
    """The part of BENCHMARKS.md."""
    speeds = (
        measured("one air node, a row a minute", 25_000, air_node),
        measured("eight air nodes in one world", 25_000, eight_nodes),
        measured("the same eight with the real gateway and hub", None, street),
        measured("a node that sleeps deeply, 288 boots a day", 60_000, sleeper),
    )
    return [
        "## The simulator",
        "",
        "Simulated node-seconds per second of wall time, starts and ends included. What limits: the MicroPython VMs",
        "compute most of the time, a third of it in garbage collection; the world answers 19 requests per node-minute.",
        "",
        "| what | node-seconds per second | wanted | processor time |",
        "|---|---|---|---|",
        *(speed.row() for speed in speeds),
    ]
