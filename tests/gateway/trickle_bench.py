"""What a trickle of foreign messages costs the card and the wire, with the settings that a new gateway has.

Bytes written are the kernel's for the gateway's process (proc(5): what was sent to the storage layer). Bytes on the
wire are what a relay between gateway and hub saw pass, both ways, HTTP and receipts included.
"""

import asyncio
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.bench_stand import Stand
from gateway.load import Load

DEVICES, RATE_PER_S, FOR_S = 100, 20.0, 310.0  # the hub's log is closed every 300 s


@dataclass(frozen=True)
class Trickle:
    """Bytes per message, everything included: also closing and delivering the rest at a stop and a start."""

    messages: int
    disk_bytes: float
    wire_bytes: float
    cpu_s_per_1000: float


class CountingRelay:
    """Passes TCP on to a port, in a thread of its own, and counts what passes."""

    def __init__(self, port: int, to_port: int) -> None:
        self.passed_bytes = 0
        self._port, self._to_port = port, to_port
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._joined, "127.0.0.1", self._port)
        await server.serve_forever()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.passed_bytes += len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


def trickle(folder: Path, for_s: float = FOR_S) -> Trickle:
    """Devices publish at an even pace; then the gateway is stopped, started, and delivers the rest."""
    messages = round(for_s * RATE_PER_S)
    stand = Stand(folder, relayed=True)
    relay = CountingRelay(stand.hub_port, stand.real_hub_port)
    try:
        stand.start_hub()
        before = stand.start_gateway()
        devices = stand.publishing(Load(stand.port, DEVICES, messages, RATE_PER_S, live=True))
        assert devices.wait() == 0
        first = stand.stop_gateway()
        again = stand.start_gateway()
        stand.wait_for(messages)
        time.sleep(1)
        second = stand.cost()
        assert sum(1 for _ in stand.held()) == messages
        stand.stop_gateway()
    finally:
        stand.close()
    written = first.written_bytes - before.written_bytes + second.written_bytes
    cpu_s = first.cpu_s - before.cpu_s + second.cpu_s - again.cpu_s
    return Trickle(messages, written / messages, relay.passed_bytes / messages, cpu_s / messages * 1000)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        print(trickle(Path(name)))
