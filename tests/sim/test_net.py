"""A node's sockets reach real asyncio protocols, and lose them as sockets do."""

import asyncio
from collections.abc import Callable

import pytest

from balise_sim.clocks import VirtualLoop
from balise_sim.node import Node
from balise_sim.world import World

Boot = Callable[..., Node]
JOIN = (
    "import network, time, socket, asyncio\nwlan = network.WLAN(network.STA_IF)\nwlan.active(True)\n"
    "wlan.connect('street', 'secret')\nwhile not wlan.isconnected():\n    time.sleep_ms(100)\n"
)
TALK = """
async def main():
    while True:
        try:
            reader, writer = await asyncio.open_connection('gateway.local', 1883)
            while True:
                writer.write(b'hello\\n')
                await writer.drain()
                print(await reader.readline())
                await asyncio.sleep(10)
        except OSError as error:
            print('errno', error.errno)
            writer.close()
            await asyncio.sleep(5)
asyncio.run(main())
"""


class Echo(asyncio.Protocol):
    """Says everything in capitals; keeps what happened."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.log.append(f"made {transport.get_extra_info('peername')[0]}")

    def data_received(self, data: bytes) -> None:
        self.log.append(f"data {len(data)}")
        self.transport.write(data.upper())

    def eof_received(self) -> bool:
        self.log.append("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append(f"lost {exc}")


@pytest.fixture
def log(world: World) -> list[str]:
    """An echo at gateway.local:1883, and what it saw."""
    log: list[str] = []
    world.loop.run_until_complete(world.network.listen(lambda: Echo(log), "gateway.local", 1883))
    return log


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def go(world: World, duration_s: float) -> None:
    world.loop.run_until_complete(world.run_for(duration_s))


def test_blocking_and_asyncio_sockets_talk(world: World, boot: Boot, log: list[str]) -> None:
    node = boot(
        JOIN + "s = socket.socket()\ns.connect(socket.getaddrinfo('gateway.local', 1883)[0][-1])\n"
        "s.write(b'one\\ntwo\\n')\nprint(s.readline(), s.read(2), s.recv(10))\ns.close()\n"
        "s = socket.socket()\ns.connect(('192.168.4.1', 1883))\ns.settimeout(2)\n"
        "try:\n    s.recv(1)\nexcept OSError as error:\n    print(error.errno)\n"
        "s.setblocking(False)\nprint(s.read(1), s.readline())\n" + TALK
    )
    go(world, 30)
    assert texts(node)[:4] == ["b'ONE\\n' b'TW' b'O\\n'", "110", "None None", "b'HELLO\\n'"]
    assert log[:4] == ["made 192.168.4.20", "data 8", "eof", "lost None"]


def test_much_passes_with_back_pressure_both_ways(world: World, boot: Boot, log: list[str]) -> None:
    node = boot(
        JOIN + "s = socket.socket()\ns.connect(('192.168.4.1', 1883))\ntotal = 0\n"
        "for n in range(40):\n    s.write(bytes([65 + n % 26]) * 1000)\n"
        "while total < 40000:\n    total += len(s.recv(1000))\n    time.sleep_ms(5)\nprint(total)\n"
    )
    go(world, 30)
    assert texts(node) == ["40000"]


def test_a_pulled_cable_stalls_and_then_breaks_what_waits(world: World, boot: Boot, log: list[str]) -> None:
    node = boot(JOIN + TALK)
    go(world, 5)
    node.link.down()
    go(world, 30)
    assert texts(node) == ["b'HELLO\\n'"]
    node.link.up()
    go(world, 1)
    assert texts(node) == ["b'HELLO\\n'"] * 2  # what was on its way arrived
    node.link.down()
    go(world, 80)
    assert texts(node)[-1] == "errno 110"
    assert log[-1].startswith("data")  # the other side heard nothing
    node.link.up()
    go(world, 40)
    assert texts(node)[-1] == "b'HELLO\\n'"


def test_lost_wifi_is_seen_and_comes_back(world: World, boot: Boot, log: list[str]) -> None:
    node = boot(JOIN + "while True:\n    print(wlan.isconnected(), wlan.status())\n    time.sleep(10)\n")
    go(world, 5)
    node.link.down("wifi")
    go(world, 10)
    node.link.up("wifi")
    go(world, 10)
    assert texts(node) == ["True 1010", "False 203", "True 1010"]


@pytest.mark.parametrize(("name", "key", "status"), [("street", "secret", 1010), ("street", "x", 202), ("x", "", 201)])
def test_joining_needs_name_and_key(world: World, boot: Boot, name: str, key: str, status: int) -> None:
    world.network.wifi = {"street": "secret"}
    node = boot(
        "import network, time\nwlan = network.WLAN(network.STA_IF)\nwlan.active(True)\n"
        f"wlan.connect({name!r}, {key!r})\nprint(wlan.status())\ntime.sleep(5)\nprint(wlan.status())\n"
    )
    go(world, 8)
    assert texts(node) == ["1001", str(status)]


def test_a_crashed_gateway_resets_and_refuses(world: World, boot: Boot) -> None:
    log: list[str] = []
    server = world.loop.run_until_complete(world.network.listen(lambda: Echo(log), "gateway.local", 1883))
    node = boot(JOIN + TALK)
    go(world, 5)
    server.crash()
    go(world, 8)
    assert texts(node) == ["b'HELLO\\n'", "errno 104"]
    assert log == ["made 192.168.4.20", "data 6"]  # not one more line of it
    go(world, 5)
    assert texts(node)[-1] == "errno 111"


def test_a_node_without_power_tells_nobody(world: World, boot: Boot, log: list[str]) -> None:
    """The other side finds out when it sends, and the node's next boot answers what it does not know."""
    transports: list[asyncio.Transport] = []

    class Kept(Echo):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            transports.append(self.transport)

    world.loop.run_until_complete(world.network.listen(lambda: Kept(log), "other.local", 1883))
    node = boot(
        JOIN + "s = socket.socket()\ns.connect(socket.getaddrinfo('other.local', 1883)[0][-1])\ntime.sleep(99)\n"
    )
    go(world, 5)
    node.power_cut()
    transports[0].write(b"are you there?")
    go(world, 30)
    assert log == ["made 192.168.4.20"]
    node.power_on()
    go(world, 5)
    assert log[1] == "lost [Errno 104] Connection reset by peer"


