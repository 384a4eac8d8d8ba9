"""Measures what this project promises and writes BENCHMARKS.md: ratios from one run, the peer beside each figure."""

import csv
import itertools
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from balise_wire.envelope import Signer, sign_envelope, verify_envelope
from balise_wire.items import Readings

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


def bytes_table(rows: Rows) -> list[str]:
    entropy, peer = entropy_bytes_per_reading(rows), thingsboard_bytes_per_reading(rows)
    lines = [
        "## Signed bytes per reading",
        "",
        f"One node, 5 channels, {len(rows)} recorded rows with their real clock jitter. Entropy of the differences: "
        f"{entropy:.2f} B. ThingsBoard's JSON, unsigned, one message a row: {peer:.1f} B.",
        "",
        "| readings per envelope | Rice columns | limit | array columns | Rice / entropy | ThingsBoard / Rice |",
        "|---|---|---|---|---|---|",
    ]
    for readings, limit in ((60, 2.6), (300, 1.3)):
        rice, array = (signed_bytes_per_reading(rows, readings, form) for form in ("rice", "array"))
        lines.append(
            f"| {readings} | {rice:.2f} | ≤ {limit} | {array:.2f} | {rice / entropy:.1f} | {peer / rice:.0f} |"
        )
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


def main() -> None:
    from journey.bench_street import street_table

    rows = recorded_rows()
    parts = [bytes_table(rows), speed_table(rows), street_table()]
    head = "# Benchmarks\n\nWritten by `make bench`; every figure of a table comes from one run on one machine.\n\n"
    (ROOT / "BENCHMARKS.md").write_text(head + "\n\n".join("\n".join(part) for part in parts) + "\n", encoding="utf-8")
    print((ROOT / "BENCHMARKS.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
