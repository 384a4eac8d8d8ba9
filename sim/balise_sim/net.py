"""The home network in memory: names, listeners, and connections that feed real asyncio protocols.

Promises: what a listener's protocol sees (connection_made, data_received, eof_received, connection_lost, and the
transport it writes to) is what it would see on a socket, in virtual time and in a reproducible order.
Leaves to others: the node's side of a socket (station.py) and real TCP (tcp_bridge.py).
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from balise_sim.link import Link, Pipe, Sink

ProtocolFactory = Callable[[], asyncio.BaseProtocol]
Opener = Callable[[], Awaitable[asyncio.BaseProtocol]]
HIGH_WATER_BYTES, WINDOW_BYTES = 65536, 65536
HOSTS_NET = "192.168.4."
FIRST_PORT = 49152


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Server(asyncio.AbstractServer):
    """What `listen` gives: like the server of loop.create_server, without sockets."""

    sockets: tuple[Any, ...] = ()

    def __init__(self, loop: asyncio.AbstractEventLoop, opener: Opener, forget: Callable[[], None]) -> None:
        self.open_protocol = opener
        self._loop, self._forget = loop, forget
        self._serving = True
        self.connections: list[Connection] = []

    def close(self) -> None:
        if self._serving:
            self._serving = False
            self._forget()

    def is_serving(self) -> bool:
        return self._serving

    async def wait_closed(self) -> None:
        return None

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    async def start_serving(self) -> None:
        return None

    async def serve_forever(self) -> None:
        await self._loop.create_future()

    def crash(self) -> None:
        """The process behind it is gone: its peers get a reset, and no method of its protocols is called again."""
        self.close()
        for connection in list(self.connections):
            connection.transport.vanish()


class Network:
    """One home network: hosts by name or address, and the Wi-Fi that nodes may join."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.wifi: dict[str, str] = {}  # name to key; empty: every name and key is taken
        self._names: dict[str, str] = {}
        self._servers: dict[tuple[str, int], Server] = {}
        self._next_port = FIRST_PORT
        self._opening: set[asyncio.Task[None]] = set()

    def name_host(self, name: str, address: str) -> None:
        self._names[name] = address

    def resolve(self, name: str) -> str | None:
        """The address of a host; None when nobody has that name."""
        if name.count(".") == 3 and name.replace(".", "").isdigit():
            return name
        return self._names.get(name)

    async def listen(self, protocol_factory: ProtocolFactory, host: str, port: int) -> Server:
        """As loop.create_server, for hosts of this network. `host` may be a name of it, or an address."""

        async def accept() -> asyncio.BaseProtocol:
            return protocol_factory()

        return self.add_server(accept, host, port)

    def add_server(self, opener: Opener, host: str, port: int) -> Server:
        """A listener whose protocols take time to make; OSError from `opener` refuses the connection."""
        at = (self._address(host), port)
        if at in self._servers:
            raise OSError(errno.EADDRINUSE, f"{host}:{port} of the simulated network is already listened on")
        server = Server(self.loop, opener, lambda: self._forget(at))
        self._servers[at] = server
        return server

    def _forget(self, at: tuple[str, int]) -> None:
        del self._servers[at]

    def _address(self, host: str) -> str:
        address = self.resolve(host)
        if address is None:
            address = HOSTS_NET + str(1 + len(self._names))
            self.name_host(host, address)
        return address

    def connect(self, link: Link, end: "NodeEnd", address: str, port: int) -> None:
        """Opens a connection for a node; `end` hears of it when the handshake is over."""
        task = self.loop.create_task(self._connect(link, end, address, port))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, link: Link, end: "NodeEnd", address: str, port: int) -> None:
        if not await self._round_trip(link, end):
            return
        server = self._servers.get((address, port))
        if server is None:
            end.refused(os_error(errno.ECONNREFUSED))
            return
        try:
            protocol = await server.open_protocol()
        except OSError:
            end.refused(os_error(errno.ECONNREFUSED))
            return
        if end.wants_connection:
            self._next_port = FIRST_PORT + (self._next_port + 1 - FIRST_PORT) % 16384
            connection = Connection(link, end, server, (end.address, self._next_port))
            connection.open(protocol)

    async def _round_trip(self, link: Link, end: "NodeEnd") -> bool:
        """Waits for a handshake; False when nobody is interested any more, or nothing came back in time."""
        give_up_s = self.loop.time() + link.patience_s
        await asyncio.sleep(link.travel_s() + link.travel_s())
        while not link.is_up and end.wants_connection:
            if self.loop.time() >= give_up_s:
                end.refused(os_error(errno.ETIMEDOUT))
                return False
            await asyncio.sleep(1)  # TCP tries again
        return end.wants_connection


class NodeEnd(Sink):
    """The node's socket, as a connection sees it."""

    address: str
    wants_connection: bool

    def opened(self, connection: "Connection") -> None: ...

    def refused(self, error: OSError) -> None: ...

    def timed_out(self, error: OSError) -> None:
        """Nothing was acknowledged for too long."""

    def writable(self) -> None:
        """Bytes have left the sending side."""

    @property
    def is_on_air(self) -> bool:
        """Whether the node's network stack would answer a stray segment."""
        raise NotImplementedError


