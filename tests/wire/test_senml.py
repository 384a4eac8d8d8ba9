"""Expansion to SenML: exact decimals, honest times, flags, and both forms of it."""

import json
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_wire import senml
from balise_wire.errors import WireError
from balise_wire.items import Anchor, Readings

NODE = "urn:dev:ops:b4115e-air-01"


def manifest(*scales: int, **more: object) -> dict[object, object]:
    channels = [{"n": f"c{i}", "u": "Cel", "s": scale} for i, scale in enumerate(scales)]
    told: dict[object, object] = {"node": NODE, "channels": channels}
    told.update(more)
    return told


def test_records_of_the_issue_s_form() -> None:
    readings = Readings(1, None, [1544299407, 1544299552], [[27, None], [98797, 98799]], {1: [[0, 1], [1, 3]]})
    told: dict[object, object] = {
        "node": NODE,
        "channels": [{"n": "pm2_5", "u": "ug/m3", "s": 1}, {"n": "pressure", "u": "Pa", "s": 0}],
    }
    assert senml.expand(readings, told) == [
        {"n": f"{NODE}:pm2_5", "u": "ug/m3", "t": 1544299407, "v": 2.7},
        {"n": f"{NODE}:pressure", "u": "Pa", "t": 1544299407, "v": 98797},
        {"n": f"{NODE}:pressure", "u": "Pa", "t": 1544299552, "v": 98799, "flag": 3},
    ]


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-9, 18))
def test_values_are_exact_decimals_in_both_forms(value: int, scale: int) -> None:
    records = senml.expand(Readings(1, None, [0], [[value]]), manifest(scale))
    exact = Decimal(value).scaleb(-scale)
    assert json.loads(senml.to_json(records), parse_float=Decimal)[0]["v"] == exact
    assert cbor2.loads(senml.to_cbor(records))[0][2] == exact


def test_cbor_has_the_labels_of_rfc_8428_and_no_floats() -> None:
    data = senml.to_cbor(senml.expand(Readings(1, None, [100], [[27]], {0: [[0, 4]]}), manifest(1)))
    assert data.hex().endswith("02c48220181b64666c616704")  # 2: 4([-1, 27]), "flag": 4
    assert cbor2.loads(data) == [{0: f"{NODE}:c0", 1: "Cel", 6: 100, 2: Decimal("2.7"), "flag": 4}]


def test_ticks_that_are_no_seconds() -> None:
    readings = Readings(1, None, [1544299407250, 1544299408000], [[1, 2]])
    assert [record["t"] for record in senml.expand(readings, manifest(0, tick_ms=1))] == [1544299407.25, 1544299408]
    minutes = Readings(1, None, [25738323], [[1]])
    assert senml.expand(minutes, manifest(0, tick_ms=60000))[0]["t"] == 1544299380


def test_rows_of_a_boot_become_utc_by_its_anchor() -> None:
    readings = Readings(1, 3, [61, 206], [[1, 2]])
    anchors = [Anchor(2, 0, 0, "ntp", 0), Anchor(3, 5_000_000, 1_544_300_000_500, "ntp", 40)]
    assert [record["t"] for record in senml.expand(readings, manifest(0), anchors)] == [1544295061.5, 1544295206.5]


def test_rows_without_an_anchor_are_never_guessed() -> None:
    records = senml.expand(Readings(1, 3, [61], [[1]]), manifest(0), [Anchor(4, 0, 1544300000000, "ntp", 40)])
    assert records == [{"n": f"{NODE}:c0", "u": "Cel", "boot": 3, "ticks": 61, "v": 1}]


def test_the_anchor_that_leaves_the_least_doubt_is_taken() -> None:
    rough, good = Anchor(3, 0, 1_000_000_000, "between", 3_600_000), Anchor(3, 60_000, 2_000_060_000, "ntp", 40)
    assert senml.utc_ms_of(10, 1000, [rough, good]) == 2_000_010_000
    drifted = Anchor(3, 500_000_000, 2_500_000_900, "ntp", 40)  # a clock that was 900 ms late after six days
    assert senml.utc_ms_of(499_999, 1000, [good, drifted]) == 2_499_999_900
    assert senml.utc_ms_of(61, 1000, [good, drifted]) == 2_000_061_000
    assert senml.utc_ms_of(61, 1000, []) is None


def test_a_manifest_of_other_rows_is_refused() -> None:
    with pytest.raises(WireError, match="rows of 1 columns, but manifest 7 has 2 channels"):
        senml.expand(Readings(7, None, [0], [[1]]), manifest(0, 0))
    with pytest.raises(WireError, match="malformed"):
        senml.expand(Readings(7, None, [0], [[1]]), {"node": NODE})
