"""Side by side with a reference: the line, what it is worth, when it is refused, the record, and its use."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from balise_gateway import config, keys, settings
from balise_gateway.errors import ConfigError
from balise_gateway.nodes.manifests import witnessed
from balise_gateway.quality import SUSPECT, past, records
from balise_gateway.quality.colocation import Points, pair, propose
from balise_gateway.quality.corrections import Corrections
from balise_gateway.quality.fit import apply, cv_pct, fit
from balise_gateway.quality.models import calibration
from balise_gateway.quality.past import PastError
from balise_tools.main import app
from balise_wire import cbor
from balise_wire.channels import channel
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.items import Manifest, Readings
from gateway.closing_bench import SIGNER, Bench, bench
from gateway.support import NAME, ROW, AirNode, toml

# NIST Statistical Reference Datasets, "Norris" (linear, lower difficulty): y, x and the certified values
NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6 778.9 777.0
559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6 557.7 556.0 228.3 228.1
998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0 778.9 779.0
10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5
"""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START_MS = 1_544_313_600_000


def test_norris() -> None:
    numbers = [float(text) for text in NORRIS.split()]
    found = fit(numbers[1::2], numbers[0::2])
    assert found.n == 36
    assert found.coefficients == pytest.approx((-0.262323073774029, 1.00211681802045), rel=1e-11)
    assert found.errors == pytest.approx((0.232818234301152, 0.429796848199937e-03), rel=1e-9)
    assert found.residual_sd == pytest.approx(0.884796396144373, rel=1e-10)
    assert found.r2 == pytest.approx(0.999993745883712, rel=1e-12)


SENSOR = [12.0, 25.5, 7.25, 40.0, 18.5, 33.0, 5.5, 61.0, 28.75, 15.0]
HUMIDITY = [45.0, 60.0, 82.0, 38.0, 71.0, 55.0, 90.0, 41.0, 66.0, 77.0]
REFERENCE = [10.2, 15.1, 1.9, 31.0, 9.4, 22.8, -0.6, 44.1, 16.6, 6.9]


def test_a_term_for_humidity_as_numpy_has_it() -> None:
    """Computed with numpy 2.4.6, numpy.linalg.lstsq, and the covariance from the inverse of A^T A."""
    found = fit(SENSOR, REFERENCE, HUMIDITY)
    assert found.coefficients == pytest.approx((9.590959555664016, 0.667332358352529, -0.16481123502486184), rel=1e-9)
    assert found.errors == pytest.approx((2.584201560847607, 0.03210890725905674, 0.030628622466685396), rel=1e-9)
    assert (found.residual_sd, found.r2) == pytest.approx((1.086039706142136, 0.9951310615977476), rel=1e-9)


@given(
    points=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 100)), min_size=5, max_size=40, unique=True),
    offset=st.floats(-20, 20),
    gain=st.floats(0.2, 3),
    term=st.floats(-0.3, 0.3),
)
def test_a_true_line_is_found(points: list[tuple[float, float]], offset: float, gain: float, term: float) -> None:
    values, humidity = [value for value, _ in points], [wet for _, wet in points]
    reference = [apply((offset, gain, term), value, wet) for value, wet in points]
    try:
        found = fit(values, reference, humidity)
    except ValueError:
        return  # too few points that differ
    told = [apply(found.coefficients, value, wet) for value, wet in points]
    assert told == pytest.approx(reference, abs=1e-4)


