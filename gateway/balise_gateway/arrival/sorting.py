"""From a node's frame to the rows that the next commit writes.

Promises that a frame goes into a `Batch` whole or not at all; that readings are qualified, and wait when their manifest
has not come yet; and that what makes no sense becomes a refusal and a loss item, so that it is told and never blocks.
Leaves buffering, committing and acknowledging to `intake.py`.
"""

import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from balise_gateway.arrival.foreign import Foreign, Gathered
from balise_gateway.arrival.unseal import Opened
from balise_gateway.journal import tables
from balise_gateway.journal.tables import Row
from balise_gateway.nodes.boots import Boot, Boots, Node, retire
from balise_gateway.nodes.manifests import Columns, Manifests, witnessed
from balise_gateway.quality import PASS, late
from balise_gateway.quality.judge import Verdicts
from balise_gateway.quality.qualifier import Qualifier
from balise_wire import cbor
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Item, Loss, Manifest, Readings, Visit, unpack_item

MAX_REFUSED_KEPT = 1_000
MAX_REFUSED_BYTES = 4_096
MAX_REFUSED_PER_COMMIT = 100
MAX_TICKS, MAX_TICK_MS = 1 << 45, 1 << 17  # their product is a number that SQLite can hold, far beyond our times
MAX_MS = 1 << 53

Entry = tuple[bytes, int, int, bytes | None, int | None, int, bytes]  # a row of table entry, before it has its number


