"""Every correction of `quality/models/` keeps its contract, on everything that a channel can hold."""

from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway import plugins
from balise_gateway.quality import models
from balise_gateway.quality.models import Model
from balise_gateway.quality.records import Record, sign
from balise_wire import cbor
from balise_wire.channels import channel
from balise_wire.envelope import Signer

EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {  # by model: its settings, and a sensor that it is for
    "barkjohn_2021": ({"channel": "pm2_5_cf1"}, "pms5003"),
    "calibration": ({"channel": "pm2_5", "node": "urn:dev:ops:1"}, "sds011"),
    "hackair": ({"channel": "pm2_5"}, "sds011"),
    "kappa_koehler": ({"channel": "pm10", "kappa": 0.38}, "opc_n3"),
    "table": ({"channel": "temperature", "points": "-40 -41, 0 0.5, 85 84"}, "bme280"),
}
KINDS = plugins.kinds(models)
SIGNER = Signer(b"m" * 32)
each = pytest.mark.parametrize("kind", KINDS)


@cache
def _record() -> Path:
    texts = {f.name: "1" for f in fields(Record)} | {"node": "urn:dev:ops:1", "channel": "pm2_5", "sensor": "sds011"}
    numbers = {"from_utc_ms": 0, "to_utc_ms": 1, "window_s": 3_600, "n": 200, "low": "2", "high": "90"}
    told: dict[str, Any] = {**texts, **numbers, "unit": "ug/m3", "model": "linear_rh", "errors": ("0", "0", "0")}
    path = Path(mkdtemp()) / "record.cose"
    path.write_bytes(sign(SIGNER, Record(**{**told, "coefficients": ("-2", "0.6", "-0.05")})))
    return path


def made(kind: str) -> tuple[ModuleType, Model, dict[object, object]]:
    module = plugins.load(models, kind)
    keys, sensor = EXAMPLES[kind]
    if kind == "calibration":
        keys = {**keys, "record": _record(), "public_key": SIGNER.public_key}
    settings = module.Settings(kind=kind, **keys)
    problem = settings.problem() if hasattr(settings, "problem") else None
    assert problem is None
    model: Model = module.Model(settings)
    return module, model, channel(keys["channel"]).manifest_entry(sensor)


def test_every_model_has_an_example() -> None:
    assert sorted(EXAMPLES) == KINDS


@each
def test_it_says_what_it_is(kind: str) -> None:
    module, model, entry = made(kind)
    assert module.VERSION >= 1
    assert module.SOURCE
    assert model.problem_with(entry) is None
    assert cbor.decode(cbor.encode({**model.told()})) == model.told()


@each
@given(value=st.floats(-1_000, 20_000), humidity_pct=st.floats(-5, 105))
def test_it_corrects_or_refuses(kind: str, value: float, humidity_pct: float) -> None:
    _, model, _ = made(kind)
    found = model.corrected(value, humidity_pct)
    assert found == model.corrected(value, humidity_pct)
    if model.NEEDS_HUMIDITY and not 0 <= humidity_pct <= 90:
        assert found is None
    if found is not None:
        assert kind == "calibration" or not found.doubtful or found.value == 0
        assert abs(found.value) <= 1e6
