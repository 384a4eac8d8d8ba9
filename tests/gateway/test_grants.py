"""What leaves under a grant: every byte of a hub's log is decoded, each value traced back to where it was measured.

The checks follow the grant's words, not the code that carries it out.
"""

import asyncio
import datetime
import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balise_gateway.grants.blur import Place
from balise_gateway.grants.grant import LICENCES, Grant
from balise_gateway.grants.record import PAUSED, RESUMED, Event, Record
from balise_gateway.grants.rules import PLACE_CHANNELS, Site, period_ms
from balise_gateway.grants.standings import Standings
from balise_gateway.grants.waiting import TOO_LATE
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.closing import Closer
from balise_gateway.settings import build
from balise_wire import cbor
from balise_wire.channels import channel
from balise_wire.frames import FrameKeys
from balise_wire.items import Anchor, Loss, Manifest, Readings, Source, Unknown, Visit
from balise_wire.log import leaf_hash, root
from gateway.closing_bench import OTHER_KEY, OTHER_NAME, SIGNER, Bench, bench
from gateway.support import EVERYTHING, KEY, NAME, START_UTC_MS, ZONE, AirNode

T0 = START_UTC_MS // 1000
DAY_S = 86_400
LOG = 1
SECRET = "12 rue du Secret"  # what a node may say anywhere it can say text
NAMES = ("pm2_5", "pm10", "temperature", "co2", "laeq", "latitude", "longitude", "altitude")
DAYS = [datetime.date(2018, 12, 9) + datetime.timedelta(days=n) for n in range(-1, 3)]


def grant_of(**words: object) -> Grant:
    told: dict[str, object] = {"channels": ("*",), "resolution_s": 0, "purpose": "research", "licence": "CC-BY-4.0"}
    return Grant(**(told | words))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Truth:
    """Where one value comes from."""

    node: str
    indoor: bool | None  # as it was told at the time, by configuration or manifest
    channel: str
    utc_s: int
    known: bool  # the node knew the time


@dataclass
class Street:
    """Random homes. Every value is a number of its own, so that it can be traced wherever it turns up."""

    truths: dict[int, Truth] = field(default_factory=dict)
    frames: list[bytes] = field(default_factory=list)
    sites: dict[bytes, Site] = field(default_factory=dict)


@st.composite
def streets(draw: st.DrawFn) -> Street:
    street, numbers = Street(), itertools.count(1_000)
    for name, key in ((NAME, KEY), (OTHER_NAME, OTHER_KEY)):
        lat, lon = draw(st.floats(-80, 80)), draw(st.floats(-170, 170))
        place = draw(st.sampled_from([Place(), Place(lat, lon), Place(lat, lon, 7, "35238"), Place(commune="2A004")]))
        site = Site(name, draw(st.sampled_from([True, False, None])), place)
        street.sites[FrameKeys(key).kid] = site
        node = AirNode(key, name)
        for _ in range(draw(st.integers(1, 3))):
            _live(draw, street, node, site, numbers)
            node.reboot()
    draw(st.randoms(use_true_random=False)).shuffle(street.frames)
    return street


