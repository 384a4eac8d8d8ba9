"""Where a recipient's log comes from: the source item (kind 6) at its start, and again when its grant changes.

Its map: `grant` (id), `digest` (SHA-256 of the grant), `purpose`, `licence` (SPDX), `home` ([first, last]: the
envelopes of the home log from the one that this log starts in to the newest there is; first > last while none is),
`root` (of the home log up to `last`, RFC 9162; not where a damaged disk lost one of it) and `alg` (these rules).
Leaves checkpoints to `balise_wire.checkpoint`.
"""

import sqlite3
from collections.abc import Iterator

from balise_gateway.grants.grant import Grant
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.logs import Log
from balise_wire.items import Source
from balise_wire.log import Frontier, leaf_hash

ALGORITHM = "balise-grant-1"
_MARK_BYTES = 7  # of the digest: what a counter can remember


def is_news(db: sqlite3.Connection, log: Log, grant: Grant) -> bool:
    """Is this not the grant that the log told last?"""
    return tables.count(db, _name(log)) != _mark(grant)


def told(db: sqlite3.Connection, log: Log, grant: Grant) -> Source:
    """The item for the log's next envelope; remembered as told in the same transaction."""
    tables.COUNTER.put(db, [(_name(log), _mark(grant))])
    hashes = dict(_leaf_hashes(db))
    last = max(hashes, default=0)
    starts_in = tables.ENVELOPE.one(db, "log = ? AND cursor > ? ORDER BY seq", (HOME_LOG, log.cursor))
    found: dict[object, object] = {
        "grant": grant.id,
        "digest": grant.digest(),
        "purpose": grant.purpose,
        "licence": grant.licence,
        "home": [starts_in[1] if starts_in else last + 1, last],
        "alg": ALGORITHM,
    }
    if len(hashes) == last:  # of a log with a hole nobody knows the root
        home = Frontier()
        for seq in range(1, last + 1):
            home.append(hashes[seq])
        found["root"] = home.root()
    return Source(found)


def _leaf_hashes(db: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    """(seq, leaf hash) of every envelope of the home log, also of those that were dropped to make room."""
    for _, seq, digest in tables.LEAF.read(db, "log = ?", (HOME_LOG,)):
        yield seq, digest
    for _, seq, _, _, _, cose in tables.ENVELOPE.read(db, "log = ?", (HOME_LOG,)):
        yield seq, leaf_hash(cose)


def _name(log: Log) -> str:
    return f"grant {log.log}"


def _mark(grant: Grant) -> int:
    return int.from_bytes(grant.digest()[:_MARK_BYTES], "big")
