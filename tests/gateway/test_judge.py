"""Rows are judged as they come: each once, whatever frame they are in, and never changed."""

import itertools
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.journal import tables
from balise_gateway.nodes.manifests import Columns, witnessed
from balise_gateway.quality import FAIL, MISSING, SUSPECT
from balise_gateway.quality.gap import Rhythm
from balise_gateway.quality.judge import Doubt, Judge, Verdicts, _Memory
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.neighbours import Standing, distance_m, neighbours
from balise_wire import cbor
from balise_wire.channels import channel
from balise_wire.items import Manifest, Readings, unpack_item
from gateway import closing_bench, test_foreign
from gateway.intake_bench import T0, Bench, bench
from gateway.support import ROW, AirNode, played

KID = b"n" * 8
TEMPERATURE = 2  # its column in support.ROW


def columns_of(*names: str) -> Columns:
    entries = [channel(name).manifest_entry("any") for name in names]
    return witnessed(Manifest(1, {"tick_ms": 1_000, "channels": entries}), "urn:dev:ops:1")


def judged(judge: Judge, columns: Columns, rows: list[tuple[int, ...]], start: int = T0) -> tuple[Readings, Verdicts]:
    values: list[list[int | None]] = [list(column) for column in zip(*rows, strict=True)]
    item = Readings(1, None, [start + 60 * row for row in range(len(rows))], values)
    verdicts = Verdicts()
    judge.judge(KID, item, columns, verdicts)
    return item, verdicts


def fresh() -> Judge:
    return Judge(LimitTable(), {}, deque())


def test_a_jump_of_temperature_is_doubted_with_its_reason() -> None:
    judge, columns = fresh(), columns_of("temperature")
    item, verdicts = judged(judge, columns, [(2_000,), (2_299,), (2_600,)])
    assert item.columns == [[2_000, 2_299, 2_600]]
    assert item.flags == {0: [[2, SUSPECT]]}  # 3.01 degrees in a minute
    assert verdicts.counts == {"flag rate_of_change": 1}
    told = Doubt(KID, "temperature", None, (T0 + 120) * 1_000, 2_600, SUSPECT, "rate_of_change")
    assert list(judge.recent) == [told]


def test_a_value_that_failed_is_not_what_the_next_is_compared_with() -> None:
    item, verdicts = judged(fresh(), columns_of("temperature"), [(2_000,), (-14_200,), (2_001,)])
    assert item.flags == {0: [[1, FAIL]]}
    assert verdicts.counts == {"flag gross_range": 1}


def test_what_the_sensor_says_of_itself_is_its_own_reason() -> None:
    item = Readings(1, None, [T0], [[200]], {0: [[0, SUSPECT]]})
    verdicts = Verdicts()
    fresh().judge(KID, item, columns_of("pm2_5"), verdicts)
    assert (item.flags, verdicts.counts) == ({0: [[0, SUSPECT]]}, {"flag sensor": 1})


def test_a_spike_is_told_late() -> None:
    judge, columns = fresh(), columns_of("pm2_5")
    judged(judge, columns, [(100,), (110,)])
    _, verdicts = judged(judge, columns, [(2_500,)], T0 + 120)  # 239 ug/m3 in a minute: below the rate's limit
    assert verdicts.late == []
    item, verdicts = judged(judge, columns, [(105,)], T0 + 180)
    assert item.flags == {}
    assert verdicts.late == [Doubt(KID, "pm2_5", None, (T0 + 120) * 1_000, 2_500, SUSPECT, "spike")]


def test_rows_that_are_handed_in_again_are_judged_as_the_first_time() -> None:
    judge, columns = fresh(), columns_of("temperature", "pm2_5")
    judged(judge, columns, [(2_000, 100)])
    judge.keep()
    rows: list[tuple[int, ...]] = [(2_400, 100), (2_400, 9_000), (2_400, 100)]
    first = judged(judge, columns, rows, T0 + 60)
    judge.rewind()
    assert judged(judge, columns, rows, T0 + 60) == first
    assert first[0].flags == {0: [[0, SUSPECT]], 1: [[1, SUSPECT], [2, SUSPECT]]}


def test_another_clock_is_not_compared_with_the_one_before() -> None:
    judge, columns = fresh(), columns_of("temperature")
    judged(judge, columns, [(2_000,)])
    item = Readings(1, 4, [5], [[4_000]])
    judge.judge(KID, item, columns, Verdicts())
    assert item.flags == {}


