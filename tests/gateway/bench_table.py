"""The gateway beside ThingsBoard IoT Gateway, in one run: for `make bench`.

Both get the same messages of the same 100 devices: `{"ts": ms, "values": {4 values}}`, QoS 1, 20 in flight each.
"""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gateway.flood_bench import DEVICES, MESSAGES, flood
from gateway.listener_bench import taken_per_cpu_s
from gateway.load import Load
from gateway.outage_bench import outage
from gateway.peer_bench import Peer, thingsboard
from gateway.trickle_bench import FOR_S, RATE_PER_S, trickle

T = TypeVar("T")
BROKER_FLOOD = 50_000


def gateway_tables() -> list[str]:
    """The part of BENCHMARKS.md; about seven minutes."""
    return [*_flood_table(), "", *_outage_table(), "", *_trickle_table()]


def _in_folder(measure: Callable[[Path], T]) -> T:
    """On a real disk: a folder in memory has no bytes that a card would get."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        return measure(Path(name))


def _flood_table() -> list[str]:
    own = _in_folder(flood)
    behind = _in_folder(lambda folder: flood(folder, BROKER_FLOOD, behind_broker=True))
    peer: Peer = _in_folder(lambda folder: thingsboard(folder, Load(0, DEVICES, MESSAGES)))
    publishes = asyncio.run(taken_per_cpu_s())
    return [
        "## A flood of 50,000 messages",
        "",
        "From PUBLISH to the hub's signed receipt (ThingsBoard: to the broker where ThingsBoard would be), each",
        "device's in order; ours signed, and on disk before each PUBACK. Processor time and memory are the kernel's,",
        "of the gateway's process alone: a broker between is not counted.",
        "",
        "| gateway | messages per CPU-second | wanted | peak memory | arrived |",
        "|---|---|---|---|---|",
        f"| ours, own listener | {own.per_cpu_s:,.0f} | ≥ 25,000 | {own.peak_mib:.0f} MiB (≤ 60) | {own.messages:,} |",
        f"| ours, behind mosquitto | {behind.per_cpu_s:,.0f} | | {behind.peak_mib:.0f} MiB | {behind.messages:,} |",
        f"| ThingsBoard, behind mosquitto | {peer.per_cpu_s:,.0f} | | {peer.peak_mib:.0f} MiB | {peer.arrived:,} |",
        "",
        f"Ours takes {own.per_cpu_s / peer.per_cpu_s:.0f} times as many per CPU-second on its own listener. That one",
        f"alone, without journal and hub, takes {publishes:,.0f} PUBLISH per CPU-second (wanted: ≥ 100,000).",
    ]


def _outage_table() -> list[str]:
    found = _in_folder(outage)
    return [
        "## An outage of the hub",
        "",
        "20,000 messages at 1,000 a second while the hub is away; the gateway is killed in the middle, and started.",
        "",
        "| what | figure | wanted |",
        "|---|---|---|",
        f"| lost, twice, out of order | {found.lost}, {found.twice}, {found.disorder} | 0, 0, 0 |",
        f"| from the hub's return to its first row | {found.first_s:.1f} s | ≤ 2 s |",
        f"| to its last row | {found.all_s:.1f} s | |",
        f"| processor time per 1,000 messages | {found.cpu_s_per_1000:.3f} s | ≤ 0.15 s |",
    ]


def _trickle_table() -> list[str]:
    ours = _in_folder(trickle)
    load = Load(0, DEVICES, round(FOR_S * RATE_PER_S / 5), RATE_PER_S, live=True)
    peer = _in_folder(lambda folder: thingsboard(folder, load))
    return [
        "## A trickle of 20 messages a second",
        "",
        f"{FOR_S:.0f} s ({FOR_S / 5:.0f} s for ThingsBoard) with the settings that a new gateway has. Written: what",
        "the kernel sent to the storage layer. On the wire: between gateway and hub, both ways, without TCP and IP.",
        "",
        "| gateway | bytes written per message | wanted | bytes on the wire per message | wanted |",
        "|---|---|---|---|---|",
        f"| ours | {ours.disk_bytes:.0f} | ≤ 250 | {ours.wire_bytes:.1f} | ≤ 12 |",
        f"| ThingsBoard | {peer.disk_bytes:,.0f} | | {peer.wire_bytes:.0f} | |",
    ]


if __name__ == "__main__":
    print("\n".join(gateway_tables()))
