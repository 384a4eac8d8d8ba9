"""What may leave under a grant: pure functions from a home log's items to a recipient's.

Promises that whatever is not known to be granted stays: a channel or node that no pattern names, a stream that is not
said to be outdoors, a key of a manifest that is not one of ours, a text that a node made up, a row whose time is not
known to lie in the grant's days, a kind of item that has no rule here. Leaves times, numbers and bytes to `closing.py`.
"""

import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol
from zoneinfo import ZoneInfo

from balise_gateway.grants import blur
from balise_gateway.grants.blur import Place
from balise_gateway.grants.grant import Grant
from balise_gateway.nodes.manifests import ARRIVAL, Columns, columns_of
from balise_gateway.quality import aggregates
from balise_wire import cbor
from balise_wire.items import Anchor, Item, Loss, Visit, VisitMapping

PLACE_CHANNELS = ("latitude", "longitude", "altitude")  # a place in the form of readings
_MANIFEST_KEYS = ("node", "tick_ms", "trust")
_CHANNEL_KEYS = ("n", "u", "s", "r", "model", "cal", "corr", "agg")
_MS_PER_S = 1_000
ENTRY = "entry"  # the gateway's own losses; entries are counted over all nodes, so their numbers stay
_LOSSES = ("rows", "frame", "frames")  # what nodes lose
_REASONS = (  # in the words of our firmware and of the gateway; any other could say anything
    "store full",
    "late",
    "damaged in flash",
    "columns do not fit their manifest",
    "its manifest stood on a damaged page of the journal",
)
_SOMETHING, _WITHHELD = "something", "not told under this grant"


@dataclass(frozen=True)
class Site:
    """What the configuration says of a node: its name, whether it is indoors (None: it does not say), and where."""

    name: str
    indoor: bool | None = None
    place: Place = field(default_factory=Place)


@dataclass(frozen=True)
class Seen:
    """A manifest as a log shows it: its columns, and which of the home log's columns they are (None: all)."""

    columns: Columns
    kept: tuple[int, ...] | None


class View(Protocol):
    """How a log looks at what the home log holds."""

    @property
    def grant(self) -> Grant | None:
        """What is told to the recipient; None: this log is nobody's, or nothing is in it."""
        ...

    @property
    def erases(self) -> int:
        """The number of the last event after which less may leave than before; what was not sent then is erased."""
        ...

    @property
    def timed(self) -> bool:
        """Are rows looked at one by one? Then those without a known time do not leave."""
        ...

    def manifest(self, kid: bytes, columns: Columns) -> Seen | None:
        """How this log shows the manifest of a node; None: nothing of it."""
        ...

    def allows(self, utc_ms: int) -> bool:
        """May a row of this time leave? Only asked when `timed`."""
        ...

    def other(self, kid: bytes, item: Item) -> Item | None:
        """Any item but readings, manifests and anchors, as this log shows it; None: not at all.

        `kid` is the node that sent it, empty for what the gateway itself says to this log.
        """
        ...


class Home:
    """The home log: everything, and nowhere to leave to. It knows each node's exact place."""

    grant, erases, timed = None, 0, False

    def __init__(self, sites: Mapping[bytes, Site] | None = None) -> None:
        self._sites = sites or {}
        self.manifest = functools.lru_cache(maxsize=4_096)(self._manifest)

    def _manifest(self, kid: bytes, columns: Columns) -> Seen | None:
        site, told = self._sites.get(kid), cbor.decode(columns.packed)
        place = {} if site is None else blur.all_told(site.place, site.indoor)
        if not place or not isinstance(told, dict):
            return Seen(columns, None)
        before = told.get("place")
        return Seen(
            columns_of(cbor.encode({**told, "place": {**(before if isinstance(before, dict) else {}), **place}})), None
        )

    def allows(self, utc_ms: int) -> bool:
        return True

    def other(self, kid: bytes, item: Item) -> Item | None:
        return item


class Nothing:
    """A hub without a grant."""

    grant, erases, timed = None, 0, False

    def manifest(self, kid: bytes, columns: Columns) -> Seen | None:
        return None

    def allows(self, utc_ms: int) -> bool:
        return False

    def other(self, kid: bytes, item: Item) -> Item | None:
        return None


class Withdrawn(Nothing):
    """A hub whose grant was withdrawn: also what was signed for it stays."""

    def __init__(self, erases: int) -> None:
        self.erases = erases