@given(
    rows=st.lists(st.tuples(st.integers(-300, 4_000), st.integers(0, 4_000)), min_size=2, max_size=25),
    cuts=st.sets(st.integers(1, 24)),
)
def test_frames_make_no_difference(rows: list[tuple[int, ...]], cuts: set[int]) -> None:
    """Late flags included, rows in any number of frames get the flags that they get in one."""
    columns = columns_of("temperature", "pm2_5")
    whole, _ = judged(fresh(), columns, rows)
    told = {(number, row): flag for number, pairs in whole.flags.items() for row, flag in pairs}
    judge, found = fresh(), dict[tuple[int, int], int]()
    edges = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for first, last in itertools.pairwise(edges):
        item, verdicts = judged(judge, columns, rows[first:last], T0 + 60 * first)
        found |= {(number, first + row): flag for number, pairs in item.flags.items() for row, flag in pairs}
        for doubt in verdicts.late:
            at = columns.names.index(doubt.channel), (doubt.at_ms // 1_000 - T0) // 60
            found[at] = max(found.get(at, 0), doubt.flag)
    assert found == told


@pytest.mark.parametrize(("others", "told"), [([2_000, 2_010, 1_990], True), ([2_000, 2_010], False)])
def test_neighbours_of_one_site(others: list[int], told: bool) -> None:
    kids = [bytes([number]) * 8 for number in range(4)]
    judge = Judge(LimitTable(), {kid: [other for other in kids if other != kid] for kid in kids}, deque())
    columns, verdicts = columns_of("temperature"), Verdicts()
    for number, value in enumerate(others):
        judge.judge(kids[number], Readings(1, None, [T0 + number], [[value]]), columns, verdicts)
    item = Readings(1, None, [T0 + 30], [[3_100]])
    judge.judge(kids[3], item, columns, verdicts)
    assert bool(item.flags) == told
    assert verdicts.counts == ({"flag neighbour": 1} if told else {})
    old = Readings(1, None, [T0 + 3_600], [[3_100]])  # an hour later nobody else has measured
    judge.judge(kids[3], old, columns, verdicts)
    assert old.flags == {}


def test_a_pair_of_dust_sensors() -> None:
    judge = Judge(LimitTable(), {b"a": [b"b"], b"b": [b"a"]}, deque())
    columns, verdicts = columns_of("pm2_5"), Verdicts()
    judge.judge(b"a", Readings(1, None, [T0], [[100]]), columns, verdicts)
    item = Readings(1, None, [T0 + 5], [[300]])
    judge.judge(b"b", item, columns, verdicts)
    assert (item.flags, verdicts.counts) == ({0: [[0, SUSPECT]]}, {"flag pair": 1})


def test_missing_values_and_rows_are_counted() -> None:
    judge, columns, verdicts = fresh(), columns_of("temperature", "pm2_5"), Verdicts()
    times = [T0 + 60 * row + row % 2 for row in range(8)]
    values: list[list[int | None]] = [[2_000, None, *[2_000] * 6], [100, None, None, *[100] * 5]]
    judge.judge(KID, Readings(1, None, times, values), columns, verdicts)
    assert verdicts.counts == {"flag missing": 3}
    judge.judge(KID, Readings(1, None, [times[-1] + 600], [[2_000], [100]]), columns, verdicts)
    assert verdicts.counts == {"flag missing": 3, "flag gap": 1}
    assert judge.recent[-1] == Doubt(KID, "", None, times[-1] * 1_000, 9, MISSING, "gap")


def test_a_device_that_speaks_when_something_changes_has_no_gaps() -> None:
    rhythm = Rhythm(None)
    assert list(rhythm.gaps([0, 5_000, 90_000, 91_000, 400_000, 401_000, 403_000, 2_000_000])) == []
    steady = Rhythm(None)
    assert list(steady.gaps([60_000 * row for row in range(7)])) == []
    assert list(steady.gaps([60_000 * 5, 60_000 * 8])) == []  # one row may be lost, and a repeat is no row
    assert list(Rhythm(None).gaps([*(60_000 * row for row in range(7)), 60_000 * 9])) == [(360_000, 2)]


def test_who_stands_beside_whom() -> None:
    out = Standing(None, False, 48.8566, 2.3522)
    places = {
        b"a": out,
        b"b": replace(out, lat=48.8566 + 0.00044),  # 49 m north
        b"c": replace(out, lon=2.3522 + 0.00070),  # 51 m east
        b"d": replace(out, indoor=True),
        b"e": replace(out, indoor=None),
        b"f": Standing("school", True),
        b"g": Standing("school"),
        b"h": Standing("other"),
    }
    assert neighbours(places, 50.0) == {b"a": (b"b",), b"b": (b"a",), b"f": (b"g",), b"g": (b"f",)}
    assert neighbours(places, 0.0) == {b"f": (b"g",), b"g": (b"f",)}
    assert distance_m(0, 179.9999, 0, -179.9999) == pytest.approx(22.2, abs=0.1)


def test_rows_of_foreign_devices_are_judged_too(tmp_path: Path) -> None:
    async def scene() -> None:
        b = test_foreign.Bench(tmp_path)
        b.take(*(test_foreign.body(test_foreign.T0 + 60_000 * row, 20 + 4 * (row == 2)) for row in range(3)))
        assert b.intake.commit()
        b.take(test_foreign.body(test_foreign.T0 + 180_000, 20))
        (item,) = b.readings()
        assert item.columns[0] == [2_000, 2_000, 2_400, 2_000]
        assert item.flags == {0: [[2, SUSPECT], [3, SUSPECT]]}  # up, and down again
        assert tables.count(b.journal.db, "flag rate_of_change") == 2
        b.crash()

    played(scene)


def test_a_stuck_sensor_stays_stuck_over_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        b = closing_bench.Bench(tmp_path)
        node, rows = AirNode(), [T0 + 600 * row for row in range(1, 6 * 23)]
        b.take(node.hello(), *(node.row(at, [*ROW[:4], ROW[4] + at % 7]) for at in rows))
        b.close(0)
        b.crash()
        b.start()  # with an empty memory
        b.take(*(node.row(rows[-1] + 600 * row, [*ROW[:4], ROW[4] + row]) for row in range(1, 19)))
        b.close(0)
        told = [item for item in b.items(0) if isinstance(item, Readings)][-1]
        humidity = [(told.times[row], flag) for row, flag in told.flags[3]]
        assert humidity[0] == (T0 + 3_600 + 24 * 3_600, SUSPECT)  # from the end of the first hour that was flat
        assert 4 not in told.flags  # pressure has moved
        b.crash()

    played(scene)


def test_a_jump_over_a_restart_is_seen(tmp_path: Path) -> None:
    async def scene() -> None:
        b = closing_bench.Bench(tmp_path)
        node = AirNode()
        b.take(node.hello(), node.row(T0))
        b.close(0)
        b.crash()
        b.start()
        b.take(node.row(T0 + 60, [*ROW[:2], ROW[2] + 500, *ROW[3:]]))
        b.close(0)
        told = [item for item in b.items(0) if isinstance(item, Readings)][-1]
        assert told.flags == {TEMPERATURE: [[0, SUSPECT]]}
        b.crash()

    played(scene)


def test_a_late_flag_reaches_the_entry_that_waits(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        row = list(ROW)
        row[TEMPERATURE] += 1_000
        b.take(b.node.hello(), b.node.row(T0), b.node.row(T0 + 600, row))
        assert b.intake.commit()
        b.take(b.node.row(T0 + 1_200))
        assert b.intake.commit()
        with b.journal.reading() as db:
            entries = list(tables.ENTRY.read(db, "kind = 0 ORDER BY entry"))
            assert tables.count(db, "flag spike") == 1
        items: list[Any] = [unpack_item(cbor.decode(entry[-1])) for entry in entries]
        assert [item.flags for item in items] == [{}, {TEMPERATURE: [[0, SUSPECT]]}, {}]
        assert items[1].columns[TEMPERATURE] == [row[TEMPERATURE]]

    bench(tmp_path, scene)


@given(
    steps=st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 0, 1, -1, 4, 600])), min_size=1, max_size=40),
    cut=st.integers(1, 39),
)
def test_many_values_at_once_are_remembered_as_one_by_one(steps: list[tuple[int, int]], cut: int) -> None:
    """With the quick look or without, memory and rhythm are the same, and so is whether a closer look is due."""
    times, values, at, value = list[int](), list[int | None](), 0, 1_000
    for step, move in steps:
        at, value = at + 30_000 * step, value + move
        times.append(at)
        values.append(value)
    quick, slow = _Memory(None), _Memory(None)
    even, uneven = Rhythm(None), Rhythm(None)
    cut = min(cut, len(times))
    for first, last in ((0, cut), (cut, len(times)))[: 1 + (cut < len(times))]:
        looked = [slow.take([times[row]], [values[row]], 500, 200_000) for row in range(first, last)]
        assert quick.take(times[first:last], values[first:last], 500, 200_000) == any(looked)
        assert quick == slow
        told = [gap for row in range(first, last) for gap in uneven.gaps([times[row]])]
        assert (list(even.gaps(times[first:last])), even) == (told, uneven)
