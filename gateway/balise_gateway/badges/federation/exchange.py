"""Visits that other places' gateways deliver here: checked, kept, and forgotten in time.

Promises that an envelope is on disk before the answer that names it, that a gateway speaks for its own hosts only, that
the same name with other bytes is kept apart and told, and that what was forgotten stays known by its hash: it is not
asked for again. Leaves HTTP to `exchange_paths.py`, and bills to `billing/`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balise_gateway.badges.database import leave_no_trace, open_database, transaction
from balise_gateway.badges.turns import Steps, at_once
from balise_gateway.errors import PaperError
from balise_gateway.log import event
from balise_wire.envelope import Envelope, split_sequence, verify_envelope
from balise_wire.errors import WireError
from balise_wire.items import Visit, VisitMapping
from balise_wire.log import leaf_hash
from balise_wire.places import Table
from balise_wire.readings import Readings
from balise_wire.visits import mapping_of, visit_of

FILE_NAME = "exchange.db"
DAY_S = 86_400
_STEPS = (
    """
    CREATE TABLE envelope (
      kid BLOB NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, leaf BLOB NOT NULL, last_utc_s INTEGER NOT NULL,
      cose BLOB, PRIMARY KEY (kid, log, seq)) STRICT;
    CREATE INDEX envelope_by_age ON envelope (last_utc_s) WHERE cose IS NOT NULL;
    CREATE TABLE conflict (
      kid BLOB NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL, cose BLOB NOT NULL,
      at_utc_s INTEGER NOT NULL, PRIMARY KEY (kid, log, seq, digest)) STRICT, WITHOUT ROWID;
    CREATE TABLE count (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,
)
_KIDS = "SELECT DISTINCT kid FROM envelope ORDER BY kid"
_FORGOTTEN = "forgotten"
_MAX_CONFLICTS = 1_000  # one place that is broken must not fill the disk


@dataclass
class Outcome:
    """What became of one request: the logs it named, and what was not kept, each with index, reason and detail."""

    names: set[tuple[bytes, int]] = field(default_factory=set)
    refused: list[dict[str, object]] = field(default_factory=list)
    conflicts: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class _Good:
    """One envelope of a request that may be kept. `index`: where it stood; `last_utc_s`: when its last visit was."""

    index: int
    envelope: Envelope
    cose: bytes
    last_utc_s: int


