"""Windows, delay and days of a grant, step by step; and where cells of a place lie."""

import datetime
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.grants import blur
from balise_gateway.grants.blur import Place
from balise_gateway.grants.waiting import TOO_LATE
from balise_gateway.journal import tables
from balise_gateway.journal.tables import HOME_LOG
from balise_wire.items import Anchor, Loss, Manifest, Readings
from gateway.closing_bench import Bench, bench
from gateway.support import START_UTC_MS, AirNode
from gateway.test_grants import grant_of

T0 = START_UTC_MS // 1000  # 1:00 in Paris, a whole multiple of 600 s
LOG = 1
TEN_MINUTES = grant_of(indoor=True, channels=("pm2_5",), resolution_s=600)


def with_grant(b: Bench, **words: object) -> None:
    b.grant = grant_of(indoor=True, **words)
    b.closer = b.closer_with(b.grant)


def rows_of(b: Bench) -> list[tuple[int, int | None]]:
    """(tick, value of the first column) of the hub's log."""
    readings = [item for item in b.items(LOG) if isinstance(item, Readings)]
    return [row for item in readings for row in zip(item.times, item.columns[0], strict=True)]


def minutes(node: AirNode, first: int, last: int) -> list[bytes]:
    """One row for each minute; pm2_5 counts them. A row is stamped when its minute ends."""
    return [node.row(T0 + 60 * n, (n, 41, 722, 8483, 98797)) for n in range(first, last + 1)]


def at_minute(b: Bench, minute: int) -> None:
    b.clock.now_ms = START_UTC_MS + 60_000 * minute


def test_a_window_is_told_once_and_whole(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), resolution_s=600)
        node = AirNode()
        b.take(node.hello())
        for minute in range(1, 34):
            at_minute(b, minute)
            b.take(*minutes(node, minute, minute))
            b.close()  # much more often than a window is long
            if minute == 17:
                b.crash()
                b.start()
        assert rows_of(b) == [(T0, 6), (T0 + 600, 16), (T0 + 1200, 26)]  # means of 1..10, 11..20, 21..30; halves up
        manifest = next(item for item in b.items(LOG) if isinstance(item, Manifest))
        (told,) = manifest.map["channels"]  # type: ignore[misc]
        assert told["agg"] == {"function": "mean", "window_s": 600, "completeness_pct": 75}
        b.take(*(frame for frame in [node.row(T0 + 61, (9_999, 1, 1, 1, 98_797))]))
        b.close()
        assert len(rows_of(b)) == 3
        assert b.items(LOG)[-1] == Loss(node.name, "rows", T0, T0 + 600, TOO_LATE)

    bench(tmp_path, scene)


def test_an_outage_in_the_middle_of_a_window_does_not_split_it(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), resolution_s=600)
        node = AirNode()
        b.take(node.hello(), *minutes(node, 1, 4))
        at_minute(b, 4)
        b.close()
        at_minute(b, 300)
        b.close()
        assert rows_of(b) == []
        b.take(*minutes(node, 5, 11))
        b.close()
        assert rows_of(b) == [(T0, 6)]

    bench(tmp_path, scene)


def test_of_a_node_that_fell_silent_the_rest_is_told_a_day_later_as_suspect(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), resolution_s=600)
        node = AirNode()
        b.take(node.hello(), *minutes(node, 1, 4))
        b.close()
        at_minute(b, 24 * 60 + 9)
        b.close()
        assert rows_of(b) == []
        at_minute(b, 24 * 60 + 11)
        b.close()
        assert rows_of(b) == [(T0, 3)]
        (readings,) = [item for item in b.items(LOG) if isinstance(item, Readings)]
        assert readings.flags == {0: [[0, 3]]}
        assert list(tables.WITHHELD.read(b.journal.db)) == []

    bench(tmp_path, scene)


def test_a_row_from_the_future_does_not_end_a_window(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), resolution_s=600)
        node = AirNode()
        year = 366 * 24 * 60
        b.take(node.hello(), *minutes(node, 1, 4), *minutes(node, year, year), *minutes(node, 5, 11))
        at_minute(b, 11)
        b.close()
        assert rows_of(b) == [(T0, 6)]

    bench(tmp_path, scene)


