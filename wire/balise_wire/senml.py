"""Readings as resolved SenML (RFC 8428): one record per value, with full name, unit, time and value; CPython only.

Promises that nothing is guessed: rows of a boot without an anchor keep "boot" and "ticks" instead of "t", a missing
value leaves no record, a flag other than 1 (pass) is told. Leaves to its caller which manifest and anchors belong here.
"""

import json
from collections.abc import Iterable
from decimal import Decimal

import cbor2

from balise_wire import checks
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Readings

Record = dict[str, object]

_LABELS = {"n": 0, "u": 1, "v": 2, "t": 6}  # RFC 8428 section 6
_DRIFT = 10_000  # a free-running clock may be off by 100 ppm: 1 ms for each of so many since its anchor


def expand(readings: Readings, manifest: dict[object, object], anchors: Iterable[Anchor] = ()) -> list[Record]:
    """One record per value present, row by row: "n", "u", "t" (or "boot" and "ticks"), "v", and "flag" unless 1.

    Times are seconds, an int when whole. Values are integer / 10 ** scale: an int when the scale is 0.
    """
    node = checks.text(manifest.get("node"), "node of the manifest")
    channels = checks.array(manifest.get("channels"), "channels of the manifest")
    if len(channels) != len(readings.columns):
        told = f"manifest {readings.manifest} has {len(channels)} channels"
        raise WireError("manifest", f"rows of {len(readings.columns)} columns, but {told}")
    heads = [_head(node, checks.mapping(entry, "channel")) for entry in channels]
    flags = [{row: flag for row, flag in readings.flags.get(column, [])} for column in range(len(heads))]  # noqa: C416
    records: list[Record] = []
    for row, moment in enumerate(_moments(readings, manifest, anchors)):
        for column, (head, scale) in enumerate(heads):
            value = readings.columns[column][row]
            if value is None:
                continue
            record: Record = {**head, **moment, "v": _decimal(value, scale)}
            flag = flags[column].get(row, 1)
            if flag != 1:
                record["flag"] = flag
            records.append(record)
    return records


def utc_ms_of(ticks: int, tick_ms: int, anchors: Iterable[Anchor]) -> int | None:
    """UTC of that many ticks since the boot of these anchors, by the one that leaves the least doubt; None without."""
    boot_ms = ticks * tick_ms
    best: tuple[int, int] | None = None
    for anchor in anchors:
        doubt = anchor.uncertainty_ms + abs(boot_ms - anchor.boot_ms) // _DRIFT
        if best is None or doubt < best[0]:
            best = doubt, anchor.utc_ms + boot_ms - anchor.boot_ms
    return None if best is None else best[1]


def to_json(records: list[Record]) -> str:
    """SenML JSON. Rows without UTC keep their own fields "boot" and "ticks", "flag" is ours too."""
    return json.dumps(records, ensure_ascii=False, separators=(",", ":"))


def to_cbor(records: list[Record]) -> bytes:
    """SenML CBOR: labels of RFC 8428 section 6, decimals exact (tag 4); our own fields keep their names."""
    return cbor2.dumps([{_LABELS.get(key, key): _exact(value) for key, value in entry.items()} for entry in records])


def _head(node: str, entry: dict[object, object]) -> tuple[Record, int]:
    name, unit = checks.text(entry.get("n"), "name of a channel"), checks.text(entry.get("u"), "unit of a channel")
    return {"n": f"{node}:{name}", "u": unit}, checks.int32(entry.get("s"), "scale of a channel")


def _moments(readings: Readings, manifest: dict[object, object], anchors: Iterable[Anchor]) -> list[Record]:
    tick_ms = checks.uint(manifest.get("tick_ms", 1000), "tick_ms of the manifest")
    if readings.boot is None:
        return [{"t": _seconds(ticks * tick_ms)} for ticks in readings.times]
    mine = [anchor for anchor in anchors if anchor.boot == readings.boot]
    moments: list[Record] = []
    for ticks in readings.times:
        utc_ms = utc_ms_of(ticks, tick_ms, mine)
        moments.append({"boot": readings.boot, "ticks": ticks} if utc_ms is None else {"t": _seconds(utc_ms)})
    return moments


def _seconds(utc_ms: int) -> int | float:
    return utc_ms / 1000 if utc_ms % 1000 else utc_ms // 1000


def _decimal(value: int, scale: int) -> int | float:
    """A 32-bit integer by a power of ten: rounded once, so the shortest text of the quotient is the exact decimal."""
    power: int = 10 ** abs(scale)
    return value / power if scale > 0 else value * power


def _exact(value: object) -> object:
    return Decimal(repr(value)) if isinstance(value, float) else value
