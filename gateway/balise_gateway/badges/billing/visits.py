"""Visits as they come, in files of signed envelopes or of JSON lines, and as they count.

Promises that order, repetition and the cut into files change nothing; that what is refused has a reason and is
counted; and that a visit without a time is told and never guessed. Leaves figures to `sessions.py`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from balise_gateway.badges.billing.days import LAST_UTC_S
from balise_gateway.badges.billing.mappings import Mappings
from balise_gateway.errors import PaperError
from balise_wire import cbor, cose
from balise_wire.envelope import Envelope, split_sequence, verify_envelope
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Visit, VisitMapping
from balise_wire.places import Table
from balise_wire.visits import NOBODY, MappingRecord, VisitRecord, mapping_of, visit_of

_DRIFT = 10_000  # a free-running clock may be off by 100 ppm (wire format section 3.2)
_MS = 1000
_COSE_SIGN1 = 0xD2  # the first byte of an envelope: tag 18
Log = tuple[bytes, int]  # kid, log


@dataclass(frozen=True)
class Tap:
    """One visit that counts: its pseudonym, grade and time as far as all items together say them."""

    host: str
    home: str
    who: bytes
    t: int
    u: int
    grade: int
    tap: int
    item: bytes = field(repr=False)
    verified: bool
    also: frozenset[bytes] = field(default=frozenset(), repr=False)  # mappings and anchors that made it so
    client: str = ""  # what the home wants to find again in bills


@dataclass(frozen=True)
class Undated:
    """A visit of which nobody knows when it was."""

    host: str
    home: str
    who: bytes
    tap: int
    item: bytes = field(repr=False)


@dataclass(frozen=True)
class Trust:
    """Whose signatures count. `hosts`: by key id, the places whose visits that key may sign; all where it is none."""

    keys: Mapping[bytes, bytes] = field(default_factory=dict)
    hosts: Mapping[bytes, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Iterable[bytes], table: Table | None = None) -> "Trust":
        """Keys that you vouch for yourself, and those of the table of places; where both name one, the table holds."""
        known = {cose.kid_of(key): key for key in keys}
        if table is None:
            return cls(known)
        known |= table.gateway_keys()
        hosts = {kid: frozenset(table.hosts_of(kid)) for kid in table.gateway_keys()}
        return cls(known, hosts)

    def may_sign(self, kid: bytes, host: str) -> bool:
        """Whether this key may say that somebody was at this host."""
        return kid not in self.hosts or host in self.hosts[kid]


@dataclass
class _Kept:
    record: VisitRecord
    verified: bool
    logs: set[Log]


@dataclass
class Inputs:
    """What was found in all files so far. `refused`: (reason, digest of what was refused), so that it counts once."""

    trust: Trust = field(default_factory=Trust)
    refused: set[tuple[str, bytes]] = field(default_factory=set)
    repeated: int = 0
    conflicts: set[tuple[str, str, bytes]] = field(default_factory=set)  # host, home, pseudonym: after taps()
    _visits: dict[str, dict[bytes, _Kept]] = field(default_factory=dict)  # by host
    _mappings: dict[bytes, MappingRecord] = field(default_factory=dict)
    _anchors: dict[tuple[bytes, int, int], dict[bytes, Anchor]] = field(default_factory=dict)
    _names: dict[tuple[bytes, int, int], set[bytes]] = field(default_factory=dict)

    def add_file(self, path: Path) -> None:
        """All visits of one file, of either kind. Raises PaperError when it is none of them."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PaperError("visits", f"{path}: cannot be read ({error.strerror})") from error
        if data[:1] == bytes([_COSE_SIGN1]):
            self.add_sequence(data)
        else:
            self.add_lines(data, str(path))

    def add_sequence(self, data: bytes) -> None:
        """Envelopes, one after the other. One that is refused does not hide the next."""
        try:
            for envelope in split_sequence(data):
                self.add_envelope(envelope)
        except WireError as error:
            self._refuse(error.reason, data)

    def add_envelope(self, data: bytes) -> None:
        """The visits, mappings and anchors of one envelope."""
        try:
            envelope = verify_envelope(data, self.trust.keys)
        except WireError as error:
            self._refuse(error.reason, data)
            return
        self._names.setdefault((envelope.kid, envelope.log, envelope.seq), set()).add(hashlib.sha256(data).digest())
        for item in envelope.items:
            if isinstance(item, Anchor):
                of_boot = self._anchors.setdefault((envelope.kid, envelope.log, item.boot), {})
                of_boot[cbor.encode(item.pack())] = item
            elif isinstance(item, (Visit, VisitMapping)):
                self._add_item(item, envelope)

    def add_lines(self, data: bytes, name: str) -> None:
        """JSON lines, which nobody has signed. Raises PaperError with file and line."""
        for number, line in enumerate(data.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                self._add_line(line)
            except (ValueError, RecursionError) as error:  # what the json module raises for hostile text
                raise PaperError("visits", f"{name}: line {number}: not a JSON object in UTF-8 ({error})") from error
            except WireError as error:
                raise PaperError("visits", f"{name}: line {number}: {error.detail}") from error

    def add_record(self, record: VisitRecord | MappingRecord, log: Log | None = None) -> None:
        """One record; `log` is the verified one that it comes from, None for one that nobody has signed."""
        item = cbor.encode(record.item().pack())
        if isinstance(record, MappingRecord):
            self._mappings[item] = record
            return
        if isinstance(record.t, int) and record.t >= LAST_UTC_S:
            raise WireError("malformed", f"t of a visit is {record.t}: seconds since 1970, not milliseconds")
        of_host = self._visits.setdefault(record.host, {})
        self.repeated += item in of_host
        kept = of_host.setdefault(item, _Kept(record, False, set()))
        kept.verified |= log is not None
        kept.logs |= {log} if log else set()

    def hosts(self) -> list[str]:
        """The places of which there are visits."""
        return sorted(self._visits)

    def taps(self, host: str | None = None) -> tuple[list[Tap], list[Undated]]:
        """All visits with their times, and those without; or one host's. In an order that no input order changes.

        No visit of one host changes what counts at another: the whole is its hosts one after the other.
        """
        hosts = self.hosts() if host is None else [host]
        mappings = Mappings((record, item) for item, record in self._mappings.items() if record.host in hosts)
        taps: list[Tap] = []
        undated: list[Undated] = []
        for item, kept in (pair for each in hosts for pair in sorted(self._visits.get(each, {}).items())):
            record, meant = kept.record, mappings.meant(kept.record)
            if meant.who == NOBODY != record.who:  # entered by mistake, says its host
                continue
            dated = self._dated(kept)
            if dated is None:
                undated.append(Undated(record.host, record.home, meant.who, record.tap, item))
                continue
            t, u, anchor = dated
            of_tap = record.host, record.home, meant.who, t, u, meant.grade, record.tap, item, kept.verified
            taps.append(Tap(*of_tap, meant.by | anchor, record.client))
        self.conflicts = {each for each in self.conflicts if each[0] not in hosts} | mappings.conflicts
        return taps, undated

    def refused_by_reason(self) -> dict[str, int]:
        """How many envelopes and items were refused, and why."""
        return dict(sorted(Counter(reason for reason, _ in self.refused).items()))

    def double_names(self) -> int:
        """Names that two different envelopes have: one of them is false (wire format section 2)."""
        return sum(len(digests) > 1 for digests in self._names.values())

    def _add_item(self, item: Visit | VisitMapping, envelope: Envelope) -> None:
        try:
            record = visit_of(item.map) if isinstance(item, Visit) else mapping_of(item.map)
            if not self.trust.may_sign(envelope.kid, record.host):
                self._refuse("host of another key", cbor.encode([envelope.kid, item.pack()]))
                return
            self.add_record(record, (envelope.kid, envelope.log))
        except WireError as error:
            self._refuse(error.reason, cbor.encode(item.pack()))

    def _add_line(self, line: bytes) -> None:
        told = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_once)
        if not isinstance(told, dict):
            raise WireError("malformed", "not an object in { }")
        read = mapping_of if "was" in told else visit_of
        names = ("who", "was") if "was" in told else ("who",)
        self.add_record(read({**told, **{name: _hex(told[name], name) for name in names if name in told}}))

    def _refuse(self, reason: str, data: bytes) -> None:
        self.refused.add((reason, hashlib.sha256(data).digest()))

    def _dated(self, kept: _Kept) -> tuple[int, int, frozenset[bytes]] | None:
        """(UTC in whole seconds, how far it may be off, the anchor that says so)."""
        record = kept.record
        if isinstance(record.t, int):
            return record.t, record.u, frozenset()
        boot, ticks_s = record.t
        found: dict[bytes, Anchor] = {}
        for kid, log in kept.logs:
            found |= self._anchors.get((kid, log, boot), {})
        best: tuple[int, int, int, bytes] | None = None
        for item, anchor in found.items():
            away_ms = ticks_s * _MS - anchor.boot_ms
            doubt_ms = anchor.uncertainty_ms + abs(away_ms) // _DRIFT
            here = doubt_ms, -anchor.boot_ms, -(anchor.utc_ms + away_ms), item  # of two as good, the later one
            best = here if best is None else min(best, here)
        if best is None or not 0 <= -best[2] // _MS < LAST_UTC_S:
            return None
        doubt_s = -(-best[0] // _MS)
        return -best[2] // _MS, max(record.u, doubt_s), frozenset({best[3]})


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise WireError("malformed", "a key stands there twice")
    return told


def _hex(value: object, name: str) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError as error:
        raise WireError("malformed", f"{name} must be 32 hex digits") from error
