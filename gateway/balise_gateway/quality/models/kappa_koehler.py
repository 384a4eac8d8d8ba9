"""Growth of dust in wet air by kappa-Koehler theory (Crilley 2018, AMT 11:709).

Promises raw / C with C = 1 + (kappa / 1.65) / (1 / a_w - 1) and a_w = RH / 100. kappa says how much water the dust
takes, by what it is made of: 0.38 to 0.41 in Crilley 2018, below 0.05 in other places. It is local, so it must be
given. At 92 % RH three points of humidity change the result by half: above `max_humidity_pct` nothing is corrected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from balise_gateway.quality.models import Corrected, HumiditySettings, name_of
from balise_gateway.settings import Key

VERSION = 1
SOURCE = "doi:10.5194/amt-11-709-2018"
_DENSITY = 1.65  # of dry dust, g/cm3


@dataclass(frozen=True, kw_only=True)
class Settings(HumiditySettings):
    """[[correction]] kind = "kappa_koehler" """

    kappa: Annotated[float, Key("how much water the dust here takes up", least=0, most=1.5)]

    def problem(self) -> str | None:
        return None if self.channel.startswith("pm") else f"channel = {self.channel!r}: this model is for dust (pm...)"


class Model:
    """One kappa, up to the humidity of the settings."""

    NEEDS_HUMIDITY = True

    def __init__(self, settings: Settings) -> None:
        self._kappa, self._max_humidity_pct = settings.kappa, settings.max_humidity_pct

    def problem_with(self, entry: Mapping[object, object]) -> str | None:
        return None if entry.get("u") == "ug/m3" else f"{name_of(entry)} is in {entry.get('u')}, not in ug/m3"

    def corrected(self, value: float, humidity_pct: float) -> Corrected | None:
        if not 0 <= humidity_pct <= self._max_humidity_pct:
            return None
        return Corrected(value / growth(humidity_pct, self._kappa))

    def told(self) -> dict[str, str]:
        return {"kappa": f"{self._kappa:g}", "max_humidity_pct": f"{self._max_humidity_pct:g}"}


def growth(humidity_pct: float, kappa: float) -> float:
    """C: how much more the dust weighs than dry. `humidity_pct` below 100."""
    activity = humidity_pct / 100
    return 1 + kappa / _DENSITY * activity / (1 - activity)