def _live(draw: st.DrawFn, street: Street, node: AirNode, site: Site, numbers: Iterator[int]) -> None:
    """One boot of a node: its manifest, rows of many days, and what else it may say."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    told_indoor = draw(st.sampled_from([True, False, None]))
    place: dict[object, object] = {"street": SECRET, "lat": 48_123_456}
    if told_indoor is not None:
        place["indoor"] = told_indoor
    entries = [channel(name).manifest_entry("bme280") | {"note": SECRET, 7: SECRET} for name in names]
    street.frames.append(
        node.frame(Manifest(1, {"node": SECRET, "channels": entries, "place": place, "ssid": SECRET, 1: [SECRET]}))
    )
    said = [value for value in (site.indoor, told_indoor) if value is not None]
    indoor = any(said) if said else None
    known = draw(st.booleans())
    for _ in range(draw(st.integers(1, 4))):
        at_s = T0 + draw(st.integers(-DAY_S, 2 * DAY_S))
        values = [next(numbers) for _ in names]
        for name, value in zip(names, values, strict=True):
            street.truths[value] = Truth(node.name, indoor, name, at_s, known)
        columns: list[list[int | None]] = [[value] for value in values]
        times = [at_s] if known else [at_s - T0 + DAY_S]
        street.frames.append(node.frame(Readings(1, None if known else node.boot, times, columns)))
    street.frames.append(node.frame(Loss(SECRET, draw(st.sampled_from(["rows", "entry", SECRET])), T0, T0, SECRET)))
    street.frames.append(node.frame(Visit({"who": SECRET}), Unknown(11, [SECRET])))
    if draw(st.booleans()):
        street.frames.append(node.frame(Anchor(node.boot, 0, (T0 - DAY_S) * 1000, "gateway", 50)))


PATTERNS = st.sampled_from(["*", "pm*", "pm10", "temperature", "laeq", "l*", "co2"])
GRANTS = st.builds(
    grant_of,
    channels=st.lists(PATTERNS, min_size=1, max_size=3).map(tuple),
    nodes=st.sampled_from([("*",), (NAME,), ("*-02",), ("nobody",)]),
    indoor=st.booleans(),
    first_day=st.none() | st.sampled_from(DAYS[:2]),
    last_day=st.none() | st.sampled_from(DAYS[2:]),
    place=st.sampled_from(["none", "commune", "1km", "300m", "exact"]),
    delay_s=st.sampled_from([0, 0, 600, 90_000]),
    resolution_s=st.sampled_from([0, 0, 60, 3_600, 86_400]),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    street=streets(),
    grant=GRANTS,
    parts=st.integers(1, 4),
    steps_s=st.lists(st.integers(1, 100_000), min_size=4, max_size=4),
    toggles=st.none() | st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_no_byte_outside_the_grant_leaves(
    tmp_path_factory: pytest.TempPathFactory,
    street: Street,
    grant: Grant,
    parts: int,
    steps_s: list[int],
    toggles: list[bool] | None,
) -> None:
    async def scene() -> None:
        b = Bench(tmp_path_factory.mktemp("street"), grant, street.sites)
        b.closer, watch = _closer(b, grant, street), Watch(street, grant)
        for part in range(parts):
            if toggles and toggles[part]:
                watch.toggle(b)
            b.take(*street.frames[part::parts])
            b.close(HOME_LOG)
            watch.arrived(b)
            b.close(LOG)
            watch.look(b)
            b.clock.now_ms += 1_000 * steps_s[part]
            if steps_s[part] % 3 == 0:
                b.crash()
                b.start()
                b.closer = _closer(b, grant, street)
        b.clock.now_ms += round(1_000 * grant.delay_s)
        b.close()
        watch.look(b)
        watch.check_texts(b)
        if not watch.timed:  # and all that is granted does leave
            assert watch.left == {value for value, truth in street.truths.items() if watch.is_granted(truth)}
        _check_home(b, street)
        b.crash()

    asyncio.run(scene())


def _closer(b: Bench, grant: Grant, street: Street) -> Closer:
    hubs = {1: "hub 1", 2: "hub 2"}
    return Closer(
        b.journal, SIGNER, b.clock, Standings(hubs, dict.fromkeys(hubs, grant), street.sites, ZONE, Record(b.folder))
    )


class Watch:
    """Looks at each new envelope of the hub's log with the grant in hand."""

    def __init__(self, street: Street, grant: Grant) -> None:
        self.street, self.grant = street, grant
        self.left: set[int] = set()
        self._arrived_ms: dict[int, int] = {}
        self._manifests: dict[int, tuple[str, list[str]]] = {}
        self._windows: set[tuple[str, str, int]] = set()
        self._seen = 0
        start_ms, end_ms = period_ms(grant, ZONE)
        self._start_ms, self._end_ms = start_ms or 0, end_ms or 1 << 60
        self._pauses: list[list[int]] = []

    @property
    def timed(self) -> bool:
        return self.grant.narrows_time or bool(self._pauses)

    def toggle(self, b: Bench) -> None:
        """The host pauses or resumes."""
        running = bool(self._pauses) and self._pauses[-1][1] == 1 << 60
        if running:
            self._pauses[-1][1] = b.clock.now_ms
        else:
            self._pauses.append([b.clock.now_ms, 1 << 60])
        Record(b.folder).add(Event(b.clock.now_ms, "hub 1", LOG, self.grant.id, RESUMED if running else PAUSED))

    def arrived(self, b: Bench) -> None:
        for value in _home_values(b):
            self._arrived_ms.setdefault(value, b.clock.now_ms)

    def look(self, b: Bench) -> None:
        envelopes = b.log(LOG)
        for envelope in envelopes[self._seen :]:
            for item in envelope.items:
                self._look_at(item, b.clock.now_ms)
        self._seen = len(envelopes)

    def _look_at(self, item: object, now_ms: int) -> None:
        assert isinstance(item, (Source, Manifest, Anchor, Loss, Readings))
        timed = self.timed
        if isinstance(item, Manifest):
            self._manifests[item.number] = self._manifest(item.map)
        elif isinstance(item, Anchor):
            assert not self.grant.narrows_time
            assert not (self.grant.delay_s or self._pauses) or item.boot_ms == 0
        elif isinstance(item, Loss):
            if timed:
                assert item.reason == TOO_LATE
                assert isinstance(item.first, int)
                assert item.first % self.grant.resolution_s == 0
        elif isinstance(item, Readings):
            assert not timed or item.boot is None
            node, names = self._manifests[item.manifest]
            assert set(item.flags) <= set(range(len(names)))
            for row, tick in enumerate(item.times):
                for name, column in zip(names, item.columns, strict=True):
                    self._value(node, name, column[row], tick if item.boot is None else None, now_ms)

    def _value(self, node: str, name: str, value: int | None, utc_s: int | None, now_ms: int) -> None:
        if self.grant.resolution_s:
            self._window(node, name, value, utc_s)
            return
        assert value is not None
        truth = self.street.truths[value]
        assert (truth.node, truth.channel) == (node, name)
        assert self.is_granted(truth)
        assert utc_s is None or utc_s == truth.utc_s
        assert value not in self.left
        assert now_ms - self._arrived_ms[value] >= 1_000 * self.grant.delay_s
        self.left.add(value)

    def _window(self, node: str, name: str, value: int | None, utc_s: int | None) -> None:
        """No finer than the grant, told once, and between the values that it is made of."""
        assert utc_s is not None
        assert utc_s % self.grant.resolution_s == 0
        if value is None:
            return
        assert (node, name, utc_s) not in self._windows
        self._windows.add((node, name, utc_s))
        parts = [
            part
            for part, truth in self.street.truths.items()
            if (truth.node, truth.channel) == (node, name)
            and utc_s < truth.utc_s <= utc_s + self.grant.resolution_s
            and self.is_granted(truth)
        ]
        assert min(parts) <= value <= max(parts)

    def _manifest(self, told: dict[object, object]) -> tuple[str, list[str]]:
        assert set(told) <= {"node", "tick_ms", "trust", "channels", "place"}
        channels = told["channels"]
        assert isinstance(channels, list)
        for entry in channels:
            assert set(entry) <= {"n", "u", "s", "r", "model", "agg"}
            assert ("agg" in entry) == bool(self.grant.resolution_s)
        self._place(str(told["node"]), told.get("place", {}))
        return str(told["node"]), [str(entry["n"]) for entry in channels]

    def _place(self, node: str, told: object) -> None:
        assert isinstance(told, dict)
        allowed = {"none": set[str](), "commune": {"commune"}, "exact": {"lat_udeg", "lon_udeg", "height_m"}}
        cell = {"cell_m", "lat_udeg", "lon_udeg"}
        assert set(told) - {"indoor"} <= allowed.get(self.grant.place, cell)
        place = next(site.place for site in self.street.sites.values() if site.name == node)
        if "cell_m" in told:
            assert place.lat is not None
            assert told["cell_m"] == {"1km": 1_000, "300m": 300}[self.grant.place]
            assert abs(told["lat_udeg"] / 1e6 - place.lat) * 111_320 <= told["cell_m"] / 2 + 1

    def is_granted(self, truth: Truth) -> bool:
        """By the words of the grant."""
        grant = self.grant
        if truth.channel in PLACE_CHANNELS and grant.place != "exact":
            return False
        if not any(fnmatchcase(truth.channel, pattern) for pattern in grant.channels):
            return False
        if not any(fnmatchcase(truth.node, pattern) for pattern in grant.nodes):
            return False
        if truth.indoor is not False and not grant.indoor:
            return False
        utc_ms = truth.utc_s * 1_000
        paused = any(start_ms <= utc_ms < end_ms for start_ms, end_ms in self._pauses)
        return self._start_ms <= utc_ms < self._end_ms and not paused

    def check_texts(self, b: Bench) -> None:
        """Of words and points that are not granted there is no trace in any byte."""
        raw = b"".join(row[5] for row in tables.ENVELOPE.read(b.journal.db, "log = ?", (LOG,)))
        assert SECRET.encode() not in raw
        for site in self.street.sites.values():
            granted = any(self.is_granted(truth) for truth in self.street.truths.values() if truth.node == site.name)
            named = any(fnmatchcase(site.name, pattern) for pattern in self.grant.nodes)
            granted = granted or (named and (self.grant.indoor or site.indoor is False))  # losses have no channel
            assert granted or site.name.encode() not in raw
            if site.place.lat is not None and self.grant.place != "exact":
                assert cbor.encode(round(site.place.lat * 1e6)) not in raw or abs(site.place.lat) < 0.1