def test_what_cannot_be_fitted_says_so() -> None:
    with pytest.raises(ValueError, match="did not move"):
        fit([5.0] * 4, [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="moved together"):
        fit([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0], [10.0, 20.0, 30.0, 40.0])
    with pytest.raises(ValueError, match="2 pairs for 2"):
        fit([1.0, 2.0], [1.0, 2.0])


def test_cv_of_two_units() -> None:
    assert cv_pct([[10.0, 20.0], [10.0, 20.0]]) == 0
    # each hour they are 1 off their mean: sqrt(4 / 3) of a mean of 15
    assert cv_pct([[9.0, 19.0], [11.0, 21.0]]) == pytest.approx(7.698, abs=1e-3)


def series(values: Sequence[float | None], step_ms: int = 600_000, flags: dict[int, int] | None = None) -> Points:
    return Points([START_MS + step_ms * (row + 1) for row in range(len(values))], values, flags or {})


def days(count: float, gain: float = 1.6, noise: float = 1.0, span: float = 40.0) -> tuple[Points, Points]:
    """A reference that goes up and down, and a sensor that reads too much, every ten minutes."""
    dice = random.Random(3)
    truth = [5 + span / 2 + span / 2 * (row % 97 - 48) / 48 for row in range(int(count * 144))]
    return series([3 + gain * value + dice.gauss(0, noise) for value in truth]), series(truth)


def refusals(sensor: Points, reference: Points, least_days: float = 7.0) -> list[str]:
    return propose("pm2_5", pair(sensor, reference, None, 3_600), least_days).refusals


def test_eight_days_are_enough() -> None:
    proposal = propose("pm2_5", pair(*days(8), None, 3_600))
    assert proposal.refusals == []
    assert proposal.fit is not None
    assert proposal.fit.coefficients == pytest.approx((-3 / 1.6, 1 / 1.6), rel=0.05)
    assert proposal.fit.n == 192


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        (days(6.9), ["6.9 days side by side; at least 7", "R2"][:1]),
        (days(8, span=4), ["moved by", "only; at least 5"]),
        (days(8, noise=80), ["R2 is 0."]),
        (days(8, gain=-1), ["the gain is -1", "the sensor falls"]),
        ((days(8)[0], series([None] * 1_152)), ["0.0 days", "0 common windows"]),
    ],
)
def test_too_little_is_refused_with_every_reason(pairs: tuple[Points, Points], why: list[str]) -> None:
    told = " | ".join(refusals(*pairs))
    for words in why:
        assert words in told


def test_windows_that_are_half_empty_or_flagged_do_not_count() -> None:
    sensor, reference = days(8)
    thin = Points(sensor.times_ms, [value if row % 6 < 3 else None for row, value in enumerate(sensor.values)], {})
    assert "common windows" in " ".join(refusals(thin, reference))
    flagged = replace(sensor, flags=dict.fromkeys(range(600), 4))
    assert len(pair(flagged, reference, None, 3_600).starts_ms) == 92


def test_levels_are_not_fitted_by_a_line() -> None:
    assert "not joined by a mean" in " ".join(propose("laeq", pair(*days(8), None, 3_600)).refusals)


RECORD = records.Record(
    node=NAME,
    channel="pm2_5",
    unit="ug/m3",
    sensor="sds011",
    serial="0A2B",
    reference="station.csv",
    from_utc_ms=START_MS,
    to_utc_ms=START_MS + 8 * DAY_MS,
    window_s=3_600,
    n=192,
    model="linear",
    coefficients=("-1.875", "0.625"),
    errors=("0.1", "0.01"),
    residual_sd="0.6",
    r2="0.99",
    rmse="0.6",
    nrmse_pct="3",
    cv_pct="24",
    low="11",
    high="75",
)


def test_a_record_is_what_was_signed() -> None:
    signed = records.sign(SIGNER, RECORD)
    assert records.verify(signed, SIGNER.public_key) == RECORD
    assert records.sign(SIGNER, RECORD) == signed
    assert len(records.name_of(signed)) == 16
    with pytest.raises(WireError, match="unknown key"):
        records.verify(signed, Signer(b"x" * 32).public_key)
    for at in range(0, len(signed), 7):
        spoilt = signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]
        with pytest.raises(WireError):
            records.verify(spoilt, SIGNER.public_key)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "other"},
        {"coefficients": ["1"]},
        {"coefficients": ["1", "nan"]},
        {"coefficients": ["1", "inf"]},
        {"coefficients": ["1", "much"]},
        {"n": "192"},
        {"node": 5},
        {"model": "cubic"},
    ],
)
def test_a_signed_record_of_the_wrong_shape_is_refused(change: dict[str, Any]) -> None:
    told: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in vars(RECORD).items()
    }
    with pytest.raises(WireError, match="malformed"):
        records.verify(SIGNER.sign(cbor.encode({"type": records.TYPE, **told, **change})), SIGNER.public_key)
    with pytest.raises(WireError, match="malformed"):
        records.verify(SIGNER.sign(cbor.encode([0, 1, [2]])), SIGNER.public_key)


