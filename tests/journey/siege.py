"""A gateway under siege: real processes, sockets and disks, killed at random instants while everything else fails too.

The gateway is a process of its own (forked from one that has its modules, so that it starts at once), killed with
SIGKILL. Around it: three nodes that send sealed frames and keep each until its sealed answer, two of them to the
gateway's own listener and one through a real mosquitto; the reference hub; a hub that counts every row and forgives no
repeat; a disk that is full at times; a clock that somebody sets by a year. Leaves judging to the test.
"""

import asyncio
import contextlib
import logging
import mmap
import multiprocessing
import os
import random
import resource
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiomqtt

from balise_gateway.daemon import Gateway
from balise_gateway.log import LOGGER
from balise_sim.hub_thread import LocalHub
from balise_wire.window import WINDOW
from contracts.far_ends._mosquitto import USER, Mosquitto, listens
from gateway.support import GRANT_TOML, ROW, START_UTC_MS, AirNode

YEAR_MS = 365 * 86_400_000
CLOCKS = {"right": (0, 20), "ahead": (YEAR_MS, 20), "back": (-YEAR_MS, 20), "unknown": (-START_UTC_MS, 2**31 - 1)}
DISK_BYTES = 48 << 20
PATIENCE_S = 60.0
UP_WITHIN_S = 2.0
BOX = "5b4de0c1a2b3c4d5e6f7a8b"  # and a digit for each node
SENSOR = "0123456789abcdef01234567"
MAX_SPAN = WINDOW - 2  # a sender's duty (balise_wire.window)
ROWS_PER_S, AGAIN_S = 150, 0.5
_CLOCK = struct.Struct("<qq")


class SetClock:
    """The system's clock, wrong by what stands in a file that others write."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._told = mmap.mmap(file.fileno(), _CLOCK.size)

    def utc_ms(self) -> int:
        return time.time_ns() // 1_000_000 + int(_CLOCK.unpack(self._told[:])[0])

    def boot_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def uncertainty_ms(self) -> int:
        return int(_CLOCK.unpack(self._told[:])[1])


def run_gateway(config: Path, clock: Path) -> None:
    """What the gateway's process does: `python -m balise_gateway`, but for the clock."""
    import balise_gateway.__main__ as program
    from balise_gateway import config as configuration

    sys.stderr = (config.parent / "gateway.log").open("a", buffering=1)
    logging.getLogger(LOGGER).addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    asyncio.run(program._run_until_signal(Gateway(configuration.load(config), SetClock(clock))))


