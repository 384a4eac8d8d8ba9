"""Files: exactly once whatever happens, and what each form says."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.delivery.row_forms import COLUMNS, Csv, GeoJson, SenML
from balise_gateway.errors import ConfigError, HubAway, HubDenied, HubError, HubRefused
from balise_gateway.hubs import RowHub, files
from balise_gateway.logbook.rows import YEAR_10000_MS, HubRow, Value
from balise_gateway.settings import build
from contracts.far_ends import AIR, ROWS, START_UTC_MS, row
from contracts.far_ends.files import FarEnd

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
HOUR = {"function": "mean", "window_s": 3600, "completeness_pct": 75}
PLACE = {"lat_udeg": 48_115_000, "lon_udeg": -1_678_000, "cell_m": 1000}


class Killed(BaseException):
    """What a power cut is to a test."""


@pytest.fixture
def there(tmp_path: Path) -> FarEnd:
    return FarEnd(tmp_path)


def send(hub: RowHub, *rows: HubRow) -> int:
    return asyncio.run(hub.send(rows))


def averaged(told: HubRow, agg: Mapping[str, object] = HOUR, place: object = PLACE) -> HubRow:
    """The same row as a mean at a place."""
    channels = [{**entry, "agg": agg} for entry in told.about["channels"]]  # type: ignore[attr-defined]
    return replace(told, about={**told.about, "channels": channels, "place": place})


def many(first: int, count: int) -> list[HubRow]:
    return [
        row(seq, index, AIR, START_UTC_MS + seq, pm2_5=seq) for seq in range(first, first + count) for index in (0, 1)
    ]


def names(there: FarEnd) -> list[tuple[int, int]]:
    return [(int(line["seq"]), int(line["row"])) for line in there.lines()]


def whole(there: FarEnd) -> None:
    """Every file is what its form says, and says the same."""
    (csv,), (senml,), (geojson,) = (list(there.folder.glob(f"*.{end}")) for end in ("csv", "senml.json", "geojson"))
    count = csv.read_text().count("\n") - 1
    assert len(json.loads(senml.read_text())) == count
    assert len(json.loads(geojson.read_text())["features"]) == count


@pytest.mark.parametrize("step", range(1, 6))
def test_a_kill_at_any_sync_leaves_each_row_once(there: FarEnd, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    send(there.hub(), *many(1, 2))
    real, calls = os.fsync, [0]

    def cut(handle: int) -> None:
        calls[0] += 1
        if calls[0] == step:
            raise Killed
        real(handle)

    monkeypatch.setattr(os, "fsync", cut)
    try:
        send(there.hub(), *many(3, 2))
    except Killed:
        pass
    monkeypatch.setattr(os, "fsync", real)
    send(there.hub(), *many(3, 1))  # what comes again may be cut in another way
    send(there.hub(), *many(4, 3))
    assert names(there) == [(seq, index) for seq in range(1, 7) for index in (0, 1)]
    whole(there)


def test_a_torn_end_is_cut_off(there: FarEnd) -> None:
    send(there.hub(), *many(1, 2))
    for path in there.folder.glob("2018-12.*"):
        with path.open("ab") as file:
            file.write(b"half a li" * 100)
    send(there.hub(), *many(3, 1))
    assert names(there) == [(seq, index) for seq in (1, 2, 3) for index in (0, 1)]
    whole(there)


WRITER = """
import asyncio, sys
from pathlib import Path
from contracts.far_ends.files import FarEnd
from gateway.hubs.test_files_hub import many
there = FarEnd.__new__(FarEnd)
there.folder, there._answer = Path(sys.argv[1]), "ok"
for seq in range(int(sys.argv[2]), 1_000_000):
    asyncio.run(there.hub().send(many(seq, 1)))
    print(seq, flush=True)
