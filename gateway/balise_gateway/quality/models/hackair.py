"""hackAIR's correction of dust for humidity (the hackAIR project's node firmware).

Promises PM10 / (1 + 0.81559 (RH/100)^5.83411) and PM2.5 / (1 + 0.48756 (RH/100)^8.60068). At 95 % RH it corrects four
times less than kappa-Koehler with 0.38: the choice of the model matters more than the sensor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balise_gateway.quality.models import Corrected, HumiditySettings, name_of

VERSION = 1
SOURCE = "hackAIR"
_CURVES = {"pm10": (0.81559, 5.83411), "pm2_5": (0.48756, 8.60068)}


@dataclass(frozen=True, kw_only=True)
class Settings(HumiditySettings):
    """[[correction]] kind = "hackair" """

    def problem(self) -> str | None:
        return None if self.channel in _CURVES else f"channel = {self.channel!r}: choose one of: {', '.join(_CURVES)}"


class Model:
    """The curve of one channel, up to the humidity of the settings."""

    NEEDS_HUMIDITY = True

    def __init__(self, settings: Settings) -> None:
        self._channel, self._max_humidity_pct = settings.channel, settings.max_humidity_pct

    def problem_with(self, entry: Mapping[object, object]) -> str | None:
        return None if entry.get("u") == "ug/m3" else f"{name_of(entry)} is in {entry.get('u')}, not in ug/m3"

    def corrected(self, value: float, humidity_pct: float) -> Corrected | None:
        if not 0 <= humidity_pct <= self._max_humidity_pct:
            return None
        return Corrected(value / divisor(self._channel, humidity_pct))

    def told(self) -> dict[str, str]:
        return {"max_humidity_pct": f"{self._max_humidity_pct:g}"}


def divisor(channel: str, humidity_pct: float) -> float:
    """What PM10 ("pm10") or PM2.5 ("pm2_5") is divided by."""
    factor, power = _CURVES[channel]
    return float(1 + factor * (humidity_pct / 100) ** power)
