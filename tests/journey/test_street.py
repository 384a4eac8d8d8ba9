"""From a chip to the hub and back: whole streets, on virtual time and with real processes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from balise_sim.demo import run as run_demo
from balise_sim.fields import District
from balise_sim.hub import HubStore
from balise_sim.layout import GATEWAY_SEED, secret
from balise_sim.processes import PacedStreet
from balise_sim.replay import Home as Place
from balise_sim.scenario import Event, Scenario, ScenarioError, bundled, homes_of, random_scenario
from balise_sim.soak import START_UTC_MS, WAYS
from balise_sim.street import Street, ledger_of
from balise_sim.verdict import Verdict, judge
from balise_wire.envelope import Signer, sign_envelope, verify_envelope
from balise_wire.items import Loss, Manifest, Readings
from journey.at_hub import items_at_hub, values_at_hub

HOUR_END_MS = START_UTC_MS + 3_600_000
HOUR = Scenario("hour", START_UTC_MS, 1, 60, 60, 600, homes_of(2), ())


def calm(**changes: object) -> Scenario:
    return Scenario(**{**HOUR.__dict__, **changes})  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_bytes_for_a_whole_day() -> None:
    """Two processes, so that nothing is shared but the seed."""
    command = [sys.executable, "-m", "balise_tools", "sim", "run", "pair", "--seed", "7", "--json"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (json.loads(run.communicate()[0].splitlines()[-1]) for run in runs)
    assert [run.returncode for run in runs] == [0, 0], first
    assert first["rows_produced"] == first["rows_at_hub"] > 2 * 1400
    assert (first["scenario"], first["seed"], first["rows_declared_lost"]) == ("pair", 7, 0)
    assert first["simulated_s"] >= 86_400
    assert "MicroPython" in first["vm_version"]
    assert len(first["hub_sha256"]) == 64
    assert all(300 < mah < 3000 for mah in first["energy_mah_per_day"].values())
    assert list(first["energy_mah_per_day"]) == [home.name for home in bundled("pair").homes]
    assert {**first, "wall_s": 0} == {**second, "wall_s": 0}


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    bytes_at_hub = []
    for seed in (1, 2):
        street = Street(HOUR, tmp_path / str(seed), seed)
        assert street.play().ok
        store = HubStore(street.site.hub_db)
        bytes_at_hub.append([cose for kid, log in store.logs() for _, cose in store.envelopes(kid, log)])
        store.close()
    assert bytes_at_hub[0] != bytes_at_hub[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", [11, 105])
def test_random_faults_lose_and_double_nothing(way: str, seed: int, tmp_path: Path) -> None:
    verdict = WAYS[way](random_scenario(seed, START_UTC_MS), tmp_path, seed)
    assert verdict.ok, verdict


@pytest.mark.parametrize("mode", ["refuse", "stall", "forget"])
def test_a_hub_that_misbehaves_gets_everything_once_in_the_end(mode: str, tmp_path: Path) -> None:
    verdict = Street(calm(events=(Event(15, 25, "hub", mode=mode),)), tmp_path, 1).play()
    assert verdict.ok, verdict
    assert verdict.produced >= 2 * 58


def test_a_node_without_a_gateway_at_first_dates_its_rows_later(tmp_path: Path) -> None:
    """Rows kept before the first answer bear (boot, ticks); the anchor that follows gives them their time."""
    street = Street(calm(events=(Event(0, 12, "kill", "gateway"),)), tmp_path, 1)
    verdict = street.play()
    assert verdict.ok, verdict
    undated = [row for row in ledger_of(street.world) if row.utc_s is None]
    assert len(undated) >= 2 * 8


def test_what_is_at_the_hub_is_what_was_in_the_air(tmp_path: Path) -> None:
    """Within the sensor's resolution and the driver's integer arithmetic, hours of real weather come through."""
    street = Street(HOUR, tmp_path, 3)
    assert street.play().ok
    place = Place(HOUR.start_utc_ms, 0)
    for name, column, scale, tolerance in (("temperature", 2, 100, 0.02), ("pressure", 4, 1, 3), ("pm2_5", 0, 10, 0.1)):
        truth = place.channel(name)
        assert truth is not None
        for row in ledger_of(street.world):
            if row.node == HOUR.homes[0].name and row.utc_s is not None:
                value, at_us = row.values[column], row.utc_s * 1_000_000 - HOUR.start_utc_ms * 1000
                assert value is not None
                near = [truth(at_us + second * 1_000_000) for second in range(-2, 4)]
                assert min(abs(value / scale - true) for true in near) <= tolerance


def test_sensors_that_fail_leave_missing_values_and_nothing_else(tmp_path: Path) -> None:
    scenario = bundled("sensors")
    street = Street(scenario, tmp_path, 1)
    verdict = street.play()
    assert verdict.ok, verdict
    for home in scenario.homes:
        rows = values_at_hub(street, home.name)
        for event in (event for event in scenario.events if event.node == home.name):
            model, _, fault = event.what.partition(".")
            start_s = scenario.start_utc_ms / 1000 + event.at_min * 60
            end_s = start_s + event.for_min * 60
            during = [row for at, row in rows.items() if start_s + 60 < at < end_s]
            after = [row for at, row in rows.items() if end_s + 30 < at < end_s + 120]
            assert (len(during) >= 5, len(after) >= 1) == (True, True), event
            missing = {"bme280": "temperature"}.get(model, "pm2_5")
            harmless = fault == "noise"  # frames are found among the noise
            assert all((row[missing] is None) != harmless for row in during), (event, during)
            assert all(row[missing] is not None for row in after), (event, after)


def test_boards_that_fail_lose_nothing_that_they_do_not_tell(tmp_path: Path) -> None:
    """Outside the faults the values are those of the air; what a full flash refuses is told with its span of time."""
    scenario = bundled("faults")
    street = Street(scenario, tmp_path, 1)
    verdict = street.play()
    assert verdict.ok, verdict
    (full,) = (event for event in scenario.events if event.what == "flash.full")
    (loss,) = (item for item in items_at_hub(street) if isinstance(item, Loss))
    start_s = scenario.start_utc_ms // 1000
    refused = {start_s + 60 * minute for minute in range(int(full.at_min) + 1, int(full.at_min + full.for_min) + 1)}
    assert (loss.node, loss.reason, {loss.first, loss.last} <= refused) == (full.node, "store full", True)
    for number, home in enumerate(scenario.homes):
        spans = [(e.at_min - 0.5, e.at_min + e.for_min + 2.5) for e in scenario.events if e.node == home.name]
        rows = values_at_hub(street, home.name)
        place = Place(scenario.start_utc_ms, number)
        truth = place.channel("temperature")
        assert truth is not None
        missing = {start_s + 60 * minute for minute in range(2, 75)} - rows.keys()
        assert missing == (refused if home.name == full.node else set())
        for at, row in rows.items():
            minute = (at - start_s) / 60
            if any(begin <= minute <= end for begin, end in spans):
                continue
            assert None not in row.values(), (home.name, minute, row)
            near = [truth(round((at - start_s + second) * 1e6)) for second in range(-2, 6)]
            value = row["temperature"]
            assert value is not None
            assert min(abs(value / 100 - true) for true in near) <= 0.02


def test_a_bit_that_flips_in_flash_is_told_with_the_frame_it_was_in(tmp_path: Path) -> None:
    homes = homes_of(1)
    events = (Event(2, 30, "link", homes[0].name), Event(31, 1, "flash.bit_rot", homes[0].name))
    street = Street(calm(homes=homes, events=events), tmp_path, 1)
    verdict = street.play()
    assert (verdict.lost, verdict.declared_lost, verdict.delivered) == ([], 1, verdict.produced - 1)
    (loss,) = (item for item in items_at_hub(street) if isinstance(item, Loss))
    assert (loss.what, loss.reason) == ("frames", "damaged in flash")


@pytest.mark.parametrize(("mode", "days"), [("ahead", {0, 365}), ("back", {0}), ("unknown", {0})])
def test_a_gateway_whose_clock_is_wrong_loses_no_row(mode: str, days: set[int], tmp_path: Path) -> None:
    """Rows made while a clock is sure of itself and wrong may be dated by it; those made once it is right are not."""
    street = Street(calm(homes=homes_of(1), events=(Event(20, 10, "clock", mode=mode),)), tmp_path, 1)
    verdict = street.play()
    began_ms = min(row.at_ms for row in ledger_of(street.world))
    assert all(20 <= (row.at_ms - began_ms) / 60_000 < 31 for row in verdict.lost), verdict
    assert not verdict.lost or mode != "unknown"
    assert not verdict.duplicated
    assert sum(len(item.times) for item in items_at_hub(street) if isinstance(item, Readings)) >= verdict.produced
    rows = ledger_of(street.world)
    assert {round((row.utc_s - row.at_ms / 1000) / 86_400) for row in rows if row.utc_s is not None} == days
    assert any(row.utc_s is None for row in rows) == (mode != "unknown")


def test_real_processes_refuse_a_clock_of_the_gateways_own(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="virtual time only"):
        PacedStreet(calm(events=(Event(1, 1, "clock", mode="back"),)), tmp_path, 1, 1000)


def test_what_a_sensor_says_of_itself_reaches_the_hub_beside_its_values(tmp_path: Path) -> None:
    """Its status word is a channel, and the values that it doubts bear a flag; neither replaces a value."""
    homes = homes_of(1, ["pico_w+nextpm"])
    event = Event(20, 20, "nextpm.degraded", homes[0].name)
    street = Street(calm(homes=homes, events=(event,)), tmp_path, 1)
    assert street.play().ok
    rows = [item for item in items_at_hub(street) if isinstance(item, Readings)]
    (manifest,) = {
        tuple(entry["n"] for entry in item.map["channels"])
        for item in items_at_hub(street)
        if isinstance(item, Manifest)
    }
    pm2_5, status = manifest.index("pm2_5"), manifest.index("nextpm_status")
    doubted = {(item.times[row], flag) for item in rows for row, flag in item.flags.get(pm2_5, []) if item.boot is None}
    words = {
        item.times[row]: word for item in rows for row, word in enumerate(item.columns[status]) if item.boot is None
    }
    start_s = HOUR.start_utc_ms // 1000
    during = {time_s for time_s in words if start_s + 21 * 60 < time_s < start_s + 39 * 60}
    assert len(during) >= 17
    assert {time_s for time_s, _ in doubted} >= during
    assert {flag for _, flag in doubted} == {3}
    assert all(bool(words[time_s] & 0x02) == (time_s in {each for each, _ in doubted}) for time_s in words)
    assert all(value is not None for item in rows for value in item.columns[pm2_5])


def test_a_day_in_the_district_is_measured_as_it_was(tmp_path: Path) -> None:
    """The truth of the fields is kept: how far off were we?"""
    scenario = replace(bundled("district"), hours=6, homes=homes_of(1))
    street = Street(scenario, tmp_path, 4)
    assert street.play().ok
    place = District(4, scenario.start_utc_ms).place(0, 8)
    rows = values_at_hub(street, scenario.homes[0].name)
    assert len(rows) >= 70
    for name, scale, tolerance in (("temperature", 100, 0.1), ("pressure", 1, 10), ("pm2_5", 10, 0.5)):
        for at, row in rows.items():
            us = round((at - scenario.start_utc_ms / 1000) * 1e6)
            value = row[name]
            assert value is not None
            assert abs(value / scale - place.mean(name, us, us + 1, 1)) < tolerance


def test_the_hub_is_told_whom_to_trust(tmp_path: Path) -> None:
    street = Street(HOUR, tmp_path, 1)
    assert street.play().ok
    items = items_at_hub(street)
    manifests = [item.map for item in items if isinstance(item, Manifest)]
    assert {m["node"] for m in manifests} == {home.name for home in HOUR.homes}
    assert {m["trust"] for m in manifests} == {"gateway-witnessed"}


def verdict_after(street: Street, change: Callable[[HubStore], None]) -> Verdict:
    """The verdict on a street that came home, after something was done to the hub's store."""
    assert street.play().ok
    store = HubStore(street.site.hub_db)
    change(store)
    verdict = judge(ledger_of(street.world), store, street.site.gateway_keys, HOUR_END_MS)
    store.close()
    assert not verdict.ok
    return verdict


