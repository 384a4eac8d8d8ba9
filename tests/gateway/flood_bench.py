"""How much a flood of foreign JSON messages costs the gateway, from PUBLISH to the hub's signed receipt."""

import contextlib
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gateway.bench_stand import Stand
from gateway.load import Load
from gateway.peer_bench import mosquitto

DEVICES, MESSAGES = 100, 50_000


@dataclass(frozen=True)
class Flood:
    """`messages` cost the gateway `cpu_s`; the last was at the hub after `wall_s`."""

    messages: int
    cpu_s: float
    wall_s: float
    peak_mib: float
    start_mib: float

    @property
    def per_cpu_s(self) -> float:
        return self.messages / self.cpu_s


def flood(folder: Path, messages: int = MESSAGES, *, behind_broker: bool = False) -> Flood:
    """Devices publish as fast as they are let; every message must reach the hub, once, each device's in order."""
    stand = Stand(folder, gateway_keys="home_batch_s = 2", hub_keys="batch_s = 1", behind_broker=behind_broker)
    with mosquitto(folder, stand.port) if behind_broker else contextlib.nullcontext():
        return _flooded(stand, messages)


def _flooded(stand: Stand, messages: int) -> Flood:
    try:
        stand.start_hub()
        before = stand.start_gateway()
        started = time.monotonic()
        devices = stand.publishing(Load(stand.port, DEVICES, messages))
        assert devices.wait() == 0
        stand.wait_for(messages)
        wall_s = time.monotonic() - started
        after = stand.cost()
        check(stand, messages)
        stand.stop_gateway()
    finally:
        stand.close()
    return Flood(messages, after.cpu_s - before.cpu_s, wall_s, after.peak_mib, before.peak_mib)


def check(stand: Stand, messages: int) -> None:
    times: dict[str, list[int]] = defaultdict(list)
    for node, utc_ms, _ in stand.held():
        times[node].append(utc_ms)
    assert sum(len(found) for found in times.values()) == messages
    assert all(found == sorted(set(found)) for found in times.values())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found = flood(Path(name))
        print(found, f"{found.per_cpu_s:,.0f} per CPU-s")
