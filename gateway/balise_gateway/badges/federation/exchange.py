"""Visits that other places' gateways deliver here: checked, kept, and forgotten in time.

Promises that an envelope is on disk before the answer that names it, that a gateway speaks for its own hosts only, that
the same name with other bytes is kept apart and told, and that what was forgotten stays known by its hash: it is not
asked for again. Leaves HTTP to `exchange_paths.py`, and bills to `billing/`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balise_gateway.badges.database import leave_no_trace, open_database, transaction
from balise_gateway.badges.turns import Steps, at_once
from balise_gateway.errors import PaperError
from balise_gateway.log import event
from balise_wire import cbor_walk
from balise_wire.cose import peek1
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
# One place that is broken, or turned bad, must not fill the disk, nor hold up cards at the door.
MAX_ENVELOPES = 1_000  # in one request, as our uplinks send
AT_ONCE = 100  # written in one step: a card at the door waits that long
LARGE_BYTES, MAX_PARTS = 1 << 16, 150_000  # of one envelope: what our own closers write has fewer
MAX_CONFLICTS, MAX_CONFLICT_BYTES = 100, 4 << 20  # kept apart, of one key: enough to show to anyone
MAX_RANGES, MAX_LOOK = 1_000, 10_000  # of what is held beyond a gap: told in an answer, and looked at for it
MAX_NEW_A_DAY = 50_000  # envelopes of one key, of which the hashes stay for ever
MAX_BYTES_OF_A_KEY = 256 << 20  # held at a time
_TELL_AGAIN_S = 60  # how often the same refusal is an event


@dataclass
class Outcome:
    """What became of one request: the logs it named, and what was not kept, each with index, reason and detail."""

    names: set[tuple[bytes, int]] = field(default_factory=set)
    refused: list[dict[str, object]] = field(default_factory=list)
    conflicts: list[dict[str, object]] = field(default_factory=list)
    too_much: bool = False  # the rest was not taken, and may come later


@dataclass(frozen=True)
class _Good:
    """One envelope of a request that may be kept. `index`: where it stood; `last_utc_s`: when its last visit was."""

    index: int
    envelope: Envelope
    cose: bytes
    last_utc_s: int


class Exchange:
    """The store of partners' visits. `table` gives the table of places as it is now."""

    def __init__(
        self,
        data_dir: Path,
        table: Callable[[], Table | None],
        *,
        new_a_day: int = MAX_NEW_A_DAY,
        bytes_of_a_key: int = MAX_BYTES_OF_A_KEY,
    ) -> None:
        self._table, self._most = table, (new_a_day, bytes_of_a_key)
        self._db = open_database(data_dir / FILE_NAME, _STEPS)
        self._next: dict[tuple[bytes, int], int] = {}  # below it all is held: no need to look there again
        self._shares: dict[bytes, _Share] = {}
        self._uncounted: Counter[str] = Counter()  # refusals since the last write: a stranger's cost the disk nothing
        self._told_s: dict[str, int] = {}

    def close(self) -> None:
        self._db.close()

    def take(self, body: bytes, now_utc_s: int) -> Outcome:
        """Verifies and keeps each envelope of a CBOR sequence; on return all that is not refused is on disk.

        Raises PaperError, before anything is kept, for more envelopes than one request may have.
        """
        return at_once(self.taking(body, now_utc_s))

    def taking(self, body: bytes, now_utc_s: int) -> Steps[Outcome]:
        """The same, a step for each envelope, and one for every AT_ONCE that are written."""
        outcome, keys, good = Outcome(), self._keys(), list[_Good]()
        for index, cose in enumerate(_split(body, outcome)):
            if index >= MAX_ENVELOPES:
                raise PaperError("too large", f"more than {MAX_ENVELOPES} envelopes in one request")
            try:
                if len(cose) > LARGE_BYTES:  # it is opened in one step, and a card at the door waits
                    cbor_walk.end_of(peek1(cose)[1], 0, MAX_PARTS)
                envelope = verify_envelope(cose, keys)
                good.append(_Good(index, envelope, cose, self._checked(envelope, now_utc_s)))
            except (WireError, PaperError) as error:
                outcome.refused.append({"index": index, "reason": error.reason, "detail": str(error)})
            yield
        for first in range(0, len(good), AT_ONCE):
            with transaction(self._db):
                for each in good[first : first + AT_ONCE]:
                    self._keep(each, now_utc_s, outcome)
                self._write_counts()
            yield
        for told in (*outcome.refused, *outcome.conflicts):
            self._uncounted[str(told["reason"])] += 1
        for told in outcome.refused[:1] + outcome.conflicts[:1]:
            self._tell(str(told["reason"]), str(told["detail"]), now_utc_s)
        return outcome

    def held(self, kid: bytes, log: int) -> tuple[int, list[tuple[int, int]]]:
        """(next, ranges): all below next is held, and the ranges [from, to] beyond it, MAX_RANGES at most."""
        next_seq, ranges = self._next.get((kid, log), 1), list[tuple[int, int]]()
        query = "SELECT seq FROM envelope WHERE kid = ? AND log = ? AND seq >= ? ORDER BY seq LIMIT ?"
        for (seq,) in self._db.execute(query, (kid, log, next_seq, MAX_LOOK)):
            if seq == next_seq:
                next_seq += 1
            elif ranges and seq == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], seq)
            elif len(ranges) < MAX_RANGES:
                ranges.append((seq, seq))
            else:
                break
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
            self._uncounted[_FORGOTTEN] += gone
            self._write_counts()
        self._shares.clear()
        leave_no_trace(self._db)
        if gone:
            event("partners' visits forgotten", envelopes=gone)
        return gone

    def status(self) -> dict[str, object]:
        """How many are held, in conflict, forgotten, and refused by reason."""
        counts = Counter(dict(self._db.execute("SELECT name, n FROM count"))) + self._uncounted
        (held,) = self._db.execute("SELECT count(*) FROM envelope WHERE cose IS NOT NULL").fetchone()
        (apart,) = self._db.execute("SELECT count(*) FROM conflict").fetchone()
        forgotten = counts.pop(_FORGOTTEN, 0)
        return {"envelopes": held, "conflicts": apart, "forgotten": forgotten, "refused": dict(counts)}

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
            if not self._share(envelope.kid).takes(len(good.cose), now_utc_s // DAY_S):
                self._uncounted["too much"] += not outcome.too_much
                outcome.too_much = True
                return
            self._db.execute("INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?)", row)
        elif held[0] != leaf:
            told = f"{envelope.kid.hex()}/{envelope.log}/{envelope.seq}: other bytes are held"
            outcome.conflicts.append({"index": good.index, "reason": "conflict", "detail": told})
            self._keep_apart((*name, hashlib.sha256(good.cose).digest(), good.cose, now_utc_s))

    def _keep_apart(self, row: tuple[object, ...]) -> None:
        query = "SELECT count(*), coalesce(sum(length(cose)), 0) FROM conflict WHERE kid = ?"
        apart, size_bytes = self._db.execute(query, row[:1]).fetchone()
        if apart < MAX_CONFLICTS and size_bytes < MAX_CONFLICT_BYTES:
            self._db.execute("INSERT OR IGNORE INTO conflict VALUES (?, ?, ?, ?, ?, ?)", row)

    def _share(self, kid: bytes) -> "_Share":
        if kid not in self._shares:
            query = "SELECT coalesce(sum(length(cose)), 0) FROM envelope WHERE kid = ? AND cose IS NOT NULL"
            self._shares[kid] = _Share(*self._most, *self._db.execute(query, (kid,)).fetchone())
        return self._shares[kid]

    def _write_counts(self) -> None:
        sql = "INSERT INTO count VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
        self._db.executemany(sql, [(name, n) for name, n in self._uncounted.items() if n])
        self._uncounted.clear()

    def _tell(self, reason: str, why: str, now_utc_s: int) -> None:
        if not 0 <= now_utc_s - self._told_s.get(reason, -_TELL_AGAIN_S) < _TELL_AGAIN_S:
            self._told_s[reason] = now_utc_s
            event("partner's visits refused", reason=reason, why=why)


@dataclass
class _Share:
    """What one key may still leave here: bytes in all, envelopes of a day."""

    new_a_day: int
    most_bytes: int
    held_bytes: int
    day: int = 0
    new: int = 0

    def takes(self, size_bytes: int, day: int) -> bool:
        """Whether one more is taken; then it is counted."""
        if day != self.day:
            self.day, self.new = day, 0
        if self.new >= self.new_a_day or self.held_bytes + size_bytes > self.most_bytes:
            return False
        self.new, self.held_bytes = self.new + 1, self.held_bytes + size_bytes
        return True


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
