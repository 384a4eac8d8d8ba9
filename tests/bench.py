"""Measures what this project promises and writes BENCHMARKS.md: ratios from one run, the peer beside each figure."""

import csv
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from balise_sim.hub import HubStore
from balise_sim.scenario import bundled
from balise_sim.soak import any_core
from balise_sim.street import Street, ledger_of
from balise_sim.verdict import KeptRow, judge
from balise_wire.envelope import Signer, sign_envelope, verify_envelope
from balise_wire.items import Readings
from gateway.badges.billing.settlement_bench import settlement_table
from gateway.badges.lists_bench import lists_table
from gateway.badges.loop_bench import loop_table
from gateway.badges.verdict_bench import verdict_table
from gateway.bench_table import gateway_tables
from sim.noise_bench import noise_table
from sim.speed_bench import speed_table as simulator_table

ROOT = Path(__file__).parent.parent
COLUMNS = (
    ("pm2_5_ugm3", 10),
    ("pm10_ugm3", 10),
    ("temperature_c", 100),
    ("relative_humidity_pct", 100),
    ("pressure_pa", 1),
)
NAMES = ("pm2_5", "pm10", "temperature", "humidity", "pressure")
SIGNER = Signer(bytes(range(32)))
Rows = list[tuple[int, list[int]]]


def recorded_rows() -> Rows:
    """The bundled recording as (UTC seconds, scaled integers), in order of time."""
    path = files("balise_sim") / "data" / "air_aberdeen_sds011_bme280.csv"
    with path.open(encoding="utf-8") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        return [
            (
                round(datetime.fromisoformat(row["time_utc"]).timestamp()),
                [round(float(row[name]) * scale) for name, scale in COLUMNS],
            )
            for row in rows
        ]


def batches(rows: Rows, rows_per_batch: int) -> Iterator[Rows]:
    for start in range(0, len(rows) - rows_per_batch + 1, rows_per_batch):
        yield rows[start : start + rows_per_batch]


def envelope(seq: int, batch: Rows, form: str) -> bytes:
    columns = [list(column) for column in zip(*(values for _, values in batch), strict=True)]
    item = Readings(1, None, [at_s for at_s, _ in batch], columns, {})
    return sign_envelope(SIGNER, 1, seq, [item.pack(form)])


