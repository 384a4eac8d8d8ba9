"""Corrections beside raw values: the published numbers, where each model holds, and what reaches the journal."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway import settings
from balise_gateway.arrival.intake import Intake
from balise_gateway.errors import ConfigError
from balise_gateway.nodes.manifests import Columns, witnessed
from balise_gateway.quality import FAIL, SUSPECT, models
from balise_gateway.quality.corrections import Corrections
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.models import barkjohn_2021, hackair, kappa_koehler, table
from balise_gateway.quality.qualifier import Quality
from balise_gateway.sources import mqtt_json
from balise_wire import cbor
from balise_wire.channels import channel
from balise_wire.items import Manifest, Readings
from gateway import test_foreign
from gateway.closing_bench import NODES, Bench, bench
from gateway.support import NAME, AirNode, played

T0 = 1_544_313_600


@pytest.mark.parametrize(
    ("cf1", "humidity_pct", "told"),
    [
        (5, 95, 0.181),
        (10, 50, 6.68),
        (30, 50, 17.16),
        (35, 50, 22.0725),
        (35, 90, 18.6245),
        (50, 50, 40.74),
        (100, 60, 79.178),
        (230, 40, 193.221),
        (300, 40, 289.526),
    ],
)
def test_barkjohn_2021(cf1: float, humidity_pct: float, told: float) -> None:
    """Published pieces, evaluated by hand; AirGradient's firmware has the same."""
    assert barkjohn_2021.pm2_5(cf1, humidity_pct) == pytest.approx(told, abs=5e-4)


@given(edge=st.sampled_from([30.0, 50.0, 210.0, 260.0]), humidity_pct=st.floats(0, 100))
def test_barkjohn_2021_has_no_steps(edge: float, humidity_pct: float) -> None:
    below, at = barkjohn_2021.pm2_5(edge * (1 - 1e-12), humidity_pct), barkjohn_2021.pm2_5(edge, humidity_pct)
    assert below == pytest.approx(at, abs=1e-6)


@given(cf1=st.floats(0, 1_000), humidity_pct=st.floats(0, 90), more=st.floats(0, 50))
def test_barkjohn_2021_rises_with_dust(cf1: float, humidity_pct: float, more: float) -> None:
    assert barkjohn_2021.pm2_5(cf1 + more, humidity_pct) >= barkjohn_2021.pm2_5(cf1, humidity_pct) - 1e-9


@pytest.mark.parametrize(
    ("humidity_pct", "crilley_38", "crilley_41", "pm10", "pm2_5"),
    [
        (50, 1.230, 1.248, 1.014, 1.001),
        (70, 1.537, 1.580, 1.102, 1.023),
        (85, 2.305, 2.408, 1.316, 1.120),
        (90, 3.073, 3.236, 1.441, 1.197),
        (95, 5.376, 5.721, 1.605, 1.314),
    ],
)
def test_growth_and_divisors(
    humidity_pct: float, crilley_38: float, crilley_41: float, pm10: float, pm2_5: float
) -> None:
    assert kappa_koehler.growth(humidity_pct, 0.38) == pytest.approx(crilley_38, abs=6e-4)
    assert kappa_koehler.growth(humidity_pct, 0.41) == pytest.approx(crilley_41, abs=6e-4)
    assert hackair.divisor("pm10", humidity_pct) == pytest.approx(pm10, abs=6e-4)
    assert hackair.divisor("pm2_5", humidity_pct) == pytest.approx(pm2_5, abs=6e-4)


def test_why_nothing_is_corrected_in_wet_air() -> None:
    """Three points of humidity at 92 % move kappa-Koehler by 47 %."""
    assert kappa_koehler.growth(92, 0.38) == pytest.approx(3.65, abs=0.005)
    assert kappa_koehler.growth(95, 0.38) / kappa_koehler.growth(92, 0.38) == pytest.approx(1.47, abs=0.005)


@given(humidity_pct=st.floats(0, 89.9), kappa=st.floats(0, 1.5), more=st.floats(0.01, 0.1))
def test_growth_rises_with_humidity_and_never_shrinks(humidity_pct: float, kappa: float, more: float) -> None:
    now, wetter = kappa_koehler.growth(humidity_pct, kappa), kappa_koehler.growth(humidity_pct + more, kappa)
    assert 1 <= now <= wetter <= now * 1.2


