"""The verdict of a street: every row that a node kept is at the hub exactly once, verified, or declared lost.

The ledger of truth is what the nodes said on their consoles, time-stamped by the world; the other side is what the
hub stored, verified again from its bytes. Leaves to others: showing it (`demo.py`) and making it happen.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from balise_sim.hub import HubStore
from balise_wire import cbor
from balise_wire.envelope import verify_envelope
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Loss, Manifest, Readings

CONSOLE_DELAY_MS = 5_000  # between a row's grid time and its `kept` line: the sensors take their time to answer

Values = tuple[int | None, ...]


@dataclass(frozen=True)
class KeptRow:
    """One `kept` line of a node's console; `utc_s` is None while the node had no clock, `at_ms` is the world's UTC.

    `frame` is what its frame is called: boot and count.
    """

    node: str
    at_ms: int
    utc_s: int | None
    values: Values
    frame: tuple[int, int]


@dataclass(frozen=True)
class HubRow:
    """One row at the hub; `utc_ms` is None when its boot never had an anchor."""

    node: str
    utc_ms: int | None
    uncertainty_ms: int
    values: Values


@dataclass
class Verdict:
    """The counts of one street; `ok` is the exit status."""

    produced: int = 0
    delivered: int = 0
    silent: list[str] = field(default_factory=list)  # homes whose node never kept a row
    node_kills: int = 0
    restarts: int = 0  # boots that no scenario asked for: a fault of the firmware
    unannounced: int = 0  # kept, and at the hub, but the power went before the node could say so: at most one a kill
    duplicated: list[HubRow] = field(default_factory=list)
    lost: list[KeptRow] = field(default_factory=list)
    declared_lost: int = 0
    holes: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    conflicts: int = 0
    envelopes: int = 0
    signed_bytes: int = 0
    readings: int = 0
    vm: str = ""  # which MicroPython the nodes ran on

    @property
    def ok(self) -> bool:
        wrong = self.duplicated or self.lost or self.declared_lost or self.holes or self.unverified or self.conflicts
        unwell = self.silent or self.restarts or self.unannounced > self.node_kills
        return self.produced > 0 and not wrong and not unwell


def kept_row(node: str, at_ms: int, line: str) -> KeptRow | None:
    """Reads `kept <boot> <count> <utc seconds or -> <ticks_s> <v1> ...`; None for any other console line."""
    words = line.split()
    if len(words) < 6 or words[0] != "kept":
        return None
    values = tuple(None if word == "-" else int(word) for word in words[5:])
    return KeptRow(node, at_ms, None if words[3] == "-" else int(words[3]), values, (int(words[1]), int(words[2])))


@dataclass
class _HubLog:
    """What one log of the hub says, gathered item by item."""

    manifests: dict[int, dict[object, object]] = field(default_factory=dict)
    anchors: dict[int, Anchor] = field(default_factory=dict)
    readings: list[Readings] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def take(self, item: object) -> None:
        if isinstance(item, Manifest):
            self.manifests[item.number] = item.map
        elif isinstance(item, Anchor):
            self.anchors[item.boot] = item
        elif isinstance(item, Readings):
            self.readings.append(item)
        elif isinstance(item, Loss):
            self.losses.append(item)

    def rows(self) -> Iterator[HubRow]:
        for item in self.readings:
            manifest = self.manifests[item.manifest]
            anchor = self.anchors.get(item.boot) if item.boot is not None else None
            tick_ms = int(str(manifest.get("tick_ms", 1000)))
            for index, ticks in enumerate(item.times):
                values = tuple(column[index] for column in item.columns)
                utc_ms, uncertainty_ms = ticks * tick_ms, 0
                if anchor is not None:
                    utc_ms += anchor.utc_ms - anchor.boot_ms
                    uncertainty_ms = anchor.uncertainty_ms + tick_ms
                known = item.boot is None or anchor is not None
                yield HubRow(str(manifest["node"]), utc_ms if known else None, uncertainty_ms, values)


def judge(ledger: Iterable[KeptRow], store: HubStore, keys: Mapping[bytes, bytes], until_utc_ms: int) -> Verdict:
    """Compares the nodes' ledger with the hub's store, whose envelopes are verified with `keys` (kid to public key).

    Rows said after `until_utc_ms` may still be on their way: they are not asked for, and do no harm at the hub.
    """
    verdict = Verdict(conflicts=store.conflicts())
    by_node: dict[str, list[HubRow]] = defaultdict(list)
    losses: list[Loss] = []
    for kid, log in store.logs():
        found = _read_log(store, kid, log, keys, verdict)
        for row in found.rows():
            by_node[row.node].append(row)
            verdict.readings += sum(value is not None for value in row.values)
        losses += found.losses
    kept_by_node: dict[str, list[KeptRow]] = defaultdict(list)
    for kept in ledger:
        kept_by_node[kept.node].append(kept)
    for node in sorted(kept_by_node.keys() | by_node.keys()):
        _Node(kept_by_node[node], by_node[node], losses, until_utc_ms).judge(verdict)
    return verdict


def items_sha256(store: HubStore, keys: Mapping[bytes, bytes]) -> str:
    """SHA-256 over the packed items of all envelopes that verify, in order of key, log and number."""
    digest = hashlib.sha256()
    for kid, log in store.logs():
        for _, cose in store.envelopes(kid, log):
            try:
                items = verify_envelope(cose, keys).items
            except WireError:
                continue  # the verdict names it
            for item in items:
                digest.update(cbor.encode(item.pack()))
    return digest.hexdigest()


def _read_log(store: HubStore, kid: bytes, log: int, keys: Mapping[bytes, bytes], verdict: Verdict) -> _HubLog:
    found, expected = _HubLog(), 1
    for seq, cose in store.envelopes(kid, log):
        if seq != expected:
            verdict.holes.append(f"{kid.hex()}/{log}: {expected} to {seq - 1}")
        expected = seq + 1
        verdict.envelopes += 1
        verdict.signed_bytes += len(cose)
        try:
            for item in verify_envelope(cose, keys).items:
                found.take(item)
        except WireError as error:
            verdict.unverified.append(f"{kid.hex()}/{log}/{seq}: {error}")
    return found


@dataclass
class _Node:
    """The two accounts of one node, and how they are held against each other."""

    kept: list[KeptRow]
    at_hub: list[HubRow]
    losses: list[Loss]
    until_utc_ms: int

    def judge(self, verdict: Verdict) -> None:
        exact = Counter((row.utc_ms, row.values) for row in self.at_hub)
        missing = []
        for row in self.kept:
            key = (None if row.utc_s is None else row.utc_s * 1000, row.values)
            if row.utc_s is None or not exact[key]:
                missing.append(row)
                continue
            exact[key] -= 1
            self._count(row, verdict)
        unclaimed = _leftover(self.at_hub, exact)
        for row in missing:
            self._search(row, unclaimed, verdict)
        self._judge_extras(unclaimed, verdict)

    def _search(self, row: KeptRow, unclaimed: list[HubRow], verdict: Verdict) -> None:
        """A row that is not at the hub under its own time: dated later, declared lost, or lost."""
        twin = next((other for other in unclaimed if _same(row, other)), None)
        if twin is not None:
            unclaimed.remove(twin)
            self._count(row, verdict)
        elif row.at_ms <= self.until_utc_ms:
            verdict.produced += 1
            if any(_declares(loss, row) for loss in self.losses):
                verdict.declared_lost += 1
            else:
                verdict.lost.append(row)

    def _count(self, row: KeptRow, verdict: Verdict) -> None:
        if row.at_ms <= self.until_utc_ms:
            verdict.produced += 1
            verdict.delivered += 1

    def _judge_extras(self, unclaimed: list[HubRow], verdict: Verdict) -> None:
        known = Counter((row.utc_ms, row.values) for row in self.at_hub)
        for extra in unclaimed:
            if known[(extra.utc_ms, extra.values)] > 1:
                verdict.duplicated.append(extra)
            else:
                verdict.unannounced += 1


def _leftover(rows: list[HubRow], left: Counter[tuple[int | None, Values]]) -> list[HubRow]:
    budget, leftover = Counter(left), []
    for row in rows:
        if budget[(row.utc_ms, row.values)] > 0:
            budget[(row.utc_ms, row.values)] -= 1
            leftover.append(row)
    return leftover


def _same(kept: KeptRow, row: HubRow) -> bool:
    """A row kept without a clock and the row at the hub, dated afterwards within its stated uncertainty."""
    if kept.values != row.values or kept.utc_s is not None:
        return False
    return row.utc_ms is None or abs(row.utc_ms - kept.at_ms) <= row.uncertainty_ms + CONSOLE_DELAY_MS


def _declares(loss: Loss, row: KeptRow) -> bool:
    """A loss names a span of time, or of frames; one of an unknown clock or of envelopes declares no row by itself."""
    if loss.what in ("frame", "frames") and isinstance(loss.first, list) and isinstance(loss.last, list):
        return loss.node == row.node and loss.first <= list(row.frame) <= loss.last
    at_s = row.at_ms // 1000 if row.utc_s is None else row.utc_s
    if isinstance(loss.first, list) or isinstance(loss.last, list):
        return False
    return loss.node == row.node and loss.first <= at_s <= loss.last