class Connection:
    """Two pipes, the node's socket on one side and a transport on the other."""

    def __init__(self, link: Link, end: NodeEnd, server: Server, peername: tuple[str, int]) -> None:
        self._link, self._server, self.end = link, server, end
        self.loop = link.loop
        self.transport = MemoryTransport(self, peername)
        self.to_host = Pipe(link, self.transport, end.writable)
        self.to_node = Pipe(link, end, self.transport.drained)
        self.node_is_gone = False
        self.is_open = False
        self._patience: asyncio.TimerHandle | None = None

    def open(self, protocol: asyncio.BaseProtocol) -> None:
        self.is_open = True
        self._server.connections.append(self)
        self._link.watch(self.link_changed)
        self.end.opened(self)
        self.transport.start(protocol)

    def link_changed(self) -> None:
        self._watch_patience()
        self.to_host.pump()
        if self.node_is_gone:
            self.answer_stray()
        else:
            self.to_node.pump()

    def _watch_patience(self) -> None:
        """A dead link breaks a connection only when bytes wait for their acknowledgement."""
        waits = not self._link.is_up and bool(self.to_host.size or self.to_node.size)
        if waits and self._patience is None:
            self._patience = self._link.loop.call_later(self._link.patience_s, self._lose)
        elif not waits and self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose(self) -> None:
        """Who waited in vain for an acknowledgement gives up; the other side does not know."""
        self._patience = None
        node_waits, host_waits = bool(self.to_host.size), bool(self.to_node.size)
        if node_waits:
            self.to_host.clear()
            self.node_is_gone = True
            self.end.timed_out(os_error(errno.ETIMEDOUT))
        if host_waits:
            self.to_node.clear()
            self.transport.give_up(os_error(errno.ETIMEDOUT))
        if node_waits and host_waits:
            self.close()

    def send_to_host(self, data: bytes) -> None:
        self.to_host.put(data)
        self._watch_patience()

    def send_to_node(self, data: bytes) -> None:
        self.to_node.put(data)
        if self.node_is_gone:
            self.answer_stray()
        self._watch_patience()

    def lose_node(self) -> None:
        """The node lost its power: nobody tells the other side."""
        self.node_is_gone = True

    def answer_stray(self) -> None:
        """A node that knows nothing of this connection resets it, once it is on the air and bytes reach it."""
        if self.to_node.size and self.end.is_on_air and self._link.is_up:
            self.close()
            self._link.loop.call_later(self._link.travel_s(), self.transport.end, os_error(errno.ECONNRESET))

    def close(self) -> None:
        """Both directions are over; what was in flight is lost."""
        self.to_host.clear()
        self.to_node.clear()
        if self.is_open:
            self.is_open = False
            self._server.connections.remove(self)
            self._link.unwatch(self.link_changed)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class MemoryTransport(asyncio.Transport):
    """The host's side: an asyncio transport whose wire is a pair of pipes."""

    def __init__(self, connection: Connection, peername: tuple[str, int]) -> None:
        super().__init__({"peername": peername, "sockname": ("0.0.0.0", 0), "socket": None})
        self._connection = connection
        self._protocol: asyncio.BaseProtocol | None = None
        self._closing = False
        self._reading = True
        self._paused_protocol = False
        self._high, self._low = HIGH_WATER_BYTES, HIGH_WATER_BYTES // 4

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    # What the pipe from the node calls

    def room(self) -> int:
        return WINDOW_BYTES if self._reading and self._protocol is not None else 0

    def take(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.Protocol) and not self._closing:
            self._protocol.data_received(data)
        elif isinstance(self._protocol, asyncio.BufferedProtocol) and not self._closing:
            buffer = self._protocol.get_buffer(len(data))
            memoryview(buffer)[: len(data)] = data
            self._protocol.buffer_updated(len(data))
        elif self._closing:
            self._connection.to_node.finish(os_error(errno.ECONNRESET))

    def end(self, error: OSError | None) -> None:
        """The node closed (None) or the connection broke."""
        if error is not None or self._closing:
            self._lose(error)
        elif not (isinstance(self._protocol, asyncio.Protocol) and self._protocol.eof_received()):
            self.close()

    def drained(self) -> None:
        """What the pipe to the node calls when bytes have left it."""
        if self._paused_protocol and self._connection.to_node.size <= self._low:
            self._paused_protocol = False
            if self._protocol is not None:
                self._protocol.resume_writing()

    # What the protocol calls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        self._connection.send_to_node(bytes(data))
        if self._connection.to_node.size > self._high and not self._paused_protocol:
            self._paused_protocol = True
            self.get_protocol().pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._connection.to_node.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (self._low, self._high)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else 4 * low if low is not None else HIGH_WATER_BYTES
        self._low = low if low is not None else self._high // 4

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._connection.to_host.pump()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Sends what was written, then the end; the protocol hears connection_lost at once, as on a socket."""
        if not self._closing:
            self._connection.to_node.finish(None)
            self._say_lost(None)

    def abort(self) -> None:
        if not self._closing:
            self._connection.to_node.finish(os_error(errno.ECONNRESET))
            self._say_lost(None)

    def give_up(self, error: OSError) -> None:
        """Nothing was acknowledged for too long; what still comes from the node is answered by a reset."""
        if not self._closing:
            self._say_lost(error)

    def vanish(self) -> None:
        """The process of this side is gone; its protocol hears nothing."""
        self._closing = True
        self._protocol = None
        self._connection.to_node.finish(os_error(errno.ECONNRESET))

    def _lose(self, error: OSError | None) -> None:
        if not self._closing:
            self._say_lost(error)
        self._connection.close()

    def _say_lost(self, error: OSError | None) -> None:
        self._closing = True
        self._connection.loop.call_soon(self.get_protocol().connection_lost, error)
