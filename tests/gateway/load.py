"""Many devices that publish JSON over MQTT as fast as they are let, or at a pace: `python load.py FILE`.

Each device has a connection of its own, QoS 1, and 20 messages in flight at most, as paho has. It forgets a message at
its PUBACK and not before; after a cut it connects again and sends what is not acknowledged once more, with DUP set.
Leaves judging to the benchmarks. Bytes are made by hand: it must cost less than what it measures.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

WINDOW = 20
CHANNELS = ("temperature", "humidity", "pm2_5", "pm10")
RETRY_S = 0.1


@dataclass(frozen=True)
class Load:
    """`messages` in all, `rate_per_s` of all devices together (0: as fast as they are let)."""

    port: int
    devices: int
    messages: int
    rate_per_s: float = 0.0
    live: bool = False  # times are those of the real clock


def topic(device: int) -> str:
    return f"sensors/dev-{device:03}/data"


def utc_ms(number: int) -> int:
    """When message `number` of a device was measured, when it is not live."""
    return 1_700_000_000_000 + 1_000 * number


class Air:
    """Values that drift as air does, in steps of the channel table."""

    def __init__(self, device: int) -> None:
        self._dice = random.Random(device)
        self._values = [2150.0, 5530.0, 83.0, 140.0]

    def body(self, ts: int) -> bytes:
        steps = (3, 8, 2, 4)
        self._values = [max(1, v + self._dice.gauss(0, s)) for v, s in zip(self._values, steps, strict=True)]
        t, h, fine, coarse = (round(value) for value in self._values)
        coarse = max(fine, coarse)  # what is finer is part of it: nothing here shall be doubted
        values = {"temperature": t / 100, "humidity": h / 100, "pm2_5": fine / 10, "pm10": coarse / 10}
        return json.dumps({"ts": ts, "values": values}).encode()


def connect(name: str) -> bytes:
    text = name.encode()
    body = b"\0\4MQTT\4\2\0\0" + len(text).to_bytes(2, "big") + text
    return bytes((0x10, len(body))) + body


def publish(name: bytes, packet_id: int, body: bytes, again: bool = False) -> bytes:
    length = len(name) + 2 + len(body)
    head = bytes((length & 0x7F | 0x80, length >> 7)) if length > 127 else bytes((length,))
    return bytes((0x3A if again else 0x32,)) + head + name + packet_id.to_bytes(2, "big") + body


class Device(asyncio.Protocol):
    """One device and its connection."""

    def __init__(self, number: int, bodies: "deque[bytes]", left: list[int]) -> None:
        self._name = len(topic(number)).to_bytes(2, "big") + topic(number).encode()
        self._client_id = f"dev-{number:03}"
        self._bodies, self._left = bodies, left
        self._flying: dict[int, bytes] = {}
        self._next_id, self._buffer = 1, b""
        self._transport: asyncio.Transport | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(connect(self._client_id))  # type: ignore[attr-defined]
        self._buffer = b""

        self._transport = transport  # type: ignore[assignment]
        again = b"".join(publish(self._name, number, body, True) for number, body in self._flying.items())
        transport.write(again)  # type: ignore[attr-defined]
        self.push()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        data, at = self._buffer + data, 0
        while len(data) - at >= 4:
            if data[at] == 0x40 and self._flying.pop(data[at + 2] << 8 | data[at + 3], None) is not None:
                self._left[0] -= 1
            at += 4
        self._buffer = data[at:]
        self.push()

    def push(self) -> None:
        """Sends as much as the window allows."""
        if self._transport is None:
            return
        out = []
        while self._bodies and len(self._flying) < WINDOW:
            body = self._bodies.popleft()
            self._flying[self._next_id] = body
            out.append(publish(self._name, self._next_id, body))
            self._next_id = self._next_id % 65535 + 1
        if out:
            self._transport.write(b"".join(out))

    def feed(self, body: bytes) -> None:
        self._bodies.append(body)
        self.push()


async def stay(device: Device, port: int) -> None:
    while True:
        device.lost.clear()
        try:
            await asyncio.get_running_loop().create_connection(lambda: device, "127.0.0.1", port)
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        await device.lost.wait()
        await asyncio.sleep(RETRY_S)


async def play(load: Load) -> None:
    """Until every message is acknowledged."""
    airs = [Air(number) for number in range(load.devices)]
    each = load.messages // load.devices
    left = [load.messages]
    full = not load.rate_per_s
    bodies = [deque(air.body(utc_ms(n)) for n in range(each)) if full else deque[bytes]() for air in airs]
    devices = [Device(number, bodies[number], left) for number in range(load.devices)]
    tasks = [asyncio.create_task(stay(device, load.port)) for device in devices]
    print("start", time.time(), flush=True)
    if not full:
        await feed(load, airs, devices)
        print("fed", time.time(), flush=True)
    while left[0]:
        await asyncio.sleep(0.02)
    print("done", time.time(), flush=True)
    for task in tasks:
        task.cancel()


async def feed(load: Load, airs: list[Air], devices: list[Device]) -> None:
    """One message after the other at an even pace, device by device."""
    started = time.monotonic()
    for number in range(load.messages):
        wait_s = started + number / load.rate_per_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        device, turn = number % load.devices, number // load.devices
        devices[device].feed(airs[device].body(round(time.time() * 1000) if load.live else utc_ms(turn)))


def write(load: Load, path: Path) -> Path:
    path.write_text(json.dumps(asdict(load)), encoding="utf-8")
    return path


if __name__ == "__main__":
    asyncio.run(play(Load(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
