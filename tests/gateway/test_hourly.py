"""The table of hours: the same whatever envelopes rows come in, and however late."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.journal import Journal, tables
from balise_gateway.nodes.manifests import Columns, witnessed
from balise_gateway.quality import hourly
from balise_gateway.quality.aggregates import Window, windows_of
from balise_gateway.quality.series import of_readings
from balise_wire.channels import channel
from balise_wire.items import Manifest, Readings
from gateway.closing_bench import Bench, bench
from gateway.support import ROW, AirNode

T0 = 1_544_313_600  # an hour begins
NAMES = ("pm2_5", "laeq", "lamax", "la50", "noise_overload")
VALUE = st.one_of(st.none(), st.integers(200, 1_400))


def columns_of(*names: str) -> Columns:
    entries = [channel(name).manifest_entry("any") for name in names]
    return witnessed(Manifest(1, {"tick_ms": 1_000, "channels": entries}), "urn:dev:ops:1")


@contextmanager
def table(columns: Columns, parts: list[Readings]) -> Iterator[list[tables.Row]]:
    db = sqlite3.connect(":memory:")
    names = ", ".join((*tables.AGGREGATE.columns, "crc"))
    db.execute(f"CREATE TABLE aggregate ({names}, UNIQUE ({', '.join(tables.AGGREGATE.columns[:4])}))")
    for part in parts:
        hourly.add(db, b"n", columns, part)
    yield list(tables.AGGREGATE.read(db, "TRUE ORDER BY channel, start_utc_ms"))
    db.close()


@given(rows=st.lists(st.tuples(VALUE, VALUE, VALUE, VALUE, VALUE), min_size=1, max_size=40), cut=st.integers(1, 39))
def test_two_envelopes_make_what_one_makes(rows: list[tuple[int | None, ...]], cut: int) -> None:
    columns = columns_of(*NAMES)
    times = [T0 + 300 * (row + 1) for row in range(len(rows))]

    def part(first: int, last: int) -> Readings:
        return Readings(1, None, times[first:last], [list(column) for column in zip(*rows[first:last], strict=True)])

    cut = min(cut, len(rows))
    parts = [part(0, cut), *([part(cut, len(rows))] if cut < len(rows) else [])]
    with (
        table(columns, [part(0, len(rows))]) as whole,
        table(columns, parts) as two,
        table(columns, parts[::-1]) as late,
    ):
        for one, other, third in zip(whole, two, late, strict=True):
            assert one[:5] == other[:5] == third[:5]
            assert one[6:] == pytest.approx(other[6:])
            assert one[6:] == pytest.approx(third[6:])
        exact = windows_of(of_readings(part(0, len(rows)), NAMES, columns.scales, 1_000), Window(3_600, 300_000))
        told = {(row[1], row[3]): row for row in whole}
        pairs = [
            (name, scale, one) for name, scale, found in zip(NAMES, columns.scales, exact, strict=True) for one in found
        ]
        for name, scale, window in pairs:
            row = told[name, window.start_ms]
            assert row[4] == window.n
            rounded = None if row[6] is None else row[6] * 10**scale
            assert rounded == (None if window.value is None else pytest.approx(window.value, abs=0.5001))


def test_expected_follows_from_the_usual_gap() -> None:
    times = [T0 + 148 * (row + 1) for row in range(12)]
    with table(columns_of("pm2_5"), [Readings(1, None, times, [[10] * 12])]) as (row,):
        assert row[4:] == (12, 24, 1.0, 1.0, 1.0)


def test_flagged_values_do_not_count() -> None:
    readings = Readings(1, None, [T0 + 60, T0 + 120, T0 + 180], [[10, 99_999, 30]], {0: [[1, 4]]})
    with table(columns_of("pm2_5"), [readings]) as (row,):
        assert (row[4], row[6:]) == (2, (2.0, 1.0, 3.0))


def test_hours_are_written_with_the_home_log(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        b.take(node.hello(), node.row(T0 + 60), node.row(T0 + 3_600), node.row(T0 + 3_660))
        b.close(1)
        assert not list(tables.AGGREGATE.read(b.journal.db))
        b.close(0)
        b.take(node.row(T0 + 120, [value + 30 for value in ROW]))  # late
        b.close(0)
        rows = list(tables.AGGREGATE.read(b.journal.db, "channel = 'pm2_5' ORDER BY start_utc_ms"))
        first, second = ((row[3] // 1_000 - T0, row[4], row[6], row[8]) for row in rows)
        assert first == (0, 3, pytest.approx(3.7), 5.7)  # 2.7, 2.7 and 5.7
        assert second == (3_600, 1, 2.7, 2.7)

    bench(tmp_path, scene)


def test_what_is_lost_with_the_memory_is_not_needed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "balise/test")
    journal.open()
    columns = columns_of("laeq")
    for number in range(2):
        with journal.transaction() as db:
            hourly.add(db, b"n", columns, Readings(1, None, [T0 + 60 + number], [[600 + 100 * number]]))
    with journal.reading() as db:
        (row,) = tables.AGGREGATE.read(db)
    assert row[6] == pytest.approx(67.4036, abs=1e-4)
    journal.close()
