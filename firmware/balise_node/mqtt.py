"""An MQTT 3.1.1 client (OASIS standard of 29 October 2014) for one node: enough to hand frames on and hear answers.

Promises: every packet that comes is bounded, every wait ends, and a connection whose other end has gone is found within
the keep-alive time. Any trouble raises LinkError; then close, and open a new one. PUBACKs are read and not waited
for: a frame is safe when its sealed acknowledgement has come, not before. Leaves to others: the radio, when to retry.
"""

import asyncio
import errno
import select
import socket
import time

from balise_node.errors import LinkError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

_CONNACK, _PUBLISH, _SUBACK, _PINGRESP = 2, 3, 9, 13  # section 2.2.1: the upper half of a packet's first byte
_WAIT_MS = 15000  # for what should come at once
_LOOK_MS = 20
_MAX_PACKET_BYTES = 1024  # an acknowledgement has 60
_REFUSED = {4: "another password", 5: "no such user, or another password"}  # section 3.2.2.3


def text(value: str) -> bytes:
    """Section 1.5.3: length, then UTF-8."""
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    """Section 2.2: the first byte, the remaining length in groups of seven bits, the rest."""
    head = bytearray((first,))
    left = len(body)
    while left > 127:
        head.append(left & 127 | 128)
        left >>= 7
    head.append(left)
    return bytes(head) + body


def named(error: OSError) -> str:
    """ECONNRESET rather than 104, where the board knows the name."""
    return str(errno.errorcode.get(error.errno or 0, error))


async def within(ms: int, awaitable: "Awaitable[Any]", what: str) -> "Any":
    """Wait so long at most; every trouble becomes a LinkError."""
    problem = ""
    try:
        return await asyncio.wait_for_ms(awaitable, ms)
    except asyncio.TimeoutError:  # noqa: UP041 (not a built-in of MicroPython)
        problem = f"{what}: nothing within {ms // 1000} s"
    except OSError as error:
        problem = f"{what}: {named(error)}"
    except EOFError:
        problem = f"{what}: closed by the other end"
    raise LinkError(problem)