def configured(folder: Path, record: records.Record = RECORD, **keys: Any) -> calibration.Settings:
    path = folder / "record.cose"
    path.write_bytes(records.sign(SIGNER, record))
    told = {"kind": "calibration", "channel": "pm2_5", "node": NAME, "record": path, "public_key": SIGNER.public_key}
    return calibration.Settings(**{**told, **keys})


def test_a_record_is_applied_beside_the_raw_value(tmp_path: Path) -> None:
    columns = witnessed(Manifest(1, {"channels": [channel("pm2_5").manifest_entry("sds011")]}), NAME)
    item = Readings(1, None, [1, 2, 3], [[200, 20, 800]])
    wide, wider = Corrections([configured(tmp_path)]).extend(NAME, item, columns, Counter())
    assert wide.columns == [[200, 20, 800], [106, 0, 481]]  # 10.625; -0.625 is clipped; 80 was never seen side by side
    assert wide.flags == {1: [[1, SUSPECT], [2, SUSPECT]]}
    told: Any = cbor.decode(wider.packed)
    entry = told["channels"][1]
    assert (entry["n"], entry["corr"]["gain"]) == ("pm2_5.calibration", "0.625")
    assert entry["cal"] == records.name_of((tmp_path / "record.cose").read_bytes())


def test_a_record_is_of_one_sensor(tmp_path: Path) -> None:
    columns = witnessed(Manifest(1, {"channels": [channel("pm2_5").manifest_entry("pms5003")]}), NAME)
    item, made = Readings(1, None, [1], [[200]]), Corrections([configured(tmp_path)])
    assert made.extend(NAME, item, columns, Counter()) == (item, columns)
    assert "of a sds011" in made.problems[NAME, "pm2_5", "calibration"]


def test_a_record_that_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    good = configured(tmp_path)
    for change, why in (
        ({"public_key": b"k" * 32}, "unknown key"),
        ({"record": tmp_path / "none.cose"}, "cannot be read"),
        ({"channel": "pm10"}, "not of pm10"),
        ({"node": "urn:dev:ops:other"}, "other"),
    ):
        with pytest.raises(ConfigError, match=why):
            Corrections([replace(good, **change)])  # type: ignore[arg-type]
    told = {"kind": "calibration", "channel": "pm2_5", "record": "r.cose", "public_key": "00" * 32}
    with pytest.raises(ConfigError, match="'node' is missing"):
        settings.build(calibration.Settings, told, "correction 1", "gateway.toml")


def csv_of(path: Path, points: Points, head: str = "pm2_5_ugm3") -> Path:
    rows = [f"{at / 1_000},{value}" for at, value in zip(points.times_ms, points.values, strict=True)]
    path.write_text("\n".join([f"time_utc,{head}", *rows, ""]))
    return path


def run(folder: Path, *arguments: str) -> Any:
    (folder / "gateway.toml").write_text(toml(folder))
    keys.load_or_make(folder)
    return CliRunner().invoke(app, ["gateway", "calibrate", *arguments, "-c", str(folder / "gateway.toml")])


