"""A cable that can be pulled: relays TCP connections on loopback, and cuts them when told.

Promises: while cut, open connections are gone and new ones are refused; after mending, new ones pass again.
Leaves to others: what the bytes mean, and when to pull.
"""

import asyncio

CHUNK_BYTES = 65536


class Relay:
    """Listens on 127.0.0.1:`port` and joins each connection to `target_port`."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target_port = port, target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._joins: set[asyncio.Task[None]] = set()
        self._cut = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._open, "127.0.0.1", self.port)

    def cut(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if self._joins:
            await asyncio.wait(self._joins)

    def _open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._joins.add(task)
        task.add_done_callback(self._joins.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        pumps = {asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))}
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, far_writer):
            end.close()
        await asyncio.wait(pumps)
        self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        writer.transport.abort()
