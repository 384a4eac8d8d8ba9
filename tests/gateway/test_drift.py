"""Drift beside others: what moves alone is told, what all do is not."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from balise_gateway import keys
from balise_gateway.journal import Journal, tables
from balise_gateway.quality.drift import DAY_MS, HOUR_MS, WEEK_MS, beside_others, co2_floor_is_off, weekly_floors
from balise_tools.main import app
from balise_wire.frames import FrameKeys
from gateway.support import KEY, NAME, toml

MONDAY_MS = 1_543_795_200_000  # 2018-12-03
WEEKS = 8


def hours(seed: int, drift_per_week: float = 0.0, weeks: int = WEEKS) -> dict[int, float]:
    """Air that all share, with a smoky evening each day, and a sensor's own noise and drift."""
    shared, own = random.Random(1), random.Random(seed)
    found = {}
    for hour in range(weeks * 168):
        air = shared.uniform(3, 9) + (40 if hour % 24 in (18, 19, 20) else 0)
        found[MONDAY_MS + hour * HOUR_MS] = air + own.gauss(0, 0.3) + drift_per_week * hour / 168
    return found


def test_who_moves_alone_is_told() -> None:
    others = [hours(seed) for seed in (2, 3, 4)]
    still, moving = beside_others(hours(5), others), beside_others(hours(6, 1.0), others)
    assert still is not None
    assert moving is not None
    assert abs(still.moved) < 0.5
    assert moving.moved == pytest.approx(6.0, abs=0.5)  # from the middle of the first two weeks to that of the last two
    assert (moving.weeks, moving.others) == (8, 3)


def test_what_all_do_is_no_drift() -> None:
    moved = beside_others(hours(5, 1.0), [hours(seed, 1.0) for seed in (2, 3)])
    assert moved is not None
    assert abs(moved.moved) < 0.5


def test_too_few_weeks_or_others_say_nothing() -> None:
    assert beside_others(hours(5), [hours(2)]) is None
    assert beside_others(hours(5, weeks=5), [hours(2), hours(3)]) is None
    assert beside_others({}, [hours(2), hours(3)]) is None


def test_a_week_is_its_nights_from_monday() -> None:
    nights = {MONDAY_MS + hour * HOUR_MS: float(hour) for hour in range(168)}
    assert weekly_floors(nights) == {MONDAY_MS: 4.0}  # of the 49 hours from 22 to 5, the fifth
    assert weekly_floors({at: value for at, value in nights.items() if at % DAY_MS >= 6 * HOUR_MS}) == {}
    assert list(weekly_floors(hours(1, weeks=2))) == [MONDAY_MS, MONDAY_MS + WEEK_MS]


def test_a_co2_floor_below_open_air_cannot_be() -> None:
    def of(least: float) -> dict[int, float]:
        return {MONDAY_MS + hour * HOUR_MS: 600.0 if hour % 24 else least for hour in range(100)}

    assert co2_floor_is_off(of(410.0), 2026) is None
    assert co2_floor_is_off(of(520.0), 2026) is None  # a room that is never aired
    assert co2_floor_is_off(of(350.0), 2026) == pytest.approx(350 - 427.8)
    assert co2_floor_is_off({}, 2026) is None


def test_the_command(tmp_path: Path) -> None:
    names = [NAME, *(f"urn:dev:ops:b4115e-air-{number:02}" for number in (2, 3))]
    seeds = [KEY, bytes([2] * 16), bytes([3] * 16)]
    more = [f'[[node]]\nname = "{name}"\nkey = "{key.hex()}"' for name, key in zip(names[1:], seeds[1:], strict=True)]
    (tmp_path / "gateway.toml").write_text(toml(tmp_path, extra="\n".join(more)))
    keys.load_or_make(tmp_path)
    journal = Journal(tmp_path, "balise/test")
    journal.open()

    def run(*options: str) -> Any:
        return CliRunner().invoke(app, ["gateway", "drift", "-c", str(tmp_path / "gateway.toml"), *options])

    assert "nothing to compare yet" in run().output
    with journal.transaction() as db:
        for number, key in enumerate(seeds):
            kid, drifting = FrameKeys(key).kid, 1.2 if number == 0 else 0.0
            series = hours(number + 2, drifting)
            rows = [(kid, "pm2_5", 3_600, at, 60, 60, value, value, value) for at, value in series.items()]
            tables.AGGREGATE.put(db, rows)
        tables.AGGREGATE.put(db, [(FrameKeys(KEY).kid, "co2", 3_600, MONDAY_MS, 60, 60, 330.0, 330.0, 330.0)])
    journal.close()
    told = run()
    assert told.exit_code == 0
    assert f"{NAME} pm2_5: moved by +" in told.output
    assert "co2: its floor is" in told.output
    found = json.loads(run("--json").stdout)
    assert next((one["node"], one["look"]) for one in found if one["channel"] == "pm2_5") == (NAME, True)
    assert not any(one["look"] for one in found if one["node"] != NAME)