def test_the_command_proposes_and_its_words_can_be_used(tmp_path: Path) -> None:
    sensor, reference = days(8)
    mine, theirs = csv_of(tmp_path / "mine.csv", sensor), csv_of(tmp_path / "station.csv", reference)
    told = run(tmp_path, str(mine), str(theirs), "--channel", "pm2_5", "--named", NAME, "--sensor", "sds011")
    assert told.exit_code == 0, told.output
    for words in (
        "192 common windows",
        "gain 0.6",
        "±",
        "residual SD",
        "CV between both",
        "without it nothing changes",
    ):
        assert words in told.output
    section = told.stdout[told.stdout.index("[[correction]]") :]
    loaded = config.parse(toml(tmp_path) + section, tmp_path / "gateway.toml")
    record = records.verify(loaded.corrections[0].record.read_bytes(), keys.load(tmp_path).public_key)
    assert (record.node, record.reference, record.n, record.sensor) == (NAME, "station.csv", 192, "sds011")
    assert Corrections(loaded.corrections).problems == {}


def test_the_command_refuses_and_writes_nothing(tmp_path: Path) -> None:
    sensor, reference = days(3)
    mine, theirs = csv_of(tmp_path / "mine.csv", sensor), csv_of(tmp_path / "station.csv", reference)
    told = run(tmp_path, str(mine), str(theirs), "--channel", "pm2_5", "--json")
    assert told.exit_code == 1
    found = json.loads(told.stdout)
    assert found["record"] is None
    assert any("3.0 days" in reason for reason in found["refused"])
    assert not (tmp_path / "calibrations").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("time_utc,pm10\n1,2\n", "no column 'pm2_5'"),
        ("when,pm2_5\n1,2\n", "no column 'time'"),
        ("time_utc,pm2_5\n2026-01-01T00:00:00,2\n", "line 2: '2026-01-01T00:00:00' has no time zone"),
        ("time_utc,pm2_5\n1,much\n", "line 2"),
        ("time_utc,pm2_5\n", "has no rows"),
        ("", "no column"),
    ],
)
def test_what_is_wrong_with_a_csv_file_is_said(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(PastError) as error:
        past.of_csv(path, "pm2_5")
    assert why in str(error.value)
    told = run(tmp_path, str(path), str(path), "--channel", "pm2_5")
    assert told.exit_code == 2
    assert run(tmp_path, str(path), str(path), "--channel", "dust").exit_code == 2


def test_a_csv_file_with_dates_and_holes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("time,pm2_5,relative_humidity_pct\n2018-12-09T01:00:00+01:00,2.5,80\n2018-12-09T00:10:00Z,,\n")
    found = past.of_csv(path, "pm2_5")
    assert (found.times_ms, found.values) == ([START_MS, START_MS + 600_000], [2.5, None])
    assert found.humidity_pct == [80.0, None]


def test_the_past_of_a_node_is_read_from_its_home_log(tmp_path: Path) -> None:
    async def scene(b: Bench) -> None:
        node = AirNode()
        bad = list(ROW)
        bad[0] = 200_000
        b.take(node.hello(), node.row(START_MS // 1_000), node.row(START_MS // 1_000 + 60, bad))
        b.take(node.row(5, since_boot=True))
        b.close(0)
        b.take(node.anchor(0, START_MS + HOUR_MS))
        b.close(0)
        found = past.of_log(b.journal.db, SIGNER.public_key, SIGNER.kid, NAME, "pm2_5")
        assert found.times_ms == [START_MS, START_MS + 60_000, START_MS + HOUR_MS + 5_000]
        assert (found.values, found.flags) == ([2.7, 20_000.0, 2.7], {1: 4})
        assert found.humidity_pct == [84.83] * 3
        assert (found.unit, found.sensor) == ("ug/m3", "bme280")
        with pytest.raises(PastError, match="no dated co2"):
            past.of_log(b.journal.db, SIGNER.public_key, SIGNER.kid, NAME, "co2")
        with pytest.raises(PastError, match="signing key"):
            past.of_log(b.journal.db, bytes(32), SIGNER.kid, NAME, "pm2_5")

    bench(tmp_path, scene)
