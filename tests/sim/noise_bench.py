"""How fast a world is that listens: an hour of 48 kHz sound through the node's own meter, in one VM."""

import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from balise_boards import load_board
from balise_sim.buses import Wire
from balise_sim.clocks import VirtualLoop
from balise_sim.world import World, install_firmware

HOUR_S, RATE_HZ = 3600, 48_000
LIMIT_S = 5.0
START_UTC_MS = 1_790_000_000_000
# Blocks of 128 ms, the largest that the kernels take: a board with less memory takes four of 32 ms
MAIN = """
from machine import I2S, Pin
from balise_node.sound.meter import Meter
i2s = I2S(0, sck=Pin(32), ws=Pin(25), sd=Pin(33), mode=I2S.RX, bits=32, format=I2S.MONO, rate=48000, ibuf=65536)
meter = Meter(32, 0, 1, 3900)
while True:
    for _ in range(469):
        i2s.readinto(meter.words)
        meter.measure()
    print(meter.spans, meter.take()[0])
"""


class Listened(NamedTuple):
    """So much sound took `wall_s`, and `cpu_s` of processor time; `levels` are LAeq of each minute in 1/100 dB."""

    simulated_s: float
    wall_s: float
    cpu_s: float
    requests: int
    overruns: int
    levels: tuple[int, ...]

    @property
    def ns_per_sample(self) -> float:
        return self.cpu_s * 1e9 / (self.simulated_s * RATE_HZ)


def listen(simulated_s: float = HOUR_S, level: float = 65.0) -> Listened:
    """So much sound at that level, through an I2S port, the bridge, the kernels and the meter."""
    loop, cpu_before_s = VirtualLoop(), sum(os.times()[:4])
    with tempfile.TemporaryDirectory() as folder, World(loop, START_UTC_MS, seed=1) as world:
        root = Path(folder)
        install_firmware(root)
        (root / "main.py").write_text(MAIN, encoding="utf-8")
        node = world.add_node("noise-01", load_board("esp32"), root, [Wire("inmp441", "i2s0")])
        node.bench.devices["inmp441"].set_channel("laeq", level)
        node.power_on()
        began = time.perf_counter()
        loop.run_until_complete(world.run_for(simulated_s))
        wall_s = time.perf_counter() - began
        levels = tuple(int(line.split()[1]) for _, line in node.console.lines)
        overruns = getattr(node.bench.ports["i2s"][0], "overrun_frames", 0)
        requests = node.requests
    cpu_s = sum(os.times()[:4]) - cpu_before_s  # the VM's counts once it has ended
    return Listened(simulated_s, wall_s, cpu_s, requests, overruns, levels)


def noise_table() -> list[str]:
    """For BENCHMARKS.md: the best of three, for other programs may share the machine."""
    best = min((listen() for _ in range(3)), key=lambda each: each.wall_s)
    return [
        "## An hour of noise",
        "",
        "48 kHz, 24 bits: a microphone's words over I2S into one MicroPython VM, A- and C-weighting, Fast levels,",
        "histogram; on virtual time. Two thirds of the time is the filters' machine code, a quarter is the bytes' way",
        "through the bridge. Processor time of a board is not modelled.",
        "",
        "| what | figure | limit |",
        "|---|---|---|",
        f"| wall seconds for an hour of sound | {best.wall_s:.1f} | ≤ {LIMIT_S:.0f} |",
        f"| processor seconds, world and VM | {best.cpu_s:.1f} | |",
        f"| nanoseconds of processor time a sample | {best.ns_per_sample:.1f} | real time: {1e9 / RATE_HZ:,.0f} |",
    ]


if __name__ == "__main__":
    print("\n".join(noise_table()))
