"""A street on virtual time: the world, real nodes, and the gateway and the hub as guests of one loop.

Promises: the same scenario and seed give the same bytes at the hub; a crash of the gateway runs not one more line of
it. This is the one module of the simulator that imports the gateway; it also starts the gateway of the paced way,
as a process with the shared clock. Leaves to others: real processes (`processes.py`) and the judgement (`verdict.py`).
"""

import asyncio
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from balise_boards import load_board
from balise_gateway.config import load
from balise_gateway.daemon import Gateway
from balise_sim.buses import Wire
from balise_sim.clocks import LoopClock, VirtualLoop
from balise_sim.fields import District
from balise_sim.guests import GuestLoop
from balise_sim.hub import Behaviour, Hub, HubStore
from balise_sim.layout import Ports, Site, lay_out, wiring
from balise_sim.net import Server
from balise_sim.pace import Follower, PacedLoop
from balise_sim.replay import Home as Recorded
from balise_sim.scenario import S_PER_MINUTE, Scenario
from balise_sim.shared_clock import SharedClock
from balise_sim.stage import GATEWAY, HUB, Stage
from balise_sim.verdict import KeptRow, Verdict, judge, kept_row
from balise_sim.world import Environment, World, install_firmware

CABLE_DELAY_S = 0.03
LOOK_S = 300  # how often a street that comes home is judged


def places(scenario: Scenario, seed: int) -> Callable[[int], Environment]:
    """What there is to measure at each home, by its number: homes stand along the road, each a little further off."""
    if scenario.air == "recorded":
        return lambda number: Recorded(scenario.start_utc_ms, number)
    district = District(seed, scenario.start_utc_ms)
    return lambda number: district.place(x_m=40.0 * number, y_m=8.0 + 25.0 * number)


def populate(world: World, scenario: Scenario, site: Site) -> None:
    """Puts a wired node into each home, its firmware installed, not yet powered."""
    place = places(scenario, world.seed)
    for number, home in enumerate(scenario.homes):
        root = site.node_roots[home.name]
        install_firmware(root)
        wires = [Wire(model, f"{bus.kind}{bus.number}") for model, bus in wiring(home)]
        world.add_node(home.name, load_board(home.board), root, wires, place(number))


def ledger_of(world: World) -> list[KeptRow]:
    """What the nodes said they kept, from their consoles."""
    rows = []
    for name, node in world.nodes.items():
        rows += [row for at_ms, line in node.console.lines if (row := kept_row(name, at_ms, line)) is not None]
    return rows


def judge_street(world: World, site: Site, until_utc_ms: int, node_kills: int) -> Verdict:
    """The verdict on a street whose hub may still be running."""
    store, ledger = HubStore(site.hub_db), ledger_of(world)
    verdict = judge(ledger, store, site.gateway_keys, until_utc_ms)
    store.close()
    heard = {row.node for row in ledger}
    verdict.silent = [name for name in world.nodes if name not in heard]
    verdict.node_kills = node_kills
    verdict.vm = ", ".join(sorted({node.vm_version for node in world.nodes.values() if node.vm_version}))
    verdict.restarts = sum(node.boots for node in world.nodes.values()) - len(world.nodes) - node_kills
    return verdict


class Cable(httpx.AsyncBaseTransport):
    """The way from the gateway to the hub: may be cut before a request arrives or before its answer does."""

    def __init__(self, is_whole: Callable[[], bool], app: Callable[[], httpx.ASGITransport | None]) -> None:
        self._is_whole, self._app = is_whole, app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(CABLE_DELAY_S)
        app = self._app()
        if not self._is_whole() or app is None:
            raise httpx.ConnectError("the cable is cut", request=request)
        response = await app.handle_async_request(request)
        await response.aread()
        await asyncio.sleep(CABLE_DELAY_S)
        if not self._is_whole() or self._app() is not app:
            raise httpx.ReadError("the cable was cut before the answer came", request=request)
        return response