def _check_home(b: Bench, street: Street) -> None:
    """The home log keeps everything, whatever the grants say."""
    assert _home_values(b) == set(street.truths)


def _home_values(b: Bench) -> set[int]:
    readings = [item for item in b.items(HOME_LOG) if isinstance(item, Readings)]
    return {value for item in readings for column in item.columns for value in column if value is not None}


def test_without_a_grant_there_is_an_empty_log(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.closer = b.closer_with(None)
        node = AirNode()
        b.take(node.hello(), node.row(T0), node.frame(Loss(NAME, "rows", T0, T0, "late")))
        b.close()
        assert b.log(LOG) == []
        assert len(b.log(HOME_LOG)) == 1
        assert list(tables.ENTRY.read(b.journal.db)) == []  # and nothing is kept for it

    bench(tmp_path, scene)


def test_a_log_says_where_it_comes_from_and_again_when_its_grant_changes(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0))
        b.close()
        b.take(node.row(T0 + 60))
        b.close()
        other = grant_of(indoor=True, channels=("pm10",))
        b.closer = b.closer_with(other)
        b.take(node.row(T0 + 120))
        b.close(HOME_LOG, LOG)
        first, second, third = b.log(LOG)
        told, again = first.items[0], third.items[0]
        assert isinstance(told, Source)
        assert isinstance(again, Source)
        assert not [item for item in second.items if isinstance(item, Source)]
        assert (told.map["digest"], again.map["digest"]) == (EVERYTHING.digest(), other.digest())
        assert (told.map["licence"], told.map["alg"]) == ("CC-BY-4.0", "balise-grant-1")
        home = [row[5] for row in tables.ENVELOPE.read(b.journal.db, "log = ? ORDER BY seq", (HOME_LOG,))]
        assert (told.map["home"], told.map["root"]) == ([1, 1], root([leaf_hash(cose) for cose in home[:1]]))
        assert (again.map["home"], again.map["root"]) == ([3, 3], root([leaf_hash(cose) for cose in home]))

    bench(tmp_path, scene)


def test_a_day_begins_at_the_hosts_midnight_also_when_clocks_change() -> None:
    hour_ms = 3_600_000
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)):
        date = datetime.date.fromisoformat(day)
        start_ms, end_ms = period_ms(grant_of(first_day=date, last_day=date), ZONE)
        assert start_ms is not None
        assert end_ms is not None
        assert end_ms - start_ms == hours * hour_ms


def test_licences_are_spdx_identifiers() -> None:
    assert len(set(LICENCES)) == len(LICENCES)
    assert grant_of(licence="CC BY").problem() is not None
    assert grant_of().problem() is None


def test_the_grant_in_the_readme_is_one() -> None:
    text = (Path(__file__).parents[2] / "gateway" / "README.md").read_text(encoding="utf-8")
    found = [fence for fence in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[hub.grant]" in fence]
    assert found
    for fence in found:
        build(Grant, tomllib.loads(fence)["hub"]["grant"], "hub 1: grant", "README.md")