class Granted:
    """One grant, and the nodes' sites by key id. Days are those of `zone`; `pauses` are (start, end) in UTC ms."""

    def __init__(
        self,
        grant: Grant,
        sites: Mapping[bytes, Site],
        zone: ZoneInfo,
        pauses: Sequence[tuple[int, int | None]] = (),
        erases: int = 0,
    ) -> None:
        self.grant, self._sites, self._pauses = grant, sites, pauses
        self.erases = erases
        self._start_ms, self._end_ms = period_ms(grant, zone)
        self.timed = grant.narrows_time or bool(pauses)
        self.manifest = functools.lru_cache(maxsize=4_096)(self._manifest)

    def _manifest(self, kid: bytes, columns: Columns) -> Seen | None:
        told = cbor.decode(columns.packed)
        if not isinstance(told, dict):
            return None
        indoor = self._indoor(kid, told.get("place"))
        if not self._grants_node(str(told.get("node")), indoor):
            return None
        kept = tuple(number for number, name in enumerate(columns.names) if self._grants_channel(name))
        if not kept:
            return None
        narrowed = narrowed_manifest(told, kept, self.grant.resolution_s)
        site = self._sites.get(kid)
        place = blur.told(Place() if site is None else site.place, self.grant.place, indoor)
        packed = cbor.encode({**narrowed, "place": place} if place else narrowed)
        whole = packed == columns.packed
        return Seen(columns if whole else columns_of(packed), None if len(kept) == len(columns.names) else kept)

    def allows(self, utc_ms: int) -> bool:
        for start_ms, end_ms in self._pauses:
            if utc_ms >= start_ms and (end_ms is None or utc_ms < end_ms):
                return False
        after = self._start_ms is None or utc_ms >= self._start_ms
        return after and (self._end_ms is None or utc_ms < self._end_ms)

    def other(self, kid: bytes, item: Item) -> Item | None:
        """Losses, without the words and numbers that a node chose; and what this gateway says of badge visits."""
        if not kid and not isinstance(item, Loss):
            return item if self._grants_own(item) else None
        if not isinstance(item, Loss):
            return None
        if not kid:
            return Loss(item.node, item.what, 0, 0, item.reason) if item.what == ENTRY else item
        site = self._sites.get(kid)
        if self.timed or site is None or not self._grants_node(site.name, site.indoor):
            return None
        reason = item.reason if item.reason in _REASONS else _WITHHELD
        if item.what not in _LOSSES:
            return Loss(site.name, ENTRY if item.what == ENTRY else _SOMETHING, 0, 0, reason)
        return Loss(site.name, item.what, item.first, item.last, reason)

    def _grants_own(self, item: Item) -> bool:
        """Visits by their home and, where days or pauses count, by their time; anchors of the clock they need."""
        if isinstance(item, Anchor):
            return bool(self.grant.visits)
        if not isinstance(item, (Visit, VisitMapping)) or not _matches(str(item.map.get("home")), self.grant.visits):
            return False
        utc_s = item.map.get("t")
        if isinstance(item, VisitMapping) or not self.timed:
            return True
        return isinstance(utc_s, int) and self.allows(utc_s * _MS_PER_S)

    def _indoor(self, kid: bytes, place: object) -> bool | None:
        """Whether a node is indoors: if either the configuration or its manifest says so; None if neither says."""
        site = self._sites.get(kid)
        said = [site.indoor] if site is not None and site.indoor is not None else []
        if isinstance(place, dict) and "indoor" in place:
            said.append(place["indoor"] is not False)
        return any(said) if said else None

    def _grants_node(self, name: str, indoor: bool | None) -> bool:
        return _matches(name, self.grant.nodes) and (self.grant.indoor or indoor is False)

    def _grants_channel(self, name: str) -> bool:
        if name.partition(".")[0] in PLACE_CHANNELS and self.grant.place != "exact":
            return False
        return _matches(name, self.grant.channels)


def narrowed_manifest(told: Mapping[object, object], kept: Sequence[int], window_s: int) -> dict[object, object]:
    """The keys and channels of a manifest that may leave; of rows that are windows, when `window_s` is not 0."""
    narrowed: dict[object, object] = {key: told[key] for key in _MANIFEST_KEYS if key in told}
    if told.get("time") == ARRIVAL:
        narrowed["time"] = ARRIVAL
    channels = told.get("channels")
    found = [entry for entry in channels if isinstance(entry, dict)] if isinstance(channels, list) else []
    channels = [_narrowed_channel(found[number]) for number in kept]
    if window_s:
        return narrowed | {"tick_ms": 1_000, "channels": aggregates.coarse_channels(channels, window_s)}
    return narrowed | {"channels": channels}


def _narrowed_channel(entry: Mapping[object, object]) -> dict[object, object]:
    return {key: entry[key] for key in _CHANNEL_KEYS if key in entry}


def period_ms(grant: Grant, zone: ZoneInfo) -> tuple[int | None, int | None]:
    """The grant's days as UTC: its first moment, and the first moment after it. A day has 23 to 25 hours."""
    after = grant.last_day + datetime.timedelta(days=1) if grant.last_day else None
    return _midnight_ms(grant.first_day, zone), _midnight_ms(after, zone)


def _midnight_ms(day: datetime.date | None, zone: ZoneInfo) -> int | None:
    if day is None:
        return None
    return round(datetime.datetime.combine(day, datetime.time(), tzinfo=zone).timestamp() * 1000)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
