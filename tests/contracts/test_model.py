"""Every correction of `quality/models/` keeps its contract, on everything that a channel can hold."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway import plugins
from balise_gateway.quality import models
from balise_gateway.quality.models import Model
from balise_wire import cbor
from balise_wire.channels import channel

EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {  # by model: its settings, and a sensor that it is for
    "barkjohn_2021": ({"channel": "pm2_5_cf1"}, "pms5003"),
    "hackair": ({"channel": "pm2_5"}, "sds011"),
    "kappa_koehler": ({"channel": "pm10", "kappa": 0.38}, "opc_n3"),
    "table": ({"channel": "temperature", "points": "-40 -41, 0 0.5, 85 84"}, "bme280"),
}
KINDS = plugins.kinds(models)
each = pytest.mark.parametrize("kind", KINDS)


def made(kind: str) -> tuple[ModuleType, Model, dict[object, object]]:
    module = plugins.load(models, kind)
    keys, sensor = EXAMPLES[kind]
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
        assert not found.clipped or found.value == 0
        assert abs(found.value) <= 1e6
