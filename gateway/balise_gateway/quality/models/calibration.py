"""A calibration that was found side by side with a reference (`balise gateway calibrate`), applied because you say so.

Promises that only a record signed with the named key is used, and only for its node, channel and sensor. Values beyond
what the sensor has shown then are doubtful: a line is known between its ends only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from balise_gateway.errors import ConfigError
from balise_gateway.quality import records
from balise_gateway.quality.fit import apply
from balise_gateway.quality.models import Corrected, HumiditySettings, name_of
from balise_gateway.settings import Key
from balise_wire.errors import WireError

VERSION = 1
SOURCE = "side by side with a reference"


@dataclass(frozen=True, kw_only=True)
class Settings(HumiditySettings):
    """[[correction]] kind = "calibration" """

    record: Annotated[Path, Key("the calibration record's file")]
    public_key: Annotated[bytes, Key("who signed it: the gateway's public key", size_bytes=32)]

    def problem(self) -> str | None:
        return None if self.node is not None else "the key 'node' is missing: a calibration is of one node"


class Model:
    """The line of one record. Raises ConfigError when the record cannot be used."""

    def __init__(self, settings: Settings) -> None:
        path = settings.record
        try:
            signed = path.read_bytes()
            record = records.verify(signed, settings.public_key)
        except OSError as error:
            raise ConfigError(f"{path}: the calibration record cannot be read ({error.strerror})") from error
        except WireError as error:
            raise ConfigError(f"{path}: the calibration record cannot be used: {error}") from error
        if (record.node, record.channel) != (settings.node, settings.channel):
            told = f"{settings.channel} of {settings.node}"
            raise ConfigError(f"{path}: is of {record.channel} of {record.node}, not of {told}")
        self.cal = records.name_of(signed)
        self.NEEDS_HUMIDITY = record.model == records.LINEAR_RH
        self._record, self._max_humidity_pct = record, settings.max_humidity_pct
        self._coefficients = [float(text) for text in record.coefficients]
        self._low, self._high = float(record.low), float(record.high)

    def problem_with(self, entry: Mapping[object, object]) -> str | None:
        record = self._record
        if (name_of(entry), entry.get("model"), entry.get("u")) == (record.channel, record.sensor, record.unit):
            return None
        return f"the record is of a {record.sensor} in {record.unit}, not of a {entry.get('model')} in {entry.get('u')}"

    def corrected(self, value: float, humidity_pct: float) -> Corrected | None:
        if self.NEEDS_HUMIDITY and not 0 <= humidity_pct <= self._max_humidity_pct:
            return None
        made = apply(self._coefficients, value, humidity_pct)
        if made < 0 and self._record.unit != "Cel":
            return Corrected(0.0, doubtful=True)
        return Corrected(made, doubtful=not self._low <= value <= self._high)

    def told(self) -> dict[str, str]:
        names = ("offset", "gain", "per_humidity_pct")
        told = dict(zip(names, self._record.coefficients, strict=False))
        return {**told, "residual_sd": self._record.residual_sd, "low": self._record.low, "high": self._record.high}
