"""Scenario files and kits: what is wrong with one is told with its file, its key and what could stand there."""

import subprocess
import sys
from pathlib import Path

import pytest

from balise_sim.kits import KITS, Kit, KitError, kit
from balise_sim.scenario import HOME_KITS, ScenarioError, bundled_names, find, load, summary

GOOD = {"start_utc": '"2018-12-09T00:00:00Z"', "hours": "1", "drain_min": "60", "period_s": "60", "batch_s": "600"}
FIRST = "urn:dev:ops:b4115e-air-01"
EVENT = {"at_min": "5", "for_min": "5", "what": '"cable"'}


def written(path: Path, changes: dict[str, str], event: dict[str, str] | None = None) -> Path:
    keys = {**GOOD, "homes": "2", **changes}
    lines = [f"{key} = {value}" for key, value in keys.items() if value]
    if event is not None:
        lines += ["[[event]]", *(f"{key} = {value}" for key, value in event.items() if value)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    scenario = find(str(written(tmp_path / "mine.toml", {}, EVENT)))
    assert (scenario.name, len(scenario.homes), scenario.events[0].what) == ("mine", 2, "cable")


@pytest.mark.parametrize(
    ("changes", "event", "told"),
    [
        ({"hours": ""}, None, "mine.toml: the key 'hours' is missing (a number)"),
        ({"homes": "2.5"}, None, "mine.toml: homes = 2.5; a whole number"),
        ({"hours": "true"}, None, "mine.toml: hours = True; a number"),
        ({"period_s": "-1"}, None, "mine.toml: period_s = -1"),
        ({"start_utc": '"2018-12-09T00:00:00"'}, None, "mine.toml: start_utc = '2018-12-09T00:00:00'; a time with its"),
        ({"start_utc": '"noon"'}, None, "mine.toml: start_utc = 'noon'"),
        ({"hoours": "1"}, None, "mine.toml: the key 'hoours' is unknown; known are start_utc, hours"),
        ({}, {**EVENT, "what": '"rain"'}, "mine.toml: event 1: what = 'rain'; one of cable, link, kill, hub"),
        ({}, {**EVENT, "when": "1"}, "mine.toml: event 1: the key 'when' is unknown; known are at_min"),
        ({}, {**EVENT, "for_min": ""}, "mine.toml: event 1: the key 'for_min' is missing"),
        ({}, {**EVENT, "what": '"kill"', "node": '"me"'}, "mine.toml: event 1: node = 'me'; one of gateway, hub, urn"),
        ({}, {**EVENT, "what": '"hub"', "mode": '"sulk"'}, "mine.toml: event 1: mode = 'sulk'; one of ok, refuse"),
        (
            {},
            {**EVENT, "what": '"sds011.nack"', "node": f'"{FIRST}"'},
            "this home has sds011.boot_text, sds011.flipped",
        ),
        ({}, {**EVENT, "what": '"sds011.silence"', "node": '"hub"'}, "node = 'hub'; one of urn:dev:ops:b4115e-air-01"),
        ({}, {**EVENT, "what": '"clock"'}, "mine.toml: event 1: mode = ''; one of right, ahead, back, unknown"),
        ({"air": '"thin"'}, None, "mine.toml: air = 'thin'; one of recorded, district"),
        ({"kits": '["air-esp23"]'}, None, "mine.toml: kits: no kit 'air-esp23'; there are air-esp32"),
        ({"hours": "1 1"}, None, "mine.toml: Expected newline"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, changes: dict[str, str], event: dict[str, str] | None, told: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load(written(tmp_path / "mine.toml", changes, event))
    assert told in str(error.value)


def test_a_scenario_that_is_not_there_is_told_by_the_command() -> None:
    bundled_ones = "no scenario 'stret'; bundled are district, faults, kits, noise, pair"
    for name, told in (("stret", bundled_ones), ("no.toml", "no.toml")):
        command = [sys.executable, "-m", "balise_tools", "sim", "run", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert told in done.stderr


def test_the_bundled_scenarios_are_listed_with_a_line_each() -> None:
    command = [sys.executable, "-m", "balise_tools", "sim", "scenarios"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(bundled_names())
    assert all(summary(name) in line for name, line in zip(bundled_names(), lines, strict=True))


def test_kits_have_names_or_are_put_together() -> None:
    assert set(HOME_KITS) <= set(KITS)
    assert kit("air-pico") is KITS["air-pico"]
    assert kit("esp32+bme280") == Kit("esp32", ("bme280",))
    assert kit("pico_w") == Kit("pico_w", ())


@pytest.mark.parametrize(("name", "told"), [("arduino", "air-esp32"), ("esp32+bme281", "bme280"), ("", "pico_w")])
def test_a_kit_that_is_not_there_is_told_with_the_choices(name: str, told: str) -> None:
    with pytest.raises(KitError, match=told):
        kit(name)
