"""EPA's correction of PurpleAir PM2.5 (Barkjohn 2021, AMT 14:4617; extended form of the AirNow Fire and Smoke Map).

Promises the five pieces of the formula, continuous where they meet. It was fitted to 24-h means of PurpleAir stations
(two PMS5003) in the USA, from their "CF=1" values: for SDS011, SPS30 or NextPM nobody has shown that it holds, so it
is refused there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balise_gateway.quality.models import Corrected, HumiditySettings, clipped, name_of

VERSION = 1
SOURCE = "doi:10.5194/amt-14-4617-2021, extended form"
CHANNEL = "pm2_5_cf1"
SENSORS = ("pms5003", "pms5003t", "pms5003st")


@dataclass(frozen=True, kw_only=True)
class Settings(HumiditySettings):
    """[[correction]] kind = "barkjohn_2021" """

    def problem(self) -> str | None:
        return None if self.channel == CHANNEL else f"channel = {self.channel!r}: this model starts from {CHANNEL!r}"


class Model:
    """The extended form, up to the humidity of the settings."""

    NEEDS_HUMIDITY = True

    def __init__(self, settings: Settings) -> None:
        self._max_humidity_pct = settings.max_humidity_pct

    def problem_with(self, entry: Mapping[object, object]) -> str | None:
        if name_of(entry) == CHANNEL and entry.get("model") in SENSORS:
            return None
        return f"it was fitted to {CHANNEL} of the PMS5003 in PurpleAir stations, not to a {entry.get('model')}"

    def corrected(self, value: float, humidity_pct: float) -> Corrected | None:
        return clipped(pm2_5(value, humidity_pct)) if 0 <= humidity_pct <= self._max_humidity_pct else None

    def told(self) -> dict[str, str]:
        return {"max_humidity_pct": f"{self._max_humidity_pct:g}", "fitted_to": "24-h means of PurpleAir, USA"}


def pm2_5(cf1_ugm3: float, humidity_pct: float) -> float:
    """Corrected PM2.5 in ug/m3; below 0 for little dust in wet air."""
    pa, rh = cf1_ugm3, humidity_pct
    if pa < 30:
        return 0.524 * pa - 0.0862 * rh + 5.75
    if pa < 50:
        w = pa / 20 - 3 / 2
        return (0.786 * w + 0.524 * (1 - w)) * pa - 0.0862 * rh + 5.75
    if pa < 210:
        return 0.786 * pa - 0.0862 * rh + 5.75
    if pa < 260:
        w = pa / 50 - 21 / 5
        low, high = (1 - w) * (0.786 * pa - 0.0862 * rh + 5.75), w * (2.966 + 0.69 * pa + 8.84e-4 * pa * pa)
        return low + high
    return 2.966 + 0.69 * pa + 8.84e-4 * pa * pa
