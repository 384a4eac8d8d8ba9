"""Recorded air and noise: the same at the same place and moment, with gaps held; a bad file is told by its row."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balise_sim.recording import RecordingError, load
from balise_sim.replay import NOISE, Home, bundled

START_UTC_MS = 1_544_299_407_000  # 2018-12-08T20:03:27Z, the first row


def test_the_bundled_recording_is_played_as_it_was_recorded() -> None:
    home = Home(START_UTC_MS)
    moments_s = (0, 146, 147, 148)  # rows at 20:03:27 and 20:05:54
    pm10 = home.channel("pm10")
    assert pm10 is not None
    assert [pm10(s * 1_000_000) for s in moments_s] == [4.07, 4.07, 5.83, 5.83]
    pressure = home.channel("pressure")
    assert pressure is not None
    assert pressure(0) == 98796.96
    assert home.channel("rain") is None
    pm1, pm2_5 = home.channel("pm1"), home.channel("pm2_5")
    assert pm1 is not None
    assert pm2_5 is not None
    assert pm1(0) == pytest.approx(0.7 * pm2_5(0), abs=0.01), "made from PM2.5: the recording has none"
    assert bundled().length_ms / 3_600_000 == pytest.approx(48.04, abs=0.01), "the last row lasts as long as the others"


def test_homes_differ_and_stay_the_same() -> None:
    first, second = Home(START_UTC_MS, 1), Home(START_UTC_MS, 2)
    assert first.offset("temperature") == Home(0, 1).offset("temperature") != second.offset("temperature")
    ours, theirs = first.channel("pm2_5"), second.channel("pm2_5")
    assert ours is not None
    assert theirs is not None
    day_s = range(0, 86_400, 600)
    assert [ours(s * 1_000_000) for s in day_s] != [theirs(s * 1_000_000) for s in day_s]


def test_a_gap_holds_and_the_end_begins_again(tmp_path: Path) -> None:
    file = tmp_path / "air.csv"
    file.write_text(
        "time_utc,temperature_c,note\n1970-01-01T00:00:10Z,,x\n1970-01-01T00:00:20Z,5.5,x\n"
        "1970-01-01T00:00:30Z,,x\n1970-01-01T01:00:10Z,7,x\n",
        encoding="utf-8",
    )
    recording = load(file)
    at = [recording.at("temperature", s * 1000) for s in (10, 25, 35, 3609, 3610 + 15)]
    assert at == [5.5, 5.5, 5.5, 5.5, 5.5]
    assert recording.at("temperature", 10_000 + 3_600_000 - 1) == 5.5
    file.write_text("a,b\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"air\.csv"):
        load(file)


def test_a_home_plays_of_each_quantity_the_recording_that_has_it() -> None:
    """Noise of 2025 beside air of 2018: it comes back after a week, at the same weekday and time."""
    monday_utc_ms, week_ms = 1_742_801_400_000, 7 * 24 * 3_600_000  # 2025-03-24T07:30Z
    home = Home(monday_utc_ms)
    laeq = home.channel("laeq")
    assert laeq is not None
    assert [laeq(s * 1_000_000) for s in (-31, -30, 29, 30)] == [51.5, 51.4, 51.4, 51.8]
    assert home.mean("laeq", 0, 60_000_000) == pytest.approx(51.605, abs=0.001), "a level's mean is that of its energy"
    in_2018 = Home(monday_utc_ms - 328 * week_ms).channel("laeq")
    assert in_2018 is not None
    assert in_2018(0) == laeq(0)
    assert bundled(NOISE).length_ms == week_ms
    assert home.channel("pm10") is not None
    assert home.channel("rain") is None
    with pytest.raises(KeyError, match=r"nobody recorded 'rain'; there are humidity, laeq, pm1, pm10"):
        home.mean("rain", 0, 1)


def utc_times(path: Path, zone: str, *local: str) -> list[str]:
    path.write_text("\n".join(["time_local,laeq_dba", *(f"{time},50" for time in local)]), encoding="utf-8")
    return [datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M") for ms in load(path, zone).times_ms]


def test_local_times_are_those_of_the_declared_zone(tmp_path: Path) -> None:
    file, autumn = tmp_path / "noise.csv", "2025-10-26T"
    twice = [autumn + time for time in ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")]
    assert utc_times(file, "Europe/Paris", *twice) == ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]
    spring = [f"2025-03-30T{time}" for time in ("01:30", "03:00")]
    assert utc_times(file, "Europe/Paris", *spring) == ["00:30", "01:00"]
    assert utc_times(file, "Etc/GMT-1", "2025-03-30T02:30") == ["01:30"], "a clock that knows no summer time"
    assert utc_times(file, "Europe/Paris", "2025-03-30T02:30+02:00") == ["00:30"], "a time that says its own"


def test_a_time_in_utc_does_not_depend_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Toronto")
    time.tzset()
    (tmp_path / "air.csv").write_text("time_utc,pm10_ugm3\n1970-01-01T00:00:10,5\n", encoding="utf-8")
    try:
        assert load(tmp_path / "air.csv").times_ms == (10_000,)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "zone", "told"),
    [
        ("when,laeq_dba\n1,2", "", "needs rows and a column time_utc or time_local"),
        ("time_utc,laeq_dba\n", "", "needs rows and a column"),
        ("time_utc,level\n2025-01-01T00:00,1", "", "none of its columns is known; name them pm10_ugm3"),
        ("time_local,laeq_dba\n2025-01-01T00:00,1", "", 'names no time zone; declare it: load(path, zone="Europe/Pa'),
        ("time_local,laeq_dba\n2025-01-01T00:00,1", "Mars/Base", "there is no time zone 'Mars/Base'; declare it"),
        ("time_local,laeq_dba\n2025-01-01T00:00,1", "/etc", "there is no time zone '/etc'"),
        ("time_utc,laeq_dba\n2025-01-01T00:00,1\nnoon,2", "", "row 3: time_utc = 'noon'; write a time such as 2025"),
        (
            "time_utc,laeq_dba\n2025-01-01T00:01,1\n2025-01-01T00:01,2",
            "",
            "row 3: time_utc = '2025-01-01T00:01' is not",
        ),
        ("time_utc,laeq_dba\n2025-01-01T00:00,1\n2025-01-01T00:01,n/a", "", "row 3: laeq_dba = 'n/a' is no number; "),
        ("time_utc,laeq_dba\n2025-01-01T00:00,nan", "", "row 2: laeq_dba = 'nan' is no number"),
        ("time_utc,laeq_dba\n2025-01-01T00:00,\n2025-01-01T00:01", "", "the column laeq_dba has no value; remove it"),
        ("time_local,laeq_dba\n2025-03-30T02:30,1", "Europe/Paris", "row 2: time_local = '2025-03-30T02:30' does not "),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_row(tmp_path: Path, text: str, zone: str, told: str) -> None:
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    with pytest.raises(RecordingError, match=r"^mine\.csv: ") as error:
        load(tmp_path / "mine.csv", zone)
    assert told in str(error.value)
