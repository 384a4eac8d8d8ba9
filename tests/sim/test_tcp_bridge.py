"""A node in the simulated network talks to a real TCP server, at a pace."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balise_boards import load_board
from balise_sim.node import Node
from balise_sim.pace import Leader, PacedLoop
from balise_sim.shared_clock import SharedClock
from balise_sim.tcp_bridge import bridge_to
from balise_sim.world import World

PACE = 100
MAIN = """
import network, time, socket
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect('street', 'secret')
while not wlan.isconnected():
    time.sleep_ms(100)
while True:
    try:
        s = socket.socket()
        s.connect(('192.168.4.1', 1883))
        s.settimeout(60)
        while True:
            s.write(b'x' * 3000 + b'\\n')
            print(len(s.readline()))
            time.sleep(5)
    except OSError as error:
        print('errno', error.errno)
    s.close()
    time.sleep(5)
"""


@pytest.fixture
def paced(tmp_path: Path) -> Iterator[World]:
    loop = PacedLoop(Leader(SharedClock.make(tmp_path / "clock", 0), PACE))
    with World(loop, 0, seed=3) as world:
        yield world
    loop.close()


@pytest.fixture
def node(paced: World, tmp_path: Path) -> Node:
    root = tmp_path / "air-01"
    root.mkdir()
    (root / "main.py").write_text(MAIN, encoding="utf-8")
    return paced.add_node("air-01", load_board("esp32"), root)


async def said(node: Node, wanted: Callable[[list[str]], bool]) -> list[str]:
    """Waits until the console's lines are as wanted; in virtual minutes, however slow the machine is."""
    async with asyncio.timeout(3600):
        while not wanted(lines := [line for _, line in node.console.lines]):
            await asyncio.sleep(1)
    return lines


class Echo(asyncio.Protocol):
    def __init__(self, alive: "set[asyncio.Transport]") -> None:
        self._alive = alive

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._alive.add(transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self.transport)


def test_bytes_pass_both_ways_and_a_restarted_server_is_found_again(paced: World, node: Node) -> None:
    async def main() -> None:
        alive: set[asyncio.Transport] = set()
        server = await paced.loop.create_server(lambda: Echo(alive), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bridge_to(paced.network, "192.168.4.1", 1883, port)
        node.power_on()
        assert await said(node, lambda lines: len(lines) >= 3) == ["3001"] * 3
        server.close()
        for transport in list(alive):
            transport.abort()  # as when the server's process ends
        await said(node, lambda lines: "errno 111" in lines)
        again = await paced.loop.create_server(lambda: Echo(alive), "127.0.0.1", port)
        await said(node, lambda lines: lines[-1] == "3001")
        node.power_cut()
        again.close()

    paced.loop.run_until_complete(main())


def test_a_pulled_cable_holds_bytes_back(paced: World, node: Node) -> None:
    heard: list[float] = []

    class Listener(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            heard.append(paced.loop.time())
            self.transport.write(b"\n" * data.count(b"\n"))

    async def main() -> None:
        server = await paced.loop.create_server(Listener, "127.0.0.1", 0)
        bridge_to(paced.network, "192.168.4.1", 1883, server.sockets[0].getsockname()[1])
        node.power_on()
        await said(node, lambda lines: len(lines) >= 2)
        node.link.down()
        await asyncio.sleep(1)  # what the process had been sent arrives
        down_s = paced.loop.time()
        await asyncio.sleep(30)
        assert not [at_s for at_s in heard if at_s > down_s]
        node.link.up()
        await said(node, lambda lines: len(lines) >= 4)
        node.power_cut()
        server.close()

    paced.loop.run_until_complete(main())
