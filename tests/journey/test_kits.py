"""Homes of all kits: what they measure is what was there, and their boards have memory to spare."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from balise_sim.fields import District, Place
from balise_sim.kits import KITS, model_of
from balise_sim.scenario import Scenario, bundled, homes_of
from balise_sim.street import Street, places
from journey.at_hub import values_at_hub

KIT_SCENARIO = bundled("kits")
LISTENER = "noise-pico"  # takes twenty times as long as all the others together
# Channel at the hub: the district's quantity, units in one of it, how far off it may be
MEASURED = {
    "laeq": ("laeq", 10, 1.0),
    "temperature": ("temperature", 100, 0.15),
    "humidity": ("humidity", 100, 0.5),
    "pressure": ("pressure", 1, 10),
    "co2": ("co2", 1, 2),
    "pm1": ("pm1", 10, 0.5),
    "pm2_5": ("pm2_5", 10, 0.5),
    "pm4": ("pm4", 10, 0.5),
    "pm10": ("pm10", 10, 0.7),
}
GIVES = {
    "noise-pico": ("laeq",),
    "pollen-pico": ("pm1", "pm2_5", "pm10", "temperature", "humidity"),
    "gas-s3": ("temperature", "humidity", "pressure", "co2"),
    "fine-esp32": ("pm1", "pm2_5", "pm4", "pm10"),
    "power-esp32": ("temperature",),
}
# What a kit can do without, in bytes of the board's heap: firmware/README.md says it too. They break some KB later
SPARE_BYTES = {
    "air-esp32": 8_000,
    "air-pico": 32_000,
    "noise-pico": 32_000,
    "pollen-pico": 40_000,
    "gas-s3": 28_000,
    "fine-esp32": 8_000,
    "power-esp32": 8_000,
}


def played(scenario: Scenario, folder: Path, seed: int) -> Street:
    street = Street(scenario, folder, seed)
    verdict = street.play()
    assert verdict.ok, verdict
    return street


def is_near(place: Place, name: str, value: float | None, us: int) -> bool:
    """Whether the hub's value is the district's of that moment; a level is that of the period before it."""
    quantity, scale, tolerance = MEASURED[name]
    from_us = us - KIT_SCENARIO.period_s * 1_000_000 if quantity == "laeq" else us
    if from_us < 0:
        return value is not None  # the first row of a microphone is of less than a period
    truth = place.mean(quantity, from_us, max(us, from_us + 1), 1)
    return value is not None and abs(value / scale - truth) <= tolerance


@pytest.mark.parametrize(("seed", "kits"), [(4, list(GIVES)), (5, list(GIVES)[1:]), (6, list(GIVES)[1:])])
def test_homes_of_all_kits_are_measured_as_they_were(seed: int, kits: list[str], tmp_path: Path) -> None:
    """The listener with one seed only."""
    homes = KIT_SCENARIO.homes[-len(kits) :]
    scenario = replace(KIT_SCENARIO, homes=homes)
    street = played(scenario, tmp_path, seed)
    district, start_s = District(seed, scenario.start_utc_ms), scenario.start_utc_ms / 1000
    for number, (home, kit) in enumerate(zip(homes, kits, strict=True)):
        place = district.place(40.0 * number, 8 + 25.0 * number)
        rows = values_at_hub(street, home.name)
        assert len(rows) >= 5, home
        for at, row in rows.items():
            us = round((at - start_s) * 1e6)
            far_off = [(name, row[name]) for name in GIVES[kit] if not is_near(place, name, row[name], us)]
            assert not far_off, (home, us, far_off)
            if kit == "power-esp32":
                battery = model_of("battery").CHANNELS["battery"]
                assert row["battery"] == pytest.approx(1000 * battery.usual, abs=1000 * battery.resolution)


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_the_exact_interval_of_a_count_holds_what_was_in_the_air(seed: int, tmp_path: Path) -> None:
    """A morning of pollen: the concentration is no more than a count, and its interval says so."""
    scenario = replace(KIT_SCENARIO, homes=homes_of(1, ["pollen-pico"]), hours=6, batch_s=3600, events=())
    street = played(scenario, tmp_path, seed)
    rows = sorted(values_at_hub(street, scenario.homes[0].name).items())
    (at, row), place = rows[-1], places(scenario, seed)(0)
    counted = [(each["coarse_count"], each["sampled_volume"]) for _, each in rows]
    count = sum(n for n, _ in counted if n is not None)
    litres = sum(ml for _, ml in counted if ml is not None) / 1000
    low, found, high = (row[f"coarse_24h_{part}per_m3"] for part in ("low_", "", "high_"))
    assert found == pytest.approx(10_000 * count / litres, rel=0.002), "volumes of rows are rounded"
    assert isinstance(place, Place)
    truth = place.mean("coarse_per_m3", 0, round((at - scenario.start_utc_ms / 1000) * 1e6))
    assert low is not None
    assert high is not None
    assert 0 < low / 10 <= truth <= high / 10
    assert high < 10 * low, "an interval that holds everything says nothing"


def test_indices_of_gases_begin_when_there_is_something_to_compare_with(tmp_path: Path) -> None:
    """None for 45 s; then air that stays the same becomes the usual: 100 for VOC, 1 for NOx. None at all at 60 s."""
    scenario = replace(KIT_SCENARIO, homes=homes_of(1, ["gas-s3"]), period_s=10, events=())
    rows = [row for _, row in sorted(values_at_hub(played(scenario, tmp_path, 4), scenario.homes[0].name).items())]
    found = [(row["voc_index"], row["nox_index"]) for row in rows]
    assert set(found[:4]) == {(None, None)}
    begun = [(voc, nox) for voc, nox in found if voc is not None]
    assert len(begun) >= len(found) - 6
    vocs = [voc for voc, _ in begun]
    assert vocs == sorted(vocs)
    assert (vocs[0] >= 1, vocs[-1]) == (True, 100)
    assert {nox for _, nox in begun} == {1}


def test_each_kit_has_memory_to_spare(tmp_path: Path) -> None:
    """With so much less heap each node still runs from its one boot on and loses nothing, as its guide says."""
    guide = (Path(__file__).parents[2] / "firmware" / "README.md").read_text(encoding="utf-8")
    for kit, spare_bytes in SPARE_BYTES.items():
        assert re.search(rf"\| `{kit}` \|.*\| {spare_bytes:,} \|", guide), kit
    scenario = replace(KIT_SCENARIO, homes=homes_of(len(KITS), list(KITS)), hours=0.04, events=())
    street = Street(scenario, tmp_path, 4)
    for node, kit in zip(street.world.nodes.values(), KITS, strict=True):
        node.board = replace(node.board, free_heap_bytes=node.board.free_heap_bytes - SPARE_BYTES[kit])
    verdict = street.play()
    for node, kit in zip(street.world.nodes.values(), KITS, strict=True):
        assert (node.boots, node.fault, node.native_heap.refused) == (1, None, []), (kit, node.console.text())
    assert verdict.ok, verdict