class Exchange:
    """The store of partners' visits. `table` gives the table of places as it is now."""

    def __init__(self, data_dir: Path, table: Callable[[], Table | None]) -> None:
        self._table = table
        self._db = open_database(data_dir / FILE_NAME, _STEPS)
        self._next: dict[tuple[bytes, int], int] = {}  # below it all is held: no need to look there again

    def close(self) -> None:
        self._db.close()

    def take(self, body: bytes, now_utc_s: int) -> Outcome:
        """Verifies and keeps each envelope of a CBOR sequence; on return all that is not refused is on disk."""
        return at_once(self.taking(body, now_utc_s))

    def taking(self, body: bytes, now_utc_s: int) -> Steps[Outcome]:
        """The same, a step for each envelope; in the end all are written at once."""
        outcome, keys, good = Outcome(), self._keys(), list[_Good]()
        for index, cose in enumerate(_split(body, outcome)):
            try:
                envelope = verify_envelope(cose, keys)
                good.append(_Good(index, envelope, cose, self._checked(envelope, now_utc_s)))
            except (WireError, PaperError) as error:
                outcome.refused.append({"index": index, "reason": error.reason, "detail": str(error)})
            yield
        with transaction(self._db):
            for each in good:
                self._keep(each, now_utc_s, outcome)
            for told in (*outcome.refused, *outcome.conflicts):
                self._count(str(told["reason"]))
        for told in outcome.refused[:1] + outcome.conflicts[:1]:
            event("partner's visits refused", reason=told["reason"], why=told["detail"])
        return outcome

    def held(self, kid: bytes, log: int) -> tuple[int, list[tuple[int, int]]]:
        """(next, ranges): all below next is held, and the ranges [from, to] beyond it."""
        next_seq, ranges = self._next.get((kid, log), 1), list[tuple[int, int]]()
        query = "SELECT seq FROM envelope WHERE kid = ? AND log = ? AND seq >= ? ORDER BY seq"
        for (seq,) in self._db.execute(query, (kid, log, next_seq)):
            if seq == next_seq:
                next_seq += 1
            elif ranges and seq == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], seq)
            else:
                ranges.append((seq, seq))
        self._next[(kid, log)] = next_seq
        return next_seq, ranges

    def envelopes(self, kids: Set[bytes] | None = None) -> Iterator[bytes]:
        """All that is held and not forgotten, by its name; or what these keys have signed."""
        told = sorted(kids) if kids is not None else [kid for (kid,) in self._db.execute(_KIDS)]
        for kid in told:
            query = "SELECT cose FROM envelope WHERE kid = ? AND cose IS NOT NULL ORDER BY log, seq"
            for (cose,) in self._db.execute(query, (kid,)):
                yield cose

    def forget(self, now_utc_s: int, keep_days: int) -> int:
        """Drops envelopes whose last visit is older than that; their hashes stay. Returns how many."""
        before_s = now_utc_s - keep_days * DAY_S
        with transaction(self._db) as db:
            due = "WHERE last_utc_s < ? AND cose IS NOT NULL"
            gone = db.execute(f"UPDATE envelope SET cose = NULL, last_utc_s = 0 {due}", (before_s,)).rowcount
            gone += db.execute("DELETE FROM conflict WHERE at_utc_s < ?", (before_s,)).rowcount
            if gone:
                self._count(_FORGOTTEN, gone)
        leave_no_trace(self._db)
        if gone:
            event("partners' visits forgotten", envelopes=gone)
        return gone

    def status(self) -> dict[str, object]:
        """How many are held, in conflict, forgotten, and refused by reason."""
        counts: dict[str, int] = dict(self._db.execute("SELECT name, n FROM count"))
        (held,) = self._db.execute("SELECT count(*) FROM envelope WHERE cose IS NOT NULL").fetchone()
        (apart,) = self._db.execute("SELECT count(*) FROM conflict").fetchone()
        forgotten = counts.pop(_FORGOTTEN, 0)
        return {"envelopes": held, "conflicts": apart, "forgotten": forgotten, "refused": counts}

    def _keys(self) -> Mapping[bytes, bytes]:
        table = self._table()
        return table.gateway_keys() if table else {}

    def _checked(self, envelope: Envelope, now_utc_s: int) -> int:
        """When its last visit was; now, where that is not known. Raises PaperError."""
        table = self._table()
        hosts = table.hosts_of(envelope.kid) if table else set()
        times: list[int] = []
        for item in envelope.items:
            if isinstance(item, Readings):
                raise PaperError("readings", "values of sensors; only visits and what explains them belong here")
            if not isinstance(item, (Visit, VisitMapping)):
                continue
            record = visit_of(item.map) if isinstance(item, Visit) else mapping_of(item.map)
            if record.host not in hosts:
                what = f"key id {envelope.kid.hex()} signs visits of {record.host}; the table lets it speak for others"
                raise PaperError("foreign host", what)
            when: Any = getattr(record, "t", None)
            times.append(when if isinstance(when, int) and when <= now_utc_s else now_utc_s)
        return max(times, default=now_utc_s)

    def _keep(self, good: _Good, now_utc_s: int, outcome: Outcome) -> None:
        """Stores it; a repeat is harmless. Where the name is held with other bytes, these are kept apart and told."""
        envelope = good.envelope
        name, leaf = (envelope.kid, envelope.log, envelope.seq), leaf_hash(good.cose)
        outcome.names.add(name[:2])
        query = "SELECT leaf FROM envelope WHERE kid = ? AND log = ? AND seq = ?"
        held = self._db.execute(query, name).fetchone()
        if held is None:
            row = (*name, leaf, good.last_utc_s, good.cose)
            self._db.execute("INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?)", row)
        elif held[0] != leaf:
            told = f"{envelope.kid.hex()}/{envelope.log}/{envelope.seq}: other bytes are held"
            outcome.conflicts.append({"index": good.index, "reason": "conflict", "detail": told})
            self._keep_apart((*name, hashlib.sha256(good.cose).digest(), good.cose, now_utc_s))

    def _keep_apart(self, row: tuple[object, ...]) -> None:
        (apart,) = self._db.execute("SELECT count(*) FROM conflict").fetchone()
        if apart < _MAX_CONFLICTS:
            self._db.execute("INSERT OR IGNORE INTO conflict VALUES (?, ?, ?, ?, ?, ?)", row)

    def _count(self, name: str, n: int = 1) -> None:
        sql = "INSERT INTO count VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
        self._db.execute(sql, (name, n))


def _split(body: bytes, outcome: Outcome) -> Iterator[bytes]:
    """The slices of a CBOR sequence; what follows a malformed item cannot be told apart and is refused with it."""
    slices, index = split_sequence(body), 0
    while True:
        try:
            cose = next(slices, None)
        except WireError as error:
            outcome.refused.append({"index": index, "reason": error.reason, "detail": error.detail})
            return
        if cose is None:
            return
        yield cose
        index += 1