"""


def test_kill_9_while_it_writes(there: FarEnd, request: pytest.FixtureRequest) -> None:
    """As the uplink does after a kill: it goes on with the batch that it does not know to have arrived."""
    path = os.pathsep.join([str(request.config.rootpath / "tests"), os.environ.get("PYTHONPATH", "")])
    first = 1
    for count in (3, 9, 5):
        command = [sys.executable, "-c", WRITER, str(there.folder), str(first)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
        assert writer.stdout is not None
        for _ in range(count):
            first = int(writer.stdout.readline())  # said to have arrived, and yet the uplink's commit may be lost
        writer.kill()
        writer.communicate()
    send(there.hub(), *many(first, 20))
    found = names(there)
    assert found == sorted(set(found))
    assert {seq for seq, _ in found} >= set(range(1, first + 20))
    whole(there)


def test_rows_that_come_late_are_written_once(there: FarEnd) -> None:
    rows = many(1, 3)
    send(there.hub(), *rows[:2], *rows[4:])
    send(there.hub(), *rows[2:4])
    send(there.hub(), *rows)
    assert sorted(names(there)) == [(row.seq, row.index) for row in rows]
    assert len(names(there)) == len(rows)


def test_a_file_that_was_moved_away_begins_anew(there: FarEnd) -> None:
    send(there.hub(), *many(1, 1))
    (there.folder / "2018-12.csv").unlink()
    send(there.hub(), *many(2, 1))
    assert names(there) == [(2, 0), (2, 1)]


def test_a_file_that_lost_something_stops_the_hub(there: FarEnd) -> None:
    send(there.hub(), *many(1, 1))
    (there.folder / "2018-12.csv").write_text("time\n")
    with pytest.raises(HubDenied, match=r"2018-12\.csv: is shorter than what was written"):
        send(there.hub(), *many(2, 1))


def test_a_folder_has_one_log(there: FarEnd) -> None:
    send(there.hub(), *many(1, 1))
    with pytest.raises(HubDenied, match="holds the files of log 3"):
        send(there.hub(log=4), *many(1, 1))


def test_a_full_disk_is_waited_for(there: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(HubAway, match="No space left"):
            send(there.hub(), *many(1, 1))
    send(there.hub(), *many(1, 1))
    assert names(there) == [(1, 0), (1, 1)]


def test_a_month_has_its_own_files(there: FarEnd) -> None:
    late = replace(ROWS[0], seq=9, utc_ms=START_UTC_MS + 31 * 86_400_000)
    send(there.hub(), ROWS[0], late)
    assert {path.name for path in there.folder.glob("*.csv")} == {"2018-12.csv", "2019-01.csv"}
    assert len(there.held()) == 10


def test_a_row_beyond_the_calendar_is_refused_and_the_others_kept(there: FarEnd) -> None:
    with pytest.raises(HubRefused) as caught:
        send(there.hub(), replace(ROWS[0], utc_ms=YEAR_10000_MS), ROWS[2])
    assert set(caught.value.reasons) == {0}
    assert set(names(there)) == {(8, 0)}


def test_an_openaq_record_ends_its_window(there: FarEnd) -> None:
    mean = averaged(ROWS[0])
    doubted = replace(mean, seq=8, values=tuple(replace(value, flag=3) for value in mean.values))
    sample, nowhere = replace(ROWS[0], seq=9), replace(averaged(ROWS[0], place={"indoor": False}), seq=10)
    with pytest.raises(HubRefused) as caught:
        send(there.hub(forms=("openaq",), attribution="Anna, Rennes"), mean, doubted, sample, nowhere)
    assert set(caught.value.reasons) == {1, 2, 3}
    records = json.loads((there.folder / "2018-12.openaq.json").read_text(), parse_float=Decimal)
    assert [(record["parameter"], record["value"]) for record in records] == [
        ("pm25", Decimal("2.7")),
        ("pm10", Decimal("4.1")),
    ]
    assert records[0] | {"parameter": "", "value": 0} == {
        "location": AIR,
        "parameter": "",
        "value": 0,
        "unit": "µg/m³",
        "date": {"utc": "2018-12-09T01:00:00.000Z", "local": "2018-12-09T02:00:00+01:00"},
        "averagingPeriod": {"value": 1, "unit": "hours"},
        "coordinates": {"longitude": Decimal("-1.678"), "latitude": Decimal("48.115")},
        "sourceName": "Balise",
        "sourceType": "other",
        "mobile": False,
        "attribution": [{"name": "Anna, Rennes"}],
    }


@pytest.mark.parametrize("window_s", [60, 7 * 86_400])
def test_openaq_takes_no_other_windows(there: FarEnd, window_s: int) -> None:
    with pytest.raises(HubRefused):
        send(there.hub(forms=("openaq",)), averaged(ROWS[0], {"function": "mean", "window_s": window_s}))


def test_geojson_says_longitude_first(there: FarEnd) -> None:
    send(there.hub(forms=("geojson", "csv")), averaged(ROWS[0]))
    (feature,) = json.loads((there.folder / "2018-12.geojson").read_text())["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-1.678, 48.115]}
    assert (feature["properties"]["cell_m"], feature["properties"]["pm2_5_window_s"]) == (1000, 3600)
    line = there.lines()[0]
    told = [line[name] for name in ("lon", "lat", "cell_m", "function", "window_s")]
    assert told == ["-1.678", "48.115", "1000", "mean", "3600"]


def test_parquet_reads_back(there: FarEnd) -> None:
    send(there.hub(forms=("parquet",)), *ROWS)
    (there.folder / "2018-12" / "9-9.parquet").write_bytes(b"of a batch that was cut off")
    send(there.hub(forms=("parquet",)), *ROWS, replace(averaged(ROWS[0]), seq=9))
    table = pyarrow.parquet.read_table(there.folder / "2018-12")
    assert tuple(table.column_names) == COLUMNS
    lines = table.to_pylist()
    assert len(lines) == 18
    assert [line["value"] for line in lines[:3]] == [2.7, 4.1, -7.22]
    assert {line["lon"] for line in lines} == {None, -1.678}
    assert sorted(path.name for path in (there.folder / "2018-12").iterdir()) == ["7-0.parquet", "9-0.parquet"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("forms", ["csv", "xls"], "forms: xls; choose from csv"),
        ("folder", "readings", "must be an absolute path"),
        ("time_zone", "Europe/Rennes", "no such zone"),
    ],
)
def test_settings_that_cannot_be(key: str, value: object, says: str) -> None:
    words = {"name": "h", "kind": "files", "log": 1, "folder": "/srv/readings"}
    with pytest.raises(ConfigError, match=says):
        build(files.Settings, words | {key: value}, "hub 1", "gateway.toml")


@given(TEXTS, TEXTS, TEXTS, st.integers(-(2**31), 2**31 - 1), st.integers(-2, 9))
def test_any_text_is_escaped(node: str, model: str, unit: str, integer: int, scale: int) -> None:
    import csv
    import io

    about: dict[object, object] = {"channels": [{"n": "x", "model": model, "corr": {"id": model}}], "trust": unit}
    told = HubRow(1, 2, node, START_UTC_MS, None, (Value("x", unit, integer, scale, 3),), about)
    (line,) = csv.DictReader(io.StringIO(Csv.head + "".join(Csv().pieces(told)), newline=""))
    assert (line["node"], line["model"], line["unit"], line["flag"]) == (node, model, unit, "3")
    assert Decimal(line["value"]) == Decimal(integer).scaleb(-scale)
    assert json.loads(line["corr"]) == {"id": model}
    (record,) = (json.loads(piece, parse_float=Decimal, parse_int=Decimal) for piece in SenML().pieces(told))
    assert (record["n"], record["u"], record["v"]) == (f"{node}:x", unit, Decimal(integer).scaleb(-scale))
    (feature,) = (json.loads(piece) for piece in GeoJson().pieces(told))
    assert (feature["properties"]["node"], feature["properties"]["x_flag"]) == (node, 3)


def test_errors_are_of_the_contract(there: FarEnd) -> None:
    (there.folder / "balise-files.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(HubError, match=r"balise-files\.db"):
        send(there.hub(), *ROWS)