class Session:
    """One connection, from `open` to `close`."""

    def __init__(self, keepalive_s: int) -> None:
        self._keepalive_s = keepalive_s
        self._reader: Any = None
        self._writer: Any = None
        self._writing = asyncio.Lock()
        self._packet_id = 0
        self._heard_ms = self._said_ms = time.ticks_ms()
        self._asked = False  # whether the other end lives, since it was last heard

    async def open(self, host: str, port: int, client_id: str, user: str, password: str) -> None:
        """Connect and log in."""
        await within(_WAIT_MS, self._connect(host, port), f"{host}:{port}")
        flags = 0x02 | (0x80 if user else 0) | (0x40 if password else 0)  # section 3.1.2.3: a clean session
        body = text("MQTT") + bytes((4, flags)) + self._keepalive_s.to_bytes(2, "big") + text(client_id)
        await self._write(packet(0x10, body + (text(user) if user else b"") + (text(password) if password else b"")))
        kind, answer = await self._packet(_WAIT_MS)
        if kind >> 4 != _CONNACK or len(answer) != 2:
            raise LinkError(f"{host}:{port} does not speak MQTT: found packet {kind:#x}; is it the gateway's port?")
        if answer[1]:
            why = _REFUSED.get(answer[1], f"code {answer[1]}")
            raise LinkError(f"the gateway refuses this node: {why}; compare mqtt.user and mqtt.password with its file")

    async def subscribe(self, topic: str) -> None:
        """Ask for a topic (QoS 0: what is lost comes again) and wait for the answer."""
        await self._write(packet(0x82, self._next_id() + text(topic) + b"\x00"))
        kind, answer = await self._packet(_WAIT_MS)
        if kind >> 4 != _SUBACK or answer[2:] not in (b"\x00", b"\x01"):
            raise LinkError(f"the gateway does not let this node listen to {topic}")

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send one message with QoS 1; returns when it has left."""
        await self._write(packet(0x32, text(topic) + self._next_id() + payload))

    async def receive(self) -> bytes:
        """The next message that came; meanwhile says that we are alive, and asks whether the other end is."""
        while True:
            first = await self._first_byte()
            kind, body = await self._rest(first)
            if kind >> 4 == _PUBLISH:
                return await self._message(kind, body)

    async def close(self) -> None:
        """Close the socket; what was not sent is forgotten."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            await writer.wait_closed()  # on MicroPython this is what closes the socket

    async def _connect(self, host: str, port: int) -> None:
        """As asyncio.open_connection, but `close` knows the socket even when the wait for it is given up.

        A board has few sockets: each one forgotten on the way would be missing until its memory is collected.
        """
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        self._reader = self._writer = asyncio.StreamReader(opened)
        try:
            opened.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        ready = select.poll()
        ready.register(opened, select.POLLOUT)
        while not ready.poll(0):
            await asyncio.sleep_ms(_LOOK_MS)

    async def _message(self, kind: int, body: bytes) -> bytes:
        at = 2 + int.from_bytes(body[:2], "big")
        if kind & 0x06:  # a QoS we did not ask for, but may be given
            await self._write(packet(0x40, body[at : at + 2]))
            at += 2
        return body[at:]

    async def _first_byte(self) -> bytes:
        """Of the next packet. Waiting for one byte can be given up without losing any."""
        limit_ms = self._keepalive_s * 1000
        while True:
            silent_ms = time.ticks_diff(time.ticks_ms(), self._heard_ms)
            quiet_ms = time.ticks_diff(time.ticks_ms(), self._said_ms)
            if silent_ms >= limit_ms:
                raise LinkError(f"the gateway has been silent for {silent_ms // 1000} s")
            if quiet_ms >= limit_ms // 2 or (silent_ms >= limit_ms // 2 and not self._asked):
                self._asked = True
                await self._write(b"\xc0\x00")  # PINGREQ
                continue
            heard_by_ms = limit_ms if self._asked else limit_ms // 2
            first = await self._byte_or_nothing(min(limit_ms // 2 - quiet_ms, heard_by_ms - silent_ms))
            if first:
                return first

    async def _byte_or_nothing(self, wait_ms: int) -> bytes:
        first = b""
        problem = ""
        try:
            first = await asyncio.wait_for_ms(self._reader.read(1), wait_ms)
            problem = "" if first else "closed by the other end"
        except asyncio.TimeoutError:  # noqa: UP041 (not a built-in of MicroPython)
            return b""
        except OSError as error:
            problem = named(error)
        if problem:
            raise LinkError(f"connection to the gateway: {problem}")
        return first

    async def _packet(self, wait_ms: int) -> tuple[int, bytes]:
        first = await within(wait_ms, self._reader.readexactly(1), "answer of the gateway")
        return await self._rest(first)

    async def _rest(self, first: bytes) -> tuple[int, bytes]:
        """First byte and body of a packet; the rest of it comes at once, or the connection is no good."""
        body: bytes = await within(_WAIT_MS, self._read_rest(), "rest of a packet")
        self._heard_ms = time.ticks_ms()
        self._asked = False
        return first[0], body

    async def _read_rest(self) -> bytes:
        """Remaining length, and so many bytes."""
        size = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            size |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
            if shift > 21:
                raise LinkError("the gateway sent a length that MQTT does not have")
        if size > _MAX_PACKET_BYTES:
            raise LinkError(f"the gateway sent a packet of {size} bytes; at most {_MAX_PACKET_BYTES} are for a node")
        return await self._reader.readexactly(size) if size else b""

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            if self._writer is None:
                raise LinkError("connection to the gateway: closed")
            self._said_ms = time.ticks_ms()
            await within(_WAIT_MS, _written(self._writer, data), "sending to the gateway")

    def _next_id(self) -> bytes:
        self._packet_id = self._packet_id % 0xFFFF + 1
        return self._packet_id.to_bytes(2, "big")


async def _written(writer: "Any", data: bytes) -> None:
    writer.write(data)
    await writer.drain()