class Disk:
    """A small disk of its own where one may be mounted; else a limit on what the gateway's process may write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        self.is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self._is_full = False

    def fill(self, pid: int | None) -> None:
        self._is_full = True
        if self.is_mounted:
            with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
                while file.write(bytes(1 << 16)):
                    pass
        self.limit(pid)

    def free(self, pid: int | None) -> None:
        self._is_full = False
        self._ballast.unlink(missing_ok=True)
        self.limit(pid)

    def limit(self, pid: int | None) -> None:
        """For a process that has just started, too."""
        if not self.is_mounted and pid is not None:
            soft = 4096 if self._is_full else resource.RLIM_INFINITY
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def remove(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


class CountingHub:
    """openSenseMap's way in, as far as our adapter uses it: it takes every line, however often it comes."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.life = 0  # of the gateway: each start begins another
        self.rows: list[tuple[int, tuple[str, str]]] = []  # (life, (box, time)), in order of arrival
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if hub.mode == "ok":
                    box = self.path.split("/")[2]
                    hub.rows += [(hub.life, (box, line.split(",")[2])) for line in body.splitlines()]
                self.send_response(201 if hub.mode == "ok" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Sender:
    """A node that makes rows as fast as it is allowed and keeps each frame until the sealed answer says it is held."""

    def __init__(self, number: int, port: int, login: dict[str, str]) -> None:
        self.node = AirNode(bytes([number]) * 16, f"urn:dev:ops:b4115e-air-0{number}")
        self.kept: dict[int, bytes] = {}
        self.rows = 0
        self.makes_rows = True
        self._port, self._login = port, login
        self._keep(self.node.hello())

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with aiomqtt.Client("127.0.0.1", self._port, **self._login, timeout=2) as client:
                    await client.subscribe(self.node.down, qos=1)
                    await self._talk(client)
            except (aiomqtt.MqttError, TimeoutError):
                await asyncio.sleep(0.05)

    async def _talk(self, client: aiomqtt.Client) -> None:
        listener = asyncio.create_task(self._listen(client))
        try:
            sent_s: dict[int, float] = {}
            while not listener.done():
                self._make_row()
                await self._send_due(client, sent_s)
                await asyncio.sleep(1 / ROWS_PER_S)
        finally:
            listener.cancel()
            await asyncio.wait([listener])

    def _make_row(self) -> None:
        if self.makes_rows and self.node.count - min(self.kept, default=self.node.count) < MAX_SPAN:
            noise = (ROW[0] + self.rows % 7, ROW[1] + self.rows % 11, *ROW[2:])
            self._keep(self.node.row(START_UTC_MS // 1000 + self.rows, noise))
            self.rows += 1

    async def _send_due(self, client: aiomqtt.Client, sent_s: dict[int, float]) -> None:
        """What was not sent for a while, and is not known to be held."""
        now_s = time.monotonic()
        for count in sorted(self.kept):
            if now_s - sent_s.get(count, -1.0) > AGAIN_S:
                sent_s[count] = now_s
                await client.publish(self.node.up, self.kept.get(count, b""), qos=0)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            ack = self.node.opened(bytes(message.payload))  # type: ignore[arg-type]
            for count in list(self.kept):
                beyond = count - ack.contiguous - 1
                if beyond < 0 or ack.bitmap >> beyond & 1:
                    del self.kept[count]

    def _keep(self, frame: bytes) -> None:
        self.kept[self.node.count] = frame


class Siege:
    """Everything, on one folder; `with` it, so that processes and mounts end."""

    def __init__(self, folder: Path, ports: list[int], seed: int) -> None:
        self.dice, self.counts = random.Random(seed), Counter[str]()
        self.port = ports[0]
        self.folder, self.clock_file = folder, folder / "clock"
        self.disk, self.counting = Disk(folder / "data"), CountingHub()
        self.hub = LocalHub(folder / "hub.db")
        self.broker = Mosquitto(folder, asks_passwords=False)
        self.config = folder / "gateway.toml"
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pytest", "httpx", "aiomqtt", "journey.siege"])
        self._process: multiprocessing.process.BaseProcess | None = None
        self.set_clock("right")
        self.broker.start()
        ways = [(ports[0], {"username": "air", "password": "right"})] * 2 + [(self.broker.port, {"username": USER})]
        self.senders = [Sender(number, *way) for number, way in enumerate(ways, 1)]
        self.config.write_text("\n".join(self._lines(ports[0])), encoding="utf-8")

    def __enter__(self) -> "Siege":
        self.hub.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self.hub.__exit__(None, None, None)
        self.counting.close()
        self.broker.stop()
        self.disk.remove()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        self.counting.life += 1
        self._process = self._context.Process(target=run_gateway, args=(self.config, self.clock_file))
        self._process.start()
        self.disk.limit(self.pid)

    async def is_up(self) -> None:
        """The gateway takes connections, or does not within a while: a full disk keeps it from that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UP_WITHIN_S):
                while not listens(self.port):
                    await asyncio.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL; the gateway must have lived until then."""
        assert self._process is not None
        assert self._process.exitcode is None, f"the gateway had ended by itself; see {self.folder / 'gateway.log'}"
        self._process.kill()
        self._process.join()
        self._process = None
        self.counts["kills"] += 1

    def stop(self) -> int | None:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        self._process.join(PATIENCE_S)
        return self._process.exitcode

    def set_clock(self, mode: str) -> None:
        if not self.clock_file.exists():
            self.clock_file.write_bytes(bytes(_CLOCK.size))
        with self.clock_file.open("r+b") as file:
            file.write(_CLOCK.pack(*CLOCKS[mode]))

    def disturb(self) -> None:
        """Two things go wrong at once; what was wrong before is mended."""
        self.mend()
        for what in self.dice.sample(["disk", "broker", "clock", "hub", "map"], 2):
            self.counts[what] += 1
            if what == "disk":
                self.disk.fill(self.pid)
            elif what == "broker":
                self.broker.start()  # stops it first, with SIGKILL
            elif what == "clock":
                self.set_clock(self.dice.choice(["ahead", "back", "unknown"]))
            elif what == "hub":
                self.hub.behaviour.mode = self.dice.choice(["refuse", "stall", "forget"])
            else:
                self.counting.mode = "refuse"

    def mend(self) -> None:
        self.hub.behaviour.mode = self.counting.mode = "ok"
        self.set_clock("right")
        self.disk.free(self.pid)

    def _lines(self, port: int) -> list[str]:
        nodes = [sender.node for sender in self.senders]
        lines = ["[gateway]", f'data_dir = "{self.disk.folder}"', "commit_s = 0.05", "home_batch_s = 0.4"]
        lines += ["[[ingest]]", 'kind = "mqtt_listener"', 'host = "127.0.0.1"', f"port = {port}"]
        lines += ["[ingest.users]", 'air = "right"']
        lines += ["[[ingest]]", 'kind = "mqtt_broker"', 'host = "127.0.0.1"', f"port = {self.broker.port}"]
        lines += [f'user = "{USER}"']
        for number, node in enumerate(nodes, 1):
            lines += ["[[node]]", f'name = "{node.name}"', f'key = "{bytes([number]).hex() * 16}"']
        lines += ["[[hub]]", 'name = "hub"', 'kind = "native"', f'url = "{self.hub.url}"', "log = 1", "batch_s = 0.1"]
        lines += [f'public_key = "{self.hub.public_key.hex()}"', *GRANT_TOML]
        lines += ["[[hub]]", 'name = "map"', 'kind = "opensensemap"', f'url = "{self.counting.url}"', "log = 2"]
        lines += ["batch_s = 0.1", *GRANT_TOML]
        for number, node in enumerate(nodes):
            lines += [f'[hub.nodes."{node.name}"]', f'box = "{BOX}{number}"', f'sensors = {{ pm2_5 = "{SENSOR}" }}']
        return [*lines, ""]
