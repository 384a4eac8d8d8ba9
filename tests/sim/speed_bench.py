"""How fast the simulator is: simulated seconds per wall second, and where the time goes. For `make bench`.

The street runs the real gateway and hub beside its nodes; the single nodes have no peer but a scripted one. World and
VMs share one processor core, since only one of them runs at a time.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from balise_boards import load_board
from balise_sim.buses import Wire
from balise_sim.clocks import VirtualLoop
from balise_sim.replay import Home
from balise_sim.scenario import bundled, homes_of
from balise_sim.soak import any_core
from balise_sim.street import Street
from balise_sim.world import World, install_firmware
from node.yard import CONFIG, Yard

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
    limit: int
    node_s: float
    wall_s: float
    world_cpu_s: float
    vms_cpu_s: float

    def row(self) -> str:
        world = self.world_cpu_s / (self.world_cpu_s + self.vms_cpu_s)
        where = f"VMs {1 - world:.0%}, world {world:.0%}"
        return f"| {self.what} | {self.node_s / self.wall_s:,.0f} | ≥ {self.limit:,} | {where} |"


def measured(what: str, limit: int, play: Callable[[], float]) -> Speed:
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
    """Six hours of eight homes with gateway and hub."""
    scenario = replace(bundled("street"), events=(), hours=6, homes=homes_of(8))
    street = Street(scenario, Path(tempfile.mkdtemp()), 1, core=any_core())
    assert street.play().ok
    return street.loop.time() * 8


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
        measured("eight air nodes with gateway and hub", 25_000, eight_nodes),
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