@dataclass
class Batch:
    """What one commit writes."""

    frames: int = 0
    size_bytes: int = 0
    entries: list[Entry] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    manifests: dict[bytes, bytes] = field(default_factory=dict)
    boot_manifests: list[Row] = field(default_factory=list)
    boots: dict[tuple[bytes, int], Boot] = field(default_factory=dict)
    nodes: dict[bytes, Node] = field(default_factory=dict)
    new_boots: set[bytes] = field(default_factory=set)
    foreign: Gathered = field(default_factory=dict)
    refused: list[tuple[str, str, bytes]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    verdicts: Verdicts = field(default_factory=Verdicts)
    woken: dict[tuple[bytes, int, int, int], Entry] = field(default_factory=dict)  # have waited for their manifest

    def refuse(self, reason: str, source: str, data: bytes) -> None:
        """Keeps refused bytes (some of each commit, or garbage would wear out the card) and counts all."""
        self.counts[f"refused {reason}"] += 1
        if len(self.refused) < MAX_REFUSED_PER_COMMIT:
            self.refused.append((reason, source, data[:MAX_REFUSED_BYTES]))
            self.size_bytes += min(len(data), MAX_REFUSED_BYTES)

    @property
    def is_empty(self) -> bool:
        return not (self.frames or self.refused or self.counts or self.nodes)


class Sorter:
    """Puts frames into batches, and batches into the journal."""

    def __init__(
        self,
        nodes: dict[bytes, Node],
        boots: Boots,
        manifests: Manifests,
        foreign: Foreign,
        qualifier: Qualifier,
    ) -> None:
        self._nodes, self._boots, self._manifests = nodes, boots, manifests
        self._foreign, self._qualifier = foreign, qualifier

    def add(self, db: sqlite3.Connection, batch: Batch, opened: Opened) -> bool:
        """Adds a new frame; returns whether it should be committed at once: it carries a visit, or no readings.

        Raises WireError, with nothing changed, when its items do not fit together.
        """
        node, boot = self._nodes[opened.kid], self._boots.get(db, opened.kid, opened.boot)
        items = opened.items
        if items is None:
            raise WireError("malformed", opened.problem)
        self._check(db, opened, items)
        self._mark(batch, node, boot, opened)
        for part, item in enumerate(items):
            if isinstance(item, Readings):
                self._add_readings(db, batch, opened, part, item)
            else:
                self._add_other(batch, node, boot, item)
        kinds = {item.kind for item in items}
        return Visit.kind in kinds or Readings.kind not in kinds

    def add_nonsense(self, db: sqlite3.Connection, batch: Batch, opened: Opened, why: str) -> None:
        """A frame of this node that cannot be used: it is held and acknowledged, and its loss is told."""
        node, boot = self._nodes[opened.kid], self._boots.get(db, opened.kid, opened.boot)
        self._mark(batch, node, boot, opened)
        batch.entries.append(_loss_of_frame(node, opened.boot, opened.count, f"refused: {why}"))

    def _mark(self, batch: Batch, node: Node, boot: Boot, opened: Opened) -> None:
        if boot.is_unheard:
            batch.new_boots.add(opened.kid)
        boot.take(opened.count, opened.tag)
        node.top_boot = max(node.top_boot, opened.boot)
        batch.boots[opened.kid, opened.boot] = boot
        batch.nodes[opened.kid] = node
        batch.frames += 1

    def _check(self, db: sqlite3.Connection, opened: Opened, items: list[Item | Readings]) -> None:
        """Everything that could go wrong, before anything is changed."""
        told: dict[int, int] = {}
        for item in items:
            if isinstance(item, Manifest):
                told[item.number] = _width_of(item)
            elif isinstance(item, Anchor):
                _check_anchor(item, opened.boot)
            elif isinstance(item, Readings):
                self._check_readings(db, opened, item, told)

    def _check_readings(self, db: sqlite3.Connection, opened: Opened, item: Readings, told: dict[int, int]) -> None:
        if item.boot not in (None, opened.boot):
            raise WireError("malformed", f"readings of boot {item.boot} in a frame of boot {opened.boot}")
        if max(item.times) > MAX_TICKS:
            raise WireError("malformed", f"a time of {max(item.times)} ticks")
        width = told.get(item.manifest)
        if width is None:
            known = self._manifests.find(db, opened.kid, opened.boot, item.manifest)
            width = None if known is None else len(known.names)
        if width is not None and width != len(item.columns):
            raise WireError("manifest", f"{len(item.columns)} columns, manifest {item.manifest} has {width}")

    def _add_other(self, batch: Batch, node: Node, boot: Boot, item: Item | Readings) -> None:
        if isinstance(item, Manifest):
            columns = witnessed(item, node.name)
            self._manifests.learn(boot.kid, boot.boot, item.number, columns)
            batch.manifests[columns.digest] = columns.packed
            batch.boot_manifests.append((boot.kid, boot.boot, item.number, columns.digest))
        elif isinstance(item, Anchor):
            boot.note_anchor(item)
        else:
            if isinstance(item, Loss):
                item = Loss(node.name, item.what, item.first, item.last, item.reason)
            body = cbor.encode(item.pack())
            batch.entries.append((boot.kid, boot.boot, item.kind, None, None, 0, body))
            batch.size_bytes += len(body)

    def _add_readings(self, db: sqlite3.Connection, batch: Batch, opened: Opened, part: int, item: Readings) -> None:
        node = self._nodes[opened.kid]
        node.rows += len(item.times)
        columns = self._manifests.find(db, opened.kid, opened.boot, item.manifest)
        if columns is not None:
            entry = self._qualified(db, batch, (opened.kid, opened.boot), item, columns)
            batch.entries.append(entry)
            batch.size_bytes += len(entry[-1])
            return
        body = cbor.encode(item.pack())
        batch.waiting.append((opened.kid, opened.boot, opened.count, part, item.manifest, len(item.times), body))
        batch.size_bytes += len(body)

    def _qualified(
        self, db: sqlite3.Connection, batch: Batch, origin: tuple[bytes, int], item: Readings, columns: Columns
    ) -> Entry:
        """Readings of a node's boot with their flags, ready for the logs."""
        kid, boot = origin
        item, wider = self._qualifier.qualify(kid, self._nodes[kid].name, item, columns, batch.verdicts)
        if wider is not columns and self._manifests.of_digest(db, wider.digest) is None:
            batch.manifests[wider.digest] = wider.packed
        columns = wider
        self._boots.get(db, kid, boot).note_times(item, columns.tick_ms)
        note_latest(self._nodes[kid], boot, item, columns)
        return (kid, boot, Readings.kind, columns.digest, None, len(item.times), cbor.encode(item.pack()))

    def write(self, db: sqlite3.Connection, batch: Batch, now_utc_ms: int | None, latest_utc_ms: int | None) -> None:
        """Writes a batch inside a transaction. Called again with the same batch after a failure, it writes the same.

        It is now `now_utc_ms`, and not later than `latest_utc_ms`.
        """
        tables.MANIFEST.put(db, batch.manifests.items())
        tables.BOOT_MANIFEST.put(db, batch.boot_manifests)
        tables.WAITING.put(db, batch.waiting)
        told = len(batch.manifests)
        entries = batch.entries + self._no_longer_waiting(db, batch) + self._foreign.write(db, batch.foreign)
        if len(batch.manifests) > told:  # of rows that have waited, with corrected channels
            tables.MANIFEST.put(db, batch.manifests.items())
        first = max(1, tables.count(db, "next_entry"))
        tables.ENTRY.put(db, ((first + number, *entry) for number, entry in enumerate(entries)))
        tables.COUNTER.put(db, [("next_entry", first + len(entries))])
        late.flag(db, self._manifests, [*batch.verdicts.late, *self._foreign.verdicts.late])
        for boot in batch.boots.values():
            boot.arrived_utc_ms = None if latest_utc_ms is None else max(boot.arrived_utc_ms or 0, latest_utc_ms)
        tables.BOOT.put(db, [boot.row() for boot in batch.boots.values()])
        for kid in sorted(batch.new_boots):
            retire(db, batch.nodes[kid])
        tables.NODE.put(db, [node.row() for node in batch.nodes.values()])
        _write_refused(db, batch, now_utc_ms)
        counts = batch.counts + batch.verdicts.counts + self._foreign.verdicts.counts
        tables.COUNTER.put(db, [(name, tables.count(db, name) + more) for name, more in sorted(counts.items())])

    def _no_longer_waiting(self, db: sqlite3.Connection, batch: Batch) -> list[Entry]:
        """Readings that came before their manifest, and now have it."""
        found: list[Entry] = []
        for kid, boot, number, digest in batch.boot_manifests:
            columns = self._manifests.of_digest(db, digest)
            key = (kid, boot, number)
            for row in list(tables.WAITING.read(db, "node = ? AND boot = ? AND number = ? ORDER BY count, part", key)):
                item = unpack_item(cbor.decode(row[-1]))
                woken = batch.woken.get((kid, boot, *row[2:4]))  # judged already, when this batch could not be written
                if woken is not None:
                    found.append(woken)
                elif columns is not None and isinstance(item, Readings) and len(item.columns) == len(columns.names):
                    found.append(self._qualified(db, batch, (kid, boot), item, columns))
                    batch.woken[kid, boot, row[2], row[3]] = found[-1]
                else:
                    found.append(_loss_of_frame(self._nodes[kid], boot, row[2], "columns do not fit their manifest"))
            db.execute("DELETE FROM waiting WHERE node = ? AND boot = ? AND number = ?", key)
        return found


def _width_of(manifest: Manifest) -> int:
    """How many columns its readings have."""
    tick_ms, channels = manifest.map.get("tick_ms", 1), manifest.map.get("channels", [])
    if not isinstance(tick_ms, int) or tick_ms > MAX_TICK_MS:
        raise WireError("malformed", f"a tick of {tick_ms} ms; at most {MAX_TICK_MS}")
    return len(channels) if isinstance(channels, list) else 0


def _check_anchor(anchor: Anchor, boot: int) -> None:
    if anchor.boot != boot:
        raise WireError("malformed", f"an anchor of boot {anchor.boot} in a frame of boot {boot}")
    if max(anchor.boot_ms, anchor.utc_ms, anchor.uncertainty_ms) > MAX_MS:
        raise WireError("malformed", "an anchor beyond all time")


def _loss_of_frame(node: Node, boot: int, count: int, reason: str) -> Entry:
    loss = Loss(node.name, "frame", [boot, count], [boot, count], reason)
    return (node.keys.kid, boot, Loss.kind, None, None, 0, cbor.encode(loss.pack()))


def note_latest(node: Node, boot: int, item: Readings, columns: Columns) -> None:
    """Remembers the newest row for people: values as scaled integers with scale, unit and flag."""
    row = max(range(len(item.times)), key=item.times.__getitem__)
    utc_ms = item.times[row] * columns.tick_ms if item.boot is None else None
    before, before_boot = node.latest.get("utc_ms"), node.latest.get("boot")
    older = isinstance(before, int) and utc_ms is not None and utc_ms < before
    if older or (utc_ms is None and isinstance(before_boot, int) and boot < before_boot):
        return
    values = []
    for number, name in enumerate(columns.names):
        marks = {pair[0]: pair[1] for pair in item.flags.get(number, [])}
        value = item.columns[number][row]
        values.append([name, value, columns.scales[number], columns.units[number], marks.get(row, PASS)])
    node.latest = {"utc_ms": utc_ms, "boot": boot, "values": values}


def _write_refused(db: sqlite3.Connection, batch: Batch, now_utc_ms: int | None) -> None:
    (last,) = db.execute("SELECT coalesce(max(refused), 0) FROM refused").fetchone()
    rows = [(last + 1 + number, now_utc_ms, *refusal) for number, refusal in enumerate(batch.refused)]
    tables.REFUSED.put(db, rows)
    if rows:
        db.execute("DELETE FROM refused WHERE refused <= ?", (last + len(rows) - MAX_REFUSED_KEPT,))
