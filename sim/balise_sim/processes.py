"""A street with real processes: gateway and hub on loopback sockets, the world's clock at a pace, kills that are kills.

Promises: every power cut of the gateway or the hub is a SIGKILL, every cut cable a broken TCP connection, and the last
stop of the gateway is a SIGTERM that must end cleanly. Leaves to others: the scenario, the nodes (`street.populate`),
and the judgement (`verdict.py`).
"""

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from balise_sim.hub_process import Desk
from balise_sim.layout import GATEWAY_HOST, HUB_SEED, MQTT_PORT, Ports, lay_out, secret
from balise_sim.pace import Leader, PacedLoop
from balise_sim.relay import Relay
from balise_sim.scenario import S_PER_MINUTE, Scenario, ScenarioError
from balise_sim.shared_clock import SharedClock
from balise_sim.stage import GATEWAY, HUB, Stage
from balise_sim.street import judge_street, populate
from balise_sim.tcp_bridge import bridge_to
from balise_sim.verdict import Verdict
from balise_sim.world import World

LOOK_S, LOOK_REAL_S = 300.0, 2.0  # how often a street that comes home is judged: the longer of both
LISTENING_LOOK_REAL_S = 0.05
STOP_REAL_S = 30.0  # how long the gateway may take to stop cleanly
WORLD_CORE = 0
QUIET_PORTS = (12_000, 32_000)

Watcher = Callable[["PacedStreet"], Coroutine[Any, Any, None]]


class StreetError(RuntimeError):
    """A process of the street did what it must not; the text names its log."""


