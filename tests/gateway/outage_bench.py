"""A hub that is away while messages arrive, and a gateway killed in the middle: what is lost, and what it costs."""

import itertools
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from gateway.bench_stand import Stand
from gateway.load import Load

DEVICES, MESSAGES, RATE_PER_S = 100, 20_000, 1_000.0
LOOK_S = 0.02


@dataclass(frozen=True)
class Outage:
    """`first_s`, `all_s`: from the hub's return to its first and its last row; `cpu_s` of both lives of the gateway."""

    messages: int
    lost: int
    twice: int
    disorder: int
    first_s: float
    all_s: float
    cpu_s: float

    @property
    def cpu_s_per_1000(self) -> float:
        return self.cpu_s / self.messages * 1000


def outage(folder: Path, messages: int = MESSAGES, rate_per_s: float = RATE_PER_S) -> Outage:
    """No hub until all messages are acknowledged; a SIGKILL after half of them, and a start at once."""
    stand = Stand(folder, gateway_keys="home_batch_s = 10", hub_keys="batch_s = 5\nretry_s = 1")
    try:
        began = stand.start_gateway()
        devices = stand.publishing(Load(stand.port, DEVICES, messages, rate_per_s))
        time.sleep(messages / rate_per_s / 2)
        killed = stand.cost()
        stand.kill_gateway()
        again = stand.start_gateway()
        assert devices.wait() == 0
        returned_s = time.monotonic()
        stand.start_hub()
        first_s = _first(stand) - returned_s
        stand.wait_for(messages)
        all_s = time.monotonic() - returned_s
        ended = stand.cost()
        lost, twice, disorder = judged(stand, messages)
        stand.stop_gateway()
    finally:
        stand.close()
    cpu_s = killed.cpu_s - began.cpu_s + ended.cpu_s - again.cpu_s
    return Outage(messages, lost, twice, disorder, first_s, all_s, cpu_s)


def _first(stand: Stand) -> float:
    while next(stand.held(), None) is None:
        time.sleep(LOOK_S)
    return time.monotonic()


def judged(stand: Stand, messages: int) -> tuple[int, int, int]:
    """(rows lost, rows held twice, rows that came before an earlier one of their device)."""
    times: dict[str, list[int]] = defaultdict(list)
    for node, utc_ms, _ in stand.held():
        times[node].append(utc_ms)
    counts = Counter((node, at) for node, found in times.items() for at in found)
    disorder = sum(later < earlier for found in times.values() for earlier, later in itertools.pairwise(found))
    return messages - len(counts), sum(counts.values()) - len(counts), disorder


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        made = outage(Path(name))
        print(made, f"{made.cpu_s_per_1000:.3f} CPU-s per 1,000")
