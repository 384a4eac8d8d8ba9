"""What leaves under a grant: every byte of a hub's log is decoded, each value traced back to where it was measured.

The checks follow the grant's words, not the code that carries it out.
"""

import asyncio
import datetime
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balise_gateway.grants.grant import LICENCES, Grant
from balise_gateway.grants.rules import PLACE_CHANNELS, Site, period_ms
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_wire.channels import channel
from balise_wire.envelope import Envelope
from balise_wire.frames import FrameKeys
from balise_wire.items import Anchor, Loss, Manifest, Readings, Source, Unknown, Visit
from balise_wire.log import leaf_hash, root
from gateway.closing_bench import OTHER_KEY, OTHER_NAME, Bench, bench
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
    utc_s: int | None


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
        site = Site(name, draw(st.sampled_from([True, False, None])))
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
            street.truths[value] = Truth(node.name, indoor, name, at_s if known else None)
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
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(street=streets(), grant=GRANTS, parts=st.integers(1, 4))
def test_no_byte_outside_the_grant_leaves(
    tmp_path_factory: pytest.TempPathFactory, street: Street, grant: Grant, parts: int
) -> None:
    async def scene() -> None:
        b = Bench(tmp_path_factory.mktemp("street"), grant, street.sites)
        for part in range(parts):
            b.take(*street.frames[part::parts])
            b.close()
        raw = b"".join(row[5] for row in tables.ENVELOPE.read(b.journal.db, "log = ?", (LOG,)))
        assert SECRET.encode() not in raw
        for name in {truth.node for truth in street.truths.values()}:
            granted = any(_is_granted(truth, grant) for truth in street.truths.values() if truth.node == name)
            assert granted or _loss_is_granted(name, street, grant) or name.encode() not in raw
        found = list(_values(b.log(LOG), grant))
        for node, name, value, utc_s in found:
            truth = street.truths[value]
            assert (truth.node, truth.channel) == (node, name)
            assert _is_granted(truth, grant)
            assert utc_s is None or truth.utc_s in (utc_s, None)
        assert len({value for _, _, value, _ in found}) == len(found)
        if not (grant.first_day or grant.last_day):  # and all that is granted does leave
            assert {value for _, _, value, _ in found} == {v for v, t in street.truths.items() if _is_granted(t, grant)}
        _check_home(b, street)
        b.crash()

    asyncio.run(scene())


def _is_granted(truth: Truth, grant: Grant) -> bool:
    """By the words of the grant."""
    if truth.channel in PLACE_CHANNELS or not any(fnmatchcase(truth.channel, p) for p in grant.channels):
        return False
    if not any(fnmatchcase(truth.node, pattern) for pattern in grant.nodes):
        return False
    if truth.indoor is not False and not grant.indoor:
        return False
    if truth.utc_s is None:
        return True  # _values looks at the time that the log gives
    start_ms, end_ms = period_ms(grant, ZONE)
    return (start_ms or 0) <= truth.utc_s * 1000 < (end_ms or 1 << 60)


def _loss_is_granted(name: str, street: Street, grant: Grant) -> bool:
    site = next(site for site in street.sites.values() if site.name == name)
    named = any(fnmatchcase(name, pattern) for pattern in grant.nodes)
    return named and (grant.indoor or site.indoor is False) and not (grant.first_day or grant.last_day)


def _values(envelopes: list[Envelope], grant: Grant) -> Iterator[tuple[str, str, int, int | None]]:
    """(node, channel, value, UTC second or None) of all that left; what else left is checked on the way."""
    manifests: dict[int, tuple[str, list[str]]] = {}
    for envelope in envelopes:
        for item in envelope.items:
            assert isinstance(item, (Source, Manifest, Anchor, Loss, Readings))
            if isinstance(item, Manifest):
                manifests[item.number] = _checked_manifest(item.map)
            elif isinstance(item, Anchor):
                assert grant.first_day is grant.last_day is None
            elif isinstance(item, Readings):
                node, names = manifests[item.manifest]
                yield from _rows(node, names, item, grant)


def _checked_manifest(told: dict[object, object]) -> tuple[str, list[str]]:
    assert set(told) <= {"node", "tick_ms", "trust", "channels"}
    channels = told["channels"]
    assert isinstance(channels, list)
    for entry in channels:
        assert set(entry) <= {"n", "u", "s", "r", "model"}
    return str(told["node"]), [str(entry["n"]) for entry in channels]


def _rows(node: str, names: list[str], item: Readings, grant: Grant) -> Iterator[tuple[str, str, int, int | None]]:
    start_ms, end_ms = period_ms(grant, ZONE)
    assert item.boot is None or (start_ms is None and end_ms is None)
    assert set(item.flags) <= set(range(len(names)))
    for row, ticks in enumerate(item.times):
        if item.boot is None:
            assert (start_ms or 0) <= ticks * 1000 < (end_ms or 1 << 60)
        for name, column in zip(names, item.columns, strict=True):
            value = column[row]
            assert value is not None
            yield node, name, value, ticks if item.boot is None else None


def _check_home(b: Bench, street: Street) -> None:
    """The home log keeps everything, whatever the grants say."""
    kept = {
        value for item in b.items(HOME_LOG) if isinstance(item, Readings) for column in item.columns for value in column
    }
    assert kept == set(street.truths)


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
