"""Corrections: one module each, found by its name, which is the model's id.

The contract, of a module `models/<id>.py`:

* `VERSION`: counts up when the same input would give another output. `SOURCE`: who published it.
* `Settings(CorrectionSettings)`: the keys of `[[correction]]` with this kind.
* `Model(settings)`: raises ConfigError where a file of its settings cannot be used. `NEEDS_HUMIDITY`;
  `problem_with(entry)`: why it cannot be used on that channel of a manifest, or None; `corrected(value, humidity_pct)`:
  in the channel's unit, `Corrected`, or None where the model does not hold; `told()`: its parameters for the manifest,
  as texts; maybe `cal`, the id of a calibration record.

A corrected value is a channel of its own beside the raw one, which stays. `tests/contracts/test_model.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol

from balise_gateway.settings import Key

HUMIDITY = "humidity"


class Corrected(NamedTuple):
    """What a model makes of a value; `doubtful`: clipped at 0, or beyond what the model was made from."""

    value: float
    doubtful: bool = False


@dataclass(frozen=True, kw_only=True)
class CorrectionSettings:
    """[[correction]]: the keys that every model has."""

    kind: Annotated[str, Key("the model")]
    channel: Annotated[str, Key("the channel that is corrected; it stays as it is, the corrected one stands beside it")]
    node: Annotated[str | None, Key("the node's name; unset: every node that has the channel")] = None


@dataclass(frozen=True, kw_only=True)
class HumiditySettings(CorrectionSettings):
    """The keys of models that need the relative humidity of the same node."""

    max_humidity_pct: Annotated[
        float, Key("above this nothing is corrected: there 3 points of humidity change the result by half", most=95)
    ] = 90.0


class Model(Protocol):
    """One correction, ready for use."""

    NEEDS_HUMIDITY: bool

    def problem_with(self, entry: Mapping[object, object]) -> str | None: ...

    def corrected(self, value: float, humidity_pct: float) -> Corrected | None: ...

    def told(self) -> dict[str, str]: ...


def clipped(value: float) -> Corrected:
    """Nothing weighs less than nothing: clipped at 0, and told."""
    return Corrected(value) if value >= 0 else Corrected(0.0, doubtful=True)


def name_of(entry: Mapping[object, object]) -> str:
    return str(entry.get("n"))