class Slow(asyncio.Protocol):
    """Reads nothing until told."""

    def __init__(self) -> None:
        self.received = 0
        self.paused: list[bool] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()
        transport.set_write_buffer_limits(high=2000)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def pause_writing(self) -> None:
        self.paused.append(True)

    def resume_writing(self) -> None:
        self.paused.append(False)


def test_a_protocol_can_pause_reading_and_is_paused_in_writing(world: World, boot: Boot) -> None:
    slow = Slow()
    world.loop.run_until_complete(world.network.listen(lambda: slow, "slow.local", 1))
    node = boot(
        JOIN + "s = socket.socket()\ns.connect(socket.getaddrinfo('slow.local', 1)[0][-1])\ns.setblocking(False)\n"
        "sent = 0\nwhile True:\n    n = s.write(bytes(1000))\n    if n is None:\n        break\n    sent += n\n"
        "print(sent)\ntime.sleep(10)\ns.setblocking(True)\nprint(len(s.read(9000)))\n"
    )
    go(world, 5)
    assert (texts(node), slow.received) == (["5760"], 0)
    slow.transport.resume_reading()
    slow.transport.write(bytes(9000))
    assert slow.paused == [True]
    go(world, 10)
    assert slow.received == 5760
    assert slow.paused == [True, False]
    assert texts(node) == ["5760", "9000"]


@pytest.mark.parametrize(("how", "seen"), [("close", "b'bye'"), ("abort", "104")])
def test_a_protocol_closes_in_order_or_aborts(world: World, boot: Boot, how: str, seen: str) -> None:
    slow = Slow()
    world.loop.run_until_complete(world.network.listen(lambda: slow, "slow.local", 1))
    node = boot(
        JOIN + "s = socket.socket()\ns.connect(socket.getaddrinfo('slow.local', 1)[0][-1])\n"
        "try:\n    print(s.read())\nexcept OSError as error:\n    print(error.errno)\n"
    )
    go(world, 5)
    slow.transport.write(b"bye")
    getattr(slow.transport, how)()
    assert slow.transport.is_closing()
    go(world, 5)
    assert texts(node) == [seen]


def test_an_address_is_listened_on_once(world: World) -> None:
    server = world.loop.run_until_complete(world.network.listen(Slow, "gateway.local", 1883))
    with pytest.raises(OSError, match="already"):
        world.loop.run_until_complete(world.network.listen(Slow, "gateway.local", 1883))
    server.close()
    assert not server.is_serving()
    assert world.loop.run_until_complete(world.network.listen(Slow, "gateway.local", 1883)).is_serving()


def test_two_worlds_of_the_same_seed_are_the_same(world: World, boot: Boot, log: list[str]) -> None:
    """Asyncio, random numbers, jitter of the link: all of it, with another process behind each world."""
    main = JOIN + "import os, random\nprint(os.urandom(4), random.random(), time.ticks_us())\n" + TALK
    node = boot(main)
    go(world, 600)
    loop = VirtualLoop()
    with World(loop, world.start_utc_ms, seed=world.seed) as second:
        again: list[str] = []
        loop.run_until_complete(second.network.listen(lambda: Echo(again), "gateway.local", 1883))
        twin = second.add_node(node.name, node.board, node.root)
        twin.power_on()
        go(second, 600)
        assert twin.console.lines == node.console.lines
        assert again == log
    assert len(node.console.lines) > 60