def test_rows_without_a_time_wait_for_it(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        day = datetime.date(2018, 12, 9)
        with_grant(b, channels=("pm2_5",), first_day=day)
        node = AirNode()
        b.take(node.hello(), node.row(60, since_boot=True))
        b.close()
        b.crash()
        b.start()
        assert rows_of(b) == []
        b.take(node.anchor(0, START_UTC_MS))
        b.close()
        assert rows_of(b) == [(T0 + 60, 27)]
        assert not [item for item in b.items(LOG) if isinstance(item, Anchor)]
        b.take(node.reboot().hello(), node.row(60, since_boot=True))
        b.close()
        b.take(node.reboot().hello())  # now that boot will never have one
        b.close()
        assert len(rows_of(b)) == 1
        assert list(tables.WITHHELD.read(b.journal.db)) == []

    bench(tmp_path, scene)


def test_a_delayed_log_waits_and_holds_no_other_up(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), delay_s=600)
        node = AirNode()
        b.take(node.hello())
        for minute in range(1, 31):
            at_minute(b, minute)
            b.take(*minutes(node, minute, minute))
            b.close()
            assert [tick for tick, _ in rows_of(b)] == [T0 + 60 * n for n in range(1, minute - 9)]
            assert len(b.log(HOME_LOG)) == minute
        assert len(list(tables.ENTRY.read(b.journal.db))) == 10  # what the delayed log has not had yet
        b.crash()
        b.start()
        b.close()
        at_minute(b, 36)
        b.close()
        assert [tick for tick, _ in rows_of(b)] == [T0 + 60 * n for n in range(1, 27)]

    bench(tmp_path, scene)


def test_nothing_that_is_delayed_leaves_without_a_clock(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), delay_s=3600)
        node = AirNode()
        b.take(node.hello(), *minutes(node, 1, 2))
        b.close()
        b.crash()
        b.start()
        b.clock.now_ms += 600_000
        b.clock.unsure_ms = 2**31 - 1
        b.close()
        assert rows_of(b) == []
        b.clock.now_ms += 3_600_000
        b.close()
        assert len(rows_of(b)) == 2  # it has been running for so long that it knows without

    bench(tmp_path, scene)


def test_the_anchor_of_a_delayed_log_is_no_younger_than_its_rows(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        with_grant(b, channels=("pm2_5",), delay_s=600)
        node = AirNode()
        b.take(node.hello(), node.row(60, since_boot=True))
        b.close()
        at_minute(b, 11)
        b.close()
        b.take(node.anchor(660_000, START_UTC_MS + 660_000))
        b.close()
        (anchor,) = [item for item in b.items(LOG) if isinstance(item, Anchor)]
        assert (anchor.boot_ms, anchor.utc_ms, anchor.uncertainty_ms) == (0, START_UTC_MS, 50 + 66)

    bench(tmp_path, scene)


POINTS = st.tuples(st.floats(-89.9, 89.9), st.floats(-180, 179.999))


@given(point=POINTS, cell_m=st.sampled_from([300, 1_000]))
def test_a_cell_is_the_same_for_all_its_points(point: tuple[float, float], cell_m: int) -> None:
    middle = blur.middle_of_cell(*point, cell_m)
    assert blur.middle_of_cell(*middle, cell_m) == middle
    if abs(point[0]) < 80:
        assert _distance_m(point, middle) <= 1.01 * cell_m * math.sqrt(0.5)


def _distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    east = (one[1] - other[1] + 180) % 360 - 180
    return math.hypot(one[0] - other[0], east * math.cos(math.radians(other[0]))) * blur.DEGREE_M


def test_each_precision_says_one_kind_of_place() -> None:
    place = Place(48.117_266, -1.677_793, 4, "35238")
    assert blur.told(place, "none", False) == {"indoor": False}
    assert blur.told(place, "commune", False) == {"indoor": False, "commune": "35238"}
    assert blur.told(place, "1km", None) == {"cell_m": 1000, "lat_udeg": 48_118_038, "lon_udeg": -1_675_264}
    assert blur.told(place, "exact", True) == {
        "indoor": True,
        "lat_udeg": 48_117_266,
        "lon_udeg": -1_677_793,
        "height_m": 4,
    }