def test_a_changed_envelope_is_found(tmp_path: Path) -> None:
    change = "UPDATE envelope SET cose = CAST(cose || x'00' AS BLOB) WHERE seq = 2"
    verdict = verdict_after(Street(HOUR, tmp_path, 1), lambda store: run_sql(store, change))
    assert verdict.unverified
    assert verdict.lost


def test_a_missing_envelope_is_found(tmp_path: Path) -> None:
    change = "DELETE FROM envelope WHERE seq = 2"
    verdict = verdict_after(Street(HOUR, tmp_path, 1), lambda store: run_sql(store, change))
    assert verdict.holes
    assert verdict.lost


def test_a_doubled_row_is_found(tmp_path: Path) -> None:
    """Rows of an envelope, signed again under the next number."""

    def double(store: HubStore) -> None:
        ((kid, log),) = store.logs()
        *_, (seq, cose) = store.envelopes(kid, log)
        again = [item.pack() for item in verify_envelope(cose, street.site.gateway_keys).items]
        signed = sign_envelope(Signer(secret(1, GATEWAY_SEED, 32)), log, seq + 1, again)
        with store.transaction():
            store.keep(signed, verify_envelope(signed, street.site.gateway_keys))

    street = Street(HOUR, tmp_path, 1)
    assert verdict_after(street, double).duplicated


def run_sql(store: HubStore, sql: str) -> None:
    with store.transaction() as db:
        db.execute(sql)


def test_the_demo_runs_headless_and_says_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    short = calm(hours=2, events=(Event(30, 20, "cable"), Event(70, 8, "kill", "gateway")))
    verdict: Verdict = run_demo(short, 1, 720, headless=True)
    assert verdict.ok, verdict
    assert "rows kept" in capsys.readouterr().out


def test_a_street_that_does_not_come_home_ends_with_status_1(tmp_path: Path) -> None:
    """No time to bring anything home: the first envelope would close after the street has ended."""
    file = tmp_path / "short.toml"
    keys = {"hours": 0.2, "drain_min": 0, "period_s": 60, "batch_s": 36000, "homes": 1}
    lines = ['start_utc = "2018-12-09T00:00:00Z"', *(f"{key} = {value}" for key, value in keys.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "balise_tools", "sim", "run", str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "NOT every row" in done.stdout


@pytest.mark.parametrize("name", ["street", "pair"])
def test_the_bundled_scenarios_have_every_kind_of_fault(name: str) -> None:
    assert {event.what for event in bundled(name).events} == {"cable", "kill", "link", "hub"}