class PacedStreet(Stage):
    """One scenario with real processes, laid out under `root`; `pace` is simulated seconds per second.

    Raises ScenarioError for one that sets the gateway's clock wrong: here all processes share one clock.
    """

    def __init__(self, scenario: Scenario, root: Path, seed: int, pace: float) -> None:
        super().__init__(scenario)
        if any(event.what == "clock" for event in scenario.events):
            raise ScenarioError(
                f"{scenario.name}: a `clock` event is played on virtual time only: balise sim run {scenario.name}"
            )
        self.root, self.seed, self.pace = root, seed, pace
        self.clock_file = root / "clock"
        mqtt_port, self.page_port, cable_port, self._hub_port = free_ports(4)
        self._mqtt_port, self._relay = mqtt_port, Relay(cable_port, self._hub_port)
        ports = Ports("127.0.0.1", mqtt_port, self.page_port, f"http://127.0.0.1:{cable_port}")
        self.site = lay_out(scenario, root, seed, ports)
        self.events: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._mode = "ok"
        self._errands: set[asyncio.Task[None]] = set()

    def play(self, watcher: Watcher | None = None) -> Verdict:
        """Runs the scenario, then until all is at the hub or the drain time is over. `watcher` runs beside it."""
        clock = SharedClock.make(self.clock_file, self.scenario.start_utc_ms)
        try:
            for who in (HUB, GATEWAY):
                self.set_power(who, on=True)
            self._wait_for_gateway()
            self.loop = PacedLoop(Leader(clock, self.pace))
            verdict = self.loop.run_until_complete(self._play(watcher))
            self.loop.close()
        finally:
            for process in self._processes.values():
                process.kill()
                process.wait()
        return verdict

    def _wait_for_gateway(self) -> None:
        """The scenario begins when the gateway takes connections: how long Python takes to start is no test."""
        while self._processes[GATEWAY].poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._mqtt_port)) == 0:
                    return
            time.sleep(LISTENING_LOOK_REAL_S)
        raise StreetError(f"the gateway did not start; see {self._log_of(GATEWAY)}")

    async def _play(self, watcher: Watcher | None) -> Verdict:
        await self._relay.start()
        with World(self.loop, self.scenario.start_utc_ms, seed=self.seed, core=WORLD_CORE) as self.world:
            bridge_to(self.world.network, GATEWAY_HOST, MQTT_PORT, self._mqtt_port)
            populate(self.world, self.scenario, self.site)
            for name in self.world.nodes:
                self.set_power(name, on=True)
            watching = asyncio.create_task(watcher(self)) if watcher else None
            await self.play_events()
            verdict = await self._come_home()
            if watching is not None:
                watching.cancel()
        self._stop_gateway()
        await self._relay.stop()
        return verdict

    async def _come_home(self) -> Verdict:
        until_ms = self.world.utc_ms
        give_up_s = self.loop.time() + self.scenario.drain_min * S_PER_MINUTE
        while True:
            await asyncio.sleep(max(LOOK_S, LOOK_REAL_S * self.pace))
            verdict = judge_street(self.world, self.site, until_ms, self.node_kills)
            if verdict.ok or self.loop.time() > give_up_s:
                return verdict

    # The switches

    def set_power(self, who: str, on: bool) -> None:
        self._tell(f"{who.rsplit(':', 1)[-1]} has no power", not on)
        if who in (GATEWAY, HUB):
            self._start(who) if on else self._kill(who)
        elif on:
            self.world.nodes[who].power_on()
        else:
            self.world.nodes[who].power_cut()

    def set_cable(self, whole: bool) -> None:
        self._tell("the cable is pulled", not whole)
        self._relay.mend() if whole else self._relay.cut()

    def set_link(self, home: str, up: bool) -> None:
        self._tell(f"{home.rsplit(':', 1)[-1]} has no radio", not up)
        link = self.world.nodes[home].link
        link.up() if up else link.down()

    def set_clock(self, mode: str) -> None:
        raise ScenarioError(f"clock: real processes share the world's clock; it cannot be {mode}")

    def set_hub(self, mode: str) -> None:
        self._tell(f"the hub is told to {self._mode if mode == 'ok' else mode}", mode != "ok")
        self._mode = mode
        errand = self.loop.create_task(self._turn_knob(mode))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    def _tell(self, event: str, begins: bool) -> None:
        (self.events.add if begins else self.events.discard)(event)

    async def _turn_knob(self, mode: str) -> None:
        async with httpx.AsyncClient(timeout=None) as client:
            try:
                await client.post(f"http://127.0.0.1:{self._hub_port}/v1/behaviour", json={"mode": mode})
            except httpx.TransportError:
                return  # the hub has no power: it will start with this mode

    # The processes

    def _start(self, who: str) -> None:
        with self._log_of(who).open("ab") as log:
            self._processes[who] = subprocess.Popen(
                self._command(who), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_use_all_cores
            )

    def _command(self, who: str) -> list[str]:
        if who == GATEWAY:
            place = [str(self.site.gateway_toml), str(self.clock_file)]
            return [sys.executable, "-m", "balise_sim.street", *place]
        keys = {kid.hex(): key.hex() for kid, key in self.site.gateway_keys.items()}
        seed = secret(self.seed, HUB_SEED, 32).hex()
        desk = Desk(str(self.site.hub_db), str(self.clock_file), self._hub_port, seed, keys, self._mode)
        desk.write(self.root / "hub.json")
        return [sys.executable, "-m", "balise_sim.hub_process", str(self.root / "hub.json")]

    def _kill(self, who: str) -> None:
        process = self._processes[who]
        if process.poll() is not None:
            raise StreetError(f"the {who} had ended by itself with {process.returncode}; see {self._log_of(who)}")
        process.kill()
        process.wait()

    def _stop_gateway(self) -> None:
        """SIGTERM, as systemd sends it: the gateway commits, closes its files and ends with 0."""
        process = self._processes[GATEWAY]
        process.terminate()
        status = process.wait(timeout=STOP_REAL_S)
        if status != 0:
            raise StreetError(f"the gateway ended with {status} after SIGTERM; see {self._log_of(GATEWAY)}")

    def _log_of(self, who: str) -> Path:
        return self.root / f"{who}.log"


def _use_all_cores() -> None:
    """The world keeps to one core; its children need not."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def free_ports(count: int) -> list[int]:
    """TCP ports on loopback that nobody listens on now, all different.

    From below the range that systems take for outgoing connections, where one could be taken before it is used.
    """
    probes: list[socket.socket] = []
    while len(probes) < count:
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", random.randrange(*QUIET_PORTS)))
        except OSError:
            probe.close()
            continue
        probes.append(probe)
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def play(scenario: Scenario, root: Path, seed: int, pace: float) -> Verdict:
    """One scenario with real processes, to its verdict."""
    return PacedStreet(scenario, root, seed, pace).play()
