"""Sound from a microphone to the hub: a recorded morning as it was, and each way in which a microphone fails."""

from pathlib import Path
from typing import NamedTuple

import pytest

from balise_sim.kits import faults_of
from balise_sim.replay import Home
from balise_sim.scenario import S_PER_MINUTE, Event, Scenario, bundled
from balise_sim.street import Street
from journey.at_hub import flags_at_hub, values_at_hub

WITHIN_DB = 0.2  # a row has steps of 0.1 dB, and so has the simulated sound
NO_LEVEL = ("startup_zeros", "dead_pin", "wrong_slot", "one_bit_shift")
CLIPPED = {"laeq": 3, "la10": 3, "lceq": 3, "lamax": 4, "lcpeak": 4}
SAID = ("no signal", "misaligned", "works again")


class Heard(NamedTuple):
    """One row at the hub: the values, what is doubted of them, and the level that was played in its period."""

    at_s: float
    row: dict[str, float | None]
    flags: dict[str, int]
    truth_db: float

    @property
    def is_true(self) -> bool:
        level = self.row["laeq"]
        return level is not None and abs(level / 10 - self.truth_db) <= WITHIN_DB


def heard(street: Street, number: int = 0) -> list[Heard]:
    """The rows of a home, at seconds of the scenario."""
    scenario, home = street.scenario, street.scenario.homes[number]
    place, flags = Home(scenario.start_utc_ms, number), flags_at_hub(street, home.name)
    found = []
    for utc_s, row in sorted(values_at_hub(street, home.name).items()):
        at_s = utc_s - scenario.start_utc_ms / 1000
        from_s = max(0.0, at_s - scenario.period_s)
        truth_db = place.mean("laeq", round(from_s * 1e6), round(at_s * 1e6))
        found.append(Heard(at_s, row, flags.get(utc_s, {}), truth_db))
    return found


def played(name: str, folder: Path) -> Street:
    street = Street(bundled(name), folder, 1)
    verdict = street.play()
    assert verdict.ok, verdict
    return street


def test_recorded_noise_is_at_the_hub_as_it_was_recorded(tmp_path: Path) -> None:
    """And the dust of another year beside it, each from its own recording."""
    street = played("noise", tmp_path)
    found = heard(street)
    assert len(found) >= 5
    assert all(each.is_true for each in found), found
    truths = [each.truth_db for each in found]
    assert max(truths) - min(truths) > 5, "a morning that never changes would prove little"
    scenario = street.scenario
    dust = Home(scenario.start_utc_ms, 1).channel("pm2_5")
    assert dust is not None
    for utc_s, row in values_at_hub(street, scenario.homes[1].name).items():
        value, at_s = row["pm2_5"], utc_s - scenario.start_utc_ms / 1000
        assert value is not None
        assert min(abs(value / 10 - dust(round((at_s + late) * 1e6))) for late in range(-2, 4)) <= 0.1


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Street:
    """A street whose one microphone had each of its faults."""
    return played("sound", tmp_path_factory.mktemp("sound"))


def share(each: Heard, event: Event, scenario: Scenario) -> float:
    """Which part of the row's period had the fault."""
    begins_s, ends_s = event.at_min * S_PER_MINUTE, (event.at_min + event.for_min) * S_PER_MINUTE
    return max(0.0, min(each.at_s, ends_s) - max(each.at_s - scenario.period_s, begins_s)) / scenario.period_s


def test_the_scenario_has_each_fault_of_the_microphone() -> None:
    assert {event.what for event in bundled("sound").events} == {f"inmp441.{fault}" for fault in faults_of("inmp441")}


def test_without_a_fault_the_level_is_that_of_the_sound(failing: Street) -> None:
    scenario = failing.scenario
    sound = [each for each in heard(failing) if not any(share(each, event, scenario) for event in scenario.events)]
    assert len(sound) >= 9
    for each in sound:
        assert (each.is_true, each.flags, each.row["mic_status"]) == (True, {}, 0), each


def check(fault: str, each: Heard) -> None:
    """A row of a period in which nothing else was heard."""
    row = each.row
    if fault in NO_LEVEL:
        assert set(row.values()) == {None}, each
    elif fault == "dc_offset":
        assert (row["mic_status"], each.flags, each.is_true) == (2, {}, True), "told, and the filters take it away"
    else:
        seconds = row["noise_overload"]
        assert (row["mic_status"], row["laeq"], each.flags) == (1, 1230, CLIPPED), each
        assert seconds is not None
        assert seconds >= 9


@pytest.mark.parametrize("fault", faults_of("inmp441"))
def test_a_fault_leaves_no_level_or_a_doubt_and_never_a_wrong_one(fault: str, failing: Street) -> None:
    """Also where it begins or ends: an offset that does is a bang in the words, and is told as doubtful."""
    (event,) = (event for event in failing.scenario.events if event.what == f"inmp441.{fault}")
    rows = [(share(each, event, failing.scenario), each) for each in heard(failing)]
    whole = [each for part, each in rows if part == 1]
    assert whole
    for each in whole:
        check(fault, each)
    partly = [each for part, each in rows if 0 < part < 1]
    assert len(partly) == 2
    assert all(each.row["laeq"] is None or each.flags["laeq"] >= 3 for each in partly), partly


def test_the_node_says_what_is_wrong_and_when_it_is_over(failing: Street) -> None:
    (node,) = failing.world.nodes.values()
    said = [line.split("inmp441: ")[1].split(":")[0] for _, line in node.console.lines if "sensor inmp441: " in line]
    assert set(said) == set(SAID)
    assert said[-1] == "works again"
    assert getattr(node.bench.ports["i2s"][0], "overrun_frames", None) == 0, "faults make no listener late"