def test_a_table_has_straight_lines_and_two_ends() -> None:
    model = table.Model(table.Settings(kind="table", channel="pm2_5", points="0 0, 50 41.5, 200 150"))
    told = [model.corrected(value, 0) for value in (0, 25, 50, 125, 200, 200.1, -0.1)]
    assert [one and one.value for one in told] == [0, 20.75, 41.5, pytest.approx(95.75), 150, None, None]


@pytest.mark.parametrize(
    "points", ["", "0 0", "0 0, 0 1", "5 1, 4 2", "a b, c d", "0 0 0, 1 1", "0 0, nan 1", "0 0, inf 2"]
)
def test_a_table_that_is_none(points: str) -> None:
    told = {"kind": "table", "channel": "pm2_5", "points": points}
    with pytest.raises(ConfigError, match="points"):
        settings.build(table.Settings, told, "correction 1", "gateway.toml")


@pytest.mark.parametrize(
    ("module", "keys"),
    [
        (barkjohn_2021, {"kind": "barkjohn_2021", "channel": "pm2_5"}),
        (kappa_koehler, {"kind": "kappa_koehler", "channel": "temperature", "kappa": 0.4}),
        (hackair, {"kind": "hackair", "channel": "pm1"}),
        (kappa_koehler, {"kind": "kappa_koehler", "channel": "pm10", "kappa": 0.4, "max_humidity_pct": 99.0}),
    ],
)
def test_models_refuse_other_channels_and_too_wet_air(module: Any, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="correction 1"):
        settings.build(module.Settings, keys, "correction 1", "gateway.toml")


def columns_of(*entries: tuple[str, str]) -> Columns:
    told = [channel(name).manifest_entry(model) for name, model in entries]
    return witnessed(Manifest(1, {"tick_ms": 1_000, "channels": told}), NAME)


def corrections(*told: models.CorrectionSettings) -> Corrections:
    return Corrections(told)


EPA = barkjohn_2021.Settings(kind="barkjohn_2021", channel="pm2_5_cf1")
KAPPA = kappa_koehler.Settings(kind="kappa_koehler", channel="pm10", kappa=0.38)
PMS = columns_of(("pm2_5_cf1", "pms5003"), ("humidity", "bme280"), ("pm10", "pms5003"))


def test_the_raw_value_stays_and_the_corrected_one_says_what_made_it() -> None:
    counts = Counter[str]()
    item = Readings(1, None, [T0], [[350], [5_000], [400]])
    wide, columns = corrections(EPA, KAPPA).extend(NAME, item, PMS, counts)
    assert wide.columns == [[350], [5_000], [400], [221], [325]]  # 22.0725 and 40 / 1.2303
    assert (wide.flags, counts, item.columns) == ({}, {}, [[350], [5_000], [400]])
    assert columns.names[3:] == ("pm2_5.barkjohn_2021", "pm10.kappa_koehler")
    entry: Any = cbor.decode(columns.packed)
    assert entry["channels"][3]["corr"] == {
        "model": "barkjohn_2021",
        "version": 1,
        "of": "pm2_5_cf1",
        "source": "doi:10.5194/amt-14-4617-2021, extended form",
        "max_humidity_pct": "90",
        "fitted_to": "24-h means of PurpleAir, USA",
    }
    assert entry["channels"][4]["corr"]["kappa"] == "0.38"
    assert columns.ranges[3] is not None  # that of its base
    assert "corr" not in entry["channels"][0]


def test_refused_rows_are_missing_and_counted() -> None:
    counts = Counter[str]()
    values: list[list[int | None]] = [[350, None, 350, 350, 350], [5_000, 5_000, None, 9_001, 5_000], [1, 1, 1, 1, 1]]
    item = Readings(1, None, [T0 + 60 * row for row in range(5)], values, {0: [[4, FAIL]]})
    wide, _ = corrections(EPA).extend(NAME, item, PMS, counts)
    assert wide.columns[3] == [221, None, None, None, None]
    told = {"value_missing": 1, "humidity_missing": 1, "outside": 1, "value_failed": 1}
    assert counts == {f"uncorrected {why}": n for why, n in told.items()}


