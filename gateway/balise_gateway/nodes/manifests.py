"""What a node's columns mean, by the number that one boot of it gave to that meaning.

Promises that a manifest is stored once, whoever repeats it, under the digest of its bytes; that its node is the one
that the key belongs to, whatever it calls itself; and that what the gateway vouches for is not called node-signed.
Leaves the numbers that a log gives to `logs.py`.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from balise_gateway.journal import tables
from balise_gateway.quality.gross_range import Range, range_of
from balise_wire import cbor
from balise_wire.items import Manifest, unpack_item

DIGEST_BYTES = 16
WITNESSED = "gateway-witnessed"
ARRIVAL = "arrival"  # what a manifest says of its rows' time when it is when they arrived, not when they were measured
DEFAULT_TICK_MS = 1000
_MAX_REMEMBERED = 20_000


@dataclass(frozen=True)
class Columns:
    """One manifest, ready for use: name, unit, scale and plausible range of each column."""

    digest: bytes
    packed: bytes
    tick_ms: int
    names: tuple[str, ...]
    units: tuple[str, ...]
    scales: tuple[int, ...]
    ranges: tuple[Range | None, ...]


def columns_of(packed: bytes) -> Columns:
    """From the bytes of a manifest's map, as the journal has them."""
    manifest = unpack_item([Manifest.kind, 0, cbor.decode(packed)])
    told = manifest.map if isinstance(manifest, Manifest) else {}
    found = told.get("channels", [])
    channels = [channel for channel in found if isinstance(channel, dict)] if isinstance(found, list) else []
    names, scales = tuple(str(channel["n"]) for channel in channels), tuple(int(channel["s"]) for channel in channels)
    return Columns(
        digest=hashlib.sha256(packed).digest()[:DIGEST_BYTES],
        packed=packed,
        tick_ms=int(str(told.get("tick_ms", DEFAULT_TICK_MS))),
        names=names,
        units=tuple(str(channel["u"]) for channel in channels),
        scales=scales,
        ranges=tuple(range_of(name, scale) for name, scale in zip(names, scales, strict=True)),
    )


def witnessed(manifest: Manifest, node: str) -> Columns:
    """A node's manifest as the gateway passes it on: of this node, and witnessed by the gateway."""
    return columns_of(cbor.encode({**manifest.map, "node": node, "trust": WITNESSED}))


class Manifests:
    """The manifests in use, read from the journal when first asked for."""

    def __init__(self) -> None:
        self._by_number: dict[tuple[bytes, int, int], Columns] = {}
        self._by_digest: dict[bytes, Columns] = {}

    def learn(self, kid: bytes, boot: int, number: int, columns: Columns) -> None:
        """From now on this boot calls these columns by that number."""
        if len(self._by_number) > _MAX_REMEMBERED:
            self._by_number.clear()
        self._by_number[kid, boot, number] = self._by_digest.setdefault(columns.digest, columns)

    def find(self, db: sqlite3.Connection, kid: bytes, boot: int, number: int) -> Columns | None:
        """What this boot means by the number; None when it has not said so yet."""
        known = self._by_number.get((kid, boot, number))
        if known is None:
            row = tables.BOOT_MANIFEST.one(db, "node = ? AND boot = ? AND number = ?", (kid, boot, number))
            known = None if row is None else self.of_digest(db, row[3])
            if known is not None:
                self.learn(kid, boot, number, known)
        return known

    def of_digest(self, db: sqlite3.Connection, digest: bytes) -> Columns | None:
        """The manifest with this digest; None when the journal lost it."""
        known = self._by_digest.get(digest)
        if known is None:
            if len(self._by_digest) > _MAX_REMEMBERED:
                self._by_digest.clear()
            row = tables.MANIFEST.one(db, "digest = ?", (digest,))
            if row is None:
                return None
            known = self._by_digest[digest] = columns_of(row[1])
        return known