def signed_bytes_per_reading(rows: Rows, readings: int, form: str) -> float:
    """Mean over all whole batches of consecutive rows: COSE_Sign1 with signature and key id, all included."""
    found = list(batches(rows, readings // len(COLUMNS)))
    sizes = [len(envelope(seq, batch, form)) for seq, batch in enumerate(found, start=1)]
    return sum(sizes) / (len(found) * readings)


def thingsboard_bytes_per_reading(rows: Rows) -> float:
    """ThingsBoard's MQTT telemetry body, unsigned, one message a row (reference: its MQTT device API)."""
    sizes = []
    for at_s, values in rows:
        named = {n: v / s for n, v, (_, s) in zip(NAMES, values, COLUMNS, strict=True)}
        sizes.append(len(json.dumps({"ts": at_s * 1000, "values": named}, separators=(",", ":"))))
    return statistics.mean(sizes) / len(COLUMNS)


def entropy_bytes_per_reading(rows: Rows) -> float:
    """Order-0 empirical entropy of the differences of each channel, in bytes per value: no time, no header."""
    bits = 0.0
    for column in zip(*(values for _, values in rows), strict=True):
        counts = Counter(b - a for a, b in itertools.pairwise(column))
        total = sum(counts.values())
        bits += -sum(n / total * math.log2(n / total) for n in counts.values())
    return bits / len(COLUMNS) / 8


def per_second(work: Callable[[], int]) -> float:
    started = time.process_time()
    done = work()
    return done / (time.process_time() - started)


def on_a_grid(rows: Rows, period_s: int) -> Rows:
    """The same values as a node takes them that samples on a grid."""
    return [(rows[0][0] + number * period_s, values) for number, (_, values) in enumerate(rows)]


def node_rows(ledger: list[KeptRow], node: str) -> Rows:
    """What one simulated node kept; all its values are present."""
    return [(row.utc_s, list(row.values)) for row in ledger if row.node == node and row.utc_s]  # type: ignore[misc]


def bytes_table(rows: Rows, of_node: Rows) -> list[str]:
    sources = (
        ("a simulated node, 60 s grid", of_node),
        ("the recording, its 147 s put on a grid", on_a_grid(rows, 147)),
        ("the recording, with its clock's jitter", rows),
    )
    lines = [
        "## Signed bytes per reading",
        "",
        "One node, 5 channels, Rice columns in COSE_Sign1 (8-byte key id), everything counted. Beside it: the entropy",
        "of the differences (order 0, no time, no header), and ThingsBoard's JSON, unsigned, one message a row.",
        "",
        "| rows | readings per envelope | Rice | limit | arrays | entropy | ThingsBoard | ThingsBoard / Rice |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, source in sources:
        entropy, peer = entropy_bytes_per_reading(source), thingsboard_bytes_per_reading(source)
        for readings, limit in ((60, 2.6), (300, 1.3)):
            rice, array = (signed_bytes_per_reading(source, readings, form) for form in ("rice", "array"))
            figures = (
                f"{rice:.2f}",
                f"≤ {limit}",
                f"{array:.2f}",
                f"{entropy:.2f}",
                f"{peer:.1f}",
                f"{peer / rice:.0f}",
            )
            lines.append(f"| {name} | {readings} | " + " | ".join(figures) + " |")
    return lines


def speed_table(rows: Rows) -> list[str]:
    """Envelopes of 300 readings: signing and verifying, per second of processor time."""
    found = list(batches(rows, 60))
    made = [envelope(seq, batch, "rice") for seq, batch in enumerate(found, start=1)]
    keys = {SIGNER.kid: SIGNER.public_key}

    def sign_all() -> int:
        return len([envelope(seq, batch, "rice") for seq, batch in enumerate(found, start=1)]) * 300

    def verify_all() -> int:
        return len([verify_envelope(cose, keys) for cose in made]) * 300

    bare = per_second(lambda: len([SIGNER.sign(b"x" * 300) for _ in found]) * 300)
    signed, verified = per_second(sign_all), per_second(verify_all)
    return [
        "## Signing and verifying",
        "",
        "Readings per second of processor time, 300 in an envelope; the limit is a bare signature of 300 bytes.",
        "",
        "| what | readings/s | share of the limit |",
        "|---|---|---|",
        f"| pack and sign | {signed:,.0f} | {signed / bare:.0%} |",
        f"| verify and unpack | {verified:,.0f} | {verified / bare:.0%} |",
    ]


def play_calmly() -> Street:
    """Twelve calm hours of the street of six with hourly envelopes."""
    scenario = replace(bundled("street"), events=(), batch_s=3600, hours=12)
    street = Street(scenario, Path(tempfile.mkdtemp()), 1, core=any_core())
    assert street.play().ok
    return street


def street_table(street: Street) -> list[str]:
    store = HubStore(street.site.hub_db)
    verdict = judge(ledger_of(street.world), store, street.site.gateway_keys, street.world.utc_ms)
    store.close()
    return [
        "## The street of six, on virtual time",
        "",
        "Real MicroPython processes, device models on the bus, gateway and hub; twelve calm hours, hourly envelopes.",
        "",
        "| what | figure | limit |",
        "|---|---|---|",
        f"| signed bytes per reading | {verdict.signed_bytes / verdict.readings:.2f} | ≤ 1.3 |",
        f"| readings | {verdict.readings:,} | |",
    ]


def air_tables() -> list[str]:
    """Signed bytes, signing, and the street of six: from one street that was played."""
    rows, street = recorded_rows(), play_calmly()
    own_rows = node_rows(ledger_of(street.world), street.scenario.homes[0].name)
    return [*bytes_table(rows, own_rows), "", *speed_table(rows), "", *street_table(street)]


PARTS: dict[str, Callable[[], list[str]]] = {
    "air": air_tables,
    "simulator": simulator_table,
    "noise": noise_table,
    "settlement": settlement_table,
    "verdict": verdict_table,
    "lists": lists_table,
    "loop": loop_table,
    "gateway": gateway_tables,
}


def sections(text: str) -> dict[str, str]:
    """The sections of such a page by their headings, in order."""
    found = (part.rstrip() for part in ("\n" + text).split("\n## ")[1:])
    return {part.partition("\n")[0]: "## " + part for part in found}


def main(names: Sequence[str]) -> None:
    """Measures these parts, or all; the others stay as they were measured before."""
    path = ROOT / "BENCHMARKS.md"
    held = sections(path.read_text(encoding="utf-8")) if names else {}
    for name in names or PARTS:
        held |= sections("\n".join(PARTS[name]()))
    head = "# Benchmarks\n\nWritten by `make bench`; every figure of a table comes from one run on one machine.\n\n"
    path.write_text(head + "\n\n".join(held.values()) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