def test_no_correction_from_a_doubted_humidity() -> None:
    counts = Counter[str]()
    item = Readings(1, None, [T0, T0 + 60], [[350, 350], [5_000, 5_000], [1, 1]], {1: [[1, SUSPECT]]})
    wide, _ = corrections(EPA).extend(NAME, item, PMS, counts)
    assert wide.columns[3] == [221, None]
    assert counts == {"uncorrected humidity_doubted": 1}


def test_clipped_and_made_of_suspects_is_suspect() -> None:
    item = Readings(1, None, [T0, T0 + 60], [[20, 350], [9_000, 5_000], [1, 1]], {0: [[1, SUSPECT]]})
    wide, _ = corrections(EPA).extend(NAME, item, PMS, Counter())
    assert wide.columns[3] == [0, 221]  # 2 ug/m3 at 90 % would be -0.96
    assert wide.flags == {0: [[1, SUSPECT]], 3: [[0, SUSPECT], [1, SUSPECT]]}


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (columns_of(("pm2_5_cf1", "pms3003"), ("humidity", "bme280")), "fitted to"),
        (columns_of(("pm2_5_cf1", "pms5003")), "humidity"),
    ],
)
def test_where_a_model_does_not_hold_it_is_said(columns: Columns, why: str) -> None:
    made = corrections(EPA)
    item = Readings(1, None, [T0], [[350]] * len(columns.names))
    assert made.extend(NAME, item, columns, Counter()) == (item, columns)
    assert why in made.problems[NAME, "pm2_5_cf1", "barkjohn_2021"]


def test_a_correction_may_be_for_one_node() -> None:
    other = barkjohn_2021.Settings(kind="barkjohn_2021", channel="pm2_5_cf1", node="urn:dev:ops:other")
    item = Readings(1, None, [T0], [[350], [5_000], [1]])
    assert corrections(other).extend(NAME, item, PMS, Counter()) == (item, PMS)


def test_corrected_channels_are_signed_beside_raw_ones(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        b.intake = Intake(b.journal, NODES, b.clock, 1e6, (), Quality(LimitTable(), [KAPPA]))
        b.intake.ready()
        node = AirNode()
        b.take(node.row(T0 + 60), node.hello(), node.row(T0 + 120))  # one row waits for its manifest
        b.close(0)
        told = [item for item in b.items(0) if isinstance(item, (Manifest, Readings))]
        manifest: Any = told[0]
        assert [entry["n"] for entry in manifest.map["channels"]][5:] == ["pm10.kappa_koehler"]
        rows = [item for item in told if isinstance(item, Readings)]
        assert [column for item in rows for column in item.columns[1:2]] == [[41, 41]]
        assert [item.columns[5] for item in rows] == [[18, 18]]  # 4.1 ug/m3 at 84.83 %: C = 2.288

    bench(tmp_path, scene)


def test_foreign_devices_are_corrected_too(tmp_path: Path) -> None:
    async def scene() -> None:
        b = test_foreign.Bench(tmp_path)
        wanted = table.Settings(kind="table", channel="temperature", points="-40 -41, 60 59")
        source = mqtt_json.Source(test_foreign.SETTINGS, b.clock.boot_ms)
        quality = Quality(LimitTable(), [wanted])
        b.intake = Intake(b.journal, [], b.clock, 1e6, [(test_foreign.SETTINGS, source)], quality)
        b.intake.ready()
        for row in range(2):
            b.take(test_foreign.body(test_foreign.T0 + 60_000 * row))
            assert b.intake.commit()
        told = [item for item in b.items() if isinstance(item, (Manifest, Readings))]
        manifest: Any = told[0]
        assert [entry["n"] for entry in manifest.map["channels"]] == ["temperature", "humidity", "temperature.table"]
        assert [item.columns for item in told[1:] if isinstance(item, Readings)] == [
            [[2_150] * 2, [4_000] * 2, [2_050] * 2]
        ]
        b.crash()

    played(scene)
