"""Joins the simulated home network to real TCP: a host of the network that is a process on this machine.

Promises: bytes pass both ways with back-pressure; a refused, closed or broken connection is one on the other side too;
a link that is down holds bytes back exactly as in memory. Leaves to others: the link (link.py) and the node's socket.
"""

import asyncio
import errno
from typing import cast

from balise_sim.net import Network, Server


def bridge_to(network: Network, host: str, port: int, real_port: int, real_host: str = "127.0.0.1") -> Server:
    """Nodes that connect to host:port reach real_host:real_port. Needs a loop with real sockets, such as PacedLoop."""

    async def opener() -> asyncio.BaseProtocol:
        transport, real = await network.loop.create_connection(_RealSide, real_host, real_port)
        transport.pause_reading()  # until the node's side is there
        return _NodeSide(real)

    return network.add_server(opener, host, port)


class _RealSide(asyncio.Protocol):
    """Faces the process; everything it hears goes to the node's side."""

    transport: asyncio.Transport
    other: "_NodeSide | None" = None
    lost: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.other is not None:
            self.other.transport.abort() if exc else self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()


class _NodeSide(asyncio.Protocol):
    """Faces the node, as the protocol of a listener in memory."""

    transport: asyncio.Transport

    def __init__(self, real: _RealSide) -> None:
        self._real = real

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._real.lost:
            self.transport.abort()
            return
        self._real.other = self
        self._real.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._real.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._real.other = None
        broken = isinstance(exc, OSError) and exc.errno in (errno.ECONNRESET, errno.ETIMEDOUT)
        self._real.transport.abort() if broken else self._real.transport.close()

    def pause_writing(self) -> None:
        if not self._real.transport.is_closing():
            self._real.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._real.transport.is_closing():
            self._real.transport.resume_reading()
