"""Recorded air: the same at the same place and moment, with gaps held."""

from pathlib import Path

import pytest

from balise_sim.replay import Home, bundled, load

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
    assert home.channel("laeq") is None
    pm1, pm2_5 = home.channel("pm1"), home.channel("pm2_5")
    assert pm1 is not None
    assert pm2_5 is not None
    assert pm1(0) == pytest.approx(0.7 * pm2_5(0), abs=0.01), "made from PM2.5: the recording has none"
    assert 47 < bundled().length_ms / 3_600_000 < 48


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