class Street(Stage):
    """One scenario on virtual time, laid out under `root`. `play` runs it to its verdict."""

    def __init__(self, scenario: Scenario, root: Path, seed: int, *, core: int | None = None) -> None:
        super().__init__(scenario)
        self.loop = VirtualLoop()
        self.site = lay_out(scenario, root, seed, Ports())
        self.world = World(self.loop, scenario.start_utc_ms, seed=seed, core=core)
        self.store = HubStore(self.site.hub_db)
        self._behaviour = Behaviour()
        self._cable_is_whole = True
        self._hub_app: httpx.ASGITransport | None = None
        self._guest: GuestLoop | None = None
        self._servers: list[Server] = []
        self._gateway: Gateway | None = None
        self._clock: LoopClock | None = None
        self._clock_mode = "right"
        self._run: asyncio.Task[None] | None = None
        populate(self.world, scenario, self.site)

    def play(self) -> Verdict:
        """Runs the scenario, then until all is at the hub or the drain time is over."""
        with self.world:
            verdict = self.loop.run_until_complete(self._play())
            self.set_power(GATEWAY, on=False)
        self.store.close()
        return verdict

    async def _play(self) -> Verdict:
        for who in (HUB, GATEWAY, *self.world.nodes):
            self.set_power(who, on=True)
        await self.play_events()
        until_ms = self.world.utc_ms
        give_up_s = self.loop.time() + self.scenario.drain_min * S_PER_MINUTE
        while True:
            await asyncio.sleep(LOOK_S)
            verdict = judge_street(self.world, self.site, until_ms, self.node_kills)
            if verdict.ok or self.loop.time() > give_up_s:
                return verdict

    # The switches

    def set_power(self, who: str, on: bool) -> None:
        if who == GATEWAY:
            self._start_gateway() if on else self._crash_gateway()
        elif who == HUB:
            self._hub_app = httpx.ASGITransport(app=self._new_hub().app()) if on else None
        elif on:
            self.world.nodes[who].power_on()
        else:
            self.world.nodes[who].power_cut()

    def set_cable(self, whole: bool) -> None:
        self._cable_is_whole = whole

    def set_link(self, home: str, up: bool) -> None:
        link = self.world.nodes[home].link
        link.up() if up else link.down()

    def set_hub(self, mode: str) -> None:
        self._behaviour.mode = mode

    def set_clock(self, mode: str) -> None:
        self._clock_mode = mode
        if self._clock is not None:
            self._clock.mode = mode

    # The guests

    def _new_hub(self) -> Hub:
        site, world = self.site, self.world
        return Hub(self.store, site.hub_signer, site.gateway_keys, lambda: world.utc_ms, self._behaviour)

    def _start_gateway(self) -> None:
        guest = GuestLoop(self.loop)

        async def listen(factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> Server:
            server = await self.world.network.listen(guest.protocol_for(factory), host, port)
            self._servers.append(server)
            return server

        cable = Cable(lambda: self._cable_is_whole, lambda: self._hub_app)
        self._clock = clock = LoopClock(guest, self.scenario.start_utc_ms)
        clock.mode = self._clock_mode
        dice = random.Random(f"{self.world.seed}/{self.world.now_us}")
        self._gateway = Gateway(load(self.site.gateway_toml), clock, listen=listen, transport=cable, dice=dice)
        self._guest, self._run = guest, guest.start(self._gateway.run(asyncio.Event()))

    def _crash_gateway(self) -> None:
        """Not one more line of the gateway runs; the network and the files notice, as when a process dies."""
        if self._guest is None or self._gateway is None or self._run is None:
            return
        if self._run.done():
            self._run.result()  # it had ended by itself: show why
        self._guest.abandon()
        for server in self._servers:
            server.crash()
        self._gateway.release()
        self._guest, self._servers = None, []


async def _until_told(gateway: Gateway) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await gateway.run(stop)


def gateway_process(config_file: Path, clock_file: Path) -> None:
    """The gateway of the paced way: as `balise gateway run`, but on the world's clock. Runs until SIGTERM."""
    shared = SharedClock.open(clock_file)
    loop = PacedLoop(Follower(shared))
    loop.run_until_complete(_until_told(Gateway(load(config_file), LoopClock(loop, shared.start_utc_ms))))
    loop.close()


if __name__ == "__main__":
    gateway_process(Path(sys.argv[1]), Path(sys.argv[2]))
