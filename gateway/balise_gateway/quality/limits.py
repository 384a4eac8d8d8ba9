"""What is suspect of each channel: one table, which the configuration may override channel by channel.

Promises limits in the scaled integers of a column, or None where a test is not made of a channel. Leaves the gross
range to the channel table (`balise_wire.channels`), and what a test does with its limit to the test.

Sources. W: WMO CBS/OPAG-IOS, "Guidelines on quality control procedures for data from automatic weather stations"
(I. Zahumensky, 2004), and WMO-No. 8, which took them over: most change of a one-minute value, suspect / erroneous.
B: Barkjohn 2021 (AMT 14:4617): two PM sensors side by side agree within 5 ug/m3. J: our judgement: well above what the
recorded days in `sim/balise_sim/data` show, and above what a passing smoker, a shower or an opened window does.
Nothing is tested of sound levels but the flat line: a slammed door is a measurement.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated

from balise_gateway.settings import Key
from balise_wire.channels import channel
from balise_wire.errors import WireError

# In the channel's own unit; "-" where a test is not made.
# rate: change in a minute, suspect and fail (W, J) | spike: distance from the values before and after, the less (J)
# flat: hours without a change, suspect and fail (J) | near: distance from the median of the neighbours (B, J)
TABLE = """
#           rate fail  spike fail  flat fail  near
pm1         300  -     200   -     12   72    5
pm2_5       300  -     200   -     12   72    5
pm4         300  -     200   -     12   72    10
pm10        500  -     400   -     12   72    10
pm1_cf1     300  -     200   -     12   72    5
pm2_5_cf1   300  -     200   -     12   72    5
pm10_cf1    500  -     400   -     12   72    10
temperature 3    10    5     15    12   48    3
humidity    10   -     15    40    24   96    15
pressure    50   200   100   400   6    24    300
co2         2000 -     1500  -     6    48    300
laeq        -    -     -     -     3    24    -
lceq        -    -     -     -     3    24    -
voc_raw     -    -     -     -     3    24    -
nox_raw     -    -     -     -     12   48    -
"""
_COLUMNS = ("rate_per_min", "rate_fail_per_min", "spike", "spike_fail", "flat_h", "flat_fail_h", "near")


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """[[limit]]: other limits for one channel. What is left out stays as it is; 0 switches a test off."""

    channel: Annotated[str, Key("the channel, by its name in the channel table")]
    rate_per_min: Annotated[
        float | None, Key("most change in a minute, in the channel's unit; 0: no test", least=0)
    ] = None
    rate_fail_per_min: Annotated[float | None, Key("the same, beyond which a value fails; 0: none does", least=0)] = (
        None
    )
    spike: Annotated[
        float | None, Key("most distance from the values before and after, when both lie on one side", least=0)
    ] = None
    spike_fail: Annotated[float | None, Key("the same, beyond which a value fails", least=0)] = None
    flat_h: Annotated[float | None, Key("hours without a change after which a value is suspect", least=0)] = None
    flat_fail_h: Annotated[float | None, Key("hours without a change after which it fails", least=0)] = None
    near: Annotated[float | None, Key("distance from the median of the same site that is always allowed", least=0)] = (
        None
    )

    def problem(self) -> str | None:
        try:
            channel(self.channel)
        except WireError as error:
            return f"channel = {self.channel!r}: {error.detail}"
        return None


@dataclass(frozen=True)
class Limits:
    """Limits of one column, in its scaled integers, per minute, and in ms; None: no such test."""

    rate_per_min: float | None = None
    rate_fail_per_min: float | None = None
    spike: float | None = None
    spike_fail: float | None = None
    flat_ms: float | None = None
    flat_fail_ms: float | None = None
    near: float | None = None


class LimitTable:
    """The table above with what the configuration says."""

    def __init__(self, overrides: Iterable[LimitSettings] = ()) -> None:
        self._rows: dict[str, LimitSettings] = {row.channel: row for row in _table()}
        for told in overrides:
            known = self._rows.get(told.channel, LimitSettings(channel=told.channel))
            changed = {name: value for name in _COLUMNS if (value := getattr(told, name)) is not None}
            self._rows[told.channel] = replace(known, **changed)

    def of(self, name: str, scale: int) -> Limits | None:
        """The limits of a column; None when nothing is tested of it. A derived channel has its base's."""
        row = self._rows.get(name.partition(".")[0])
        return None if row is None else _scaled(row, 10.0**scale)


def _scaled(row: LimitSettings, factor: float) -> Limits:
    told = {f.name: getattr(row, f.name) or None for f in fields(row) if f.name != "channel"}
    hour_ms = 3_600_000
    return Limits(
        rate_per_min=_times(told["rate_per_min"], factor),
        rate_fail_per_min=_times(told["rate_fail_per_min"], factor),
        spike=_times(told["spike"], factor),
        spike_fail=_times(told["spike_fail"], factor),
        flat_ms=_times(told["flat_h"], hour_ms),
        flat_fail_ms=_times(told["flat_fail_h"], hour_ms),
        near=_times(told["near"], factor),
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _table() -> Iterable[LimitSettings]:
    for line in TABLE.strip().splitlines():
        name, *cells = line.split()
        if name != "#":
            values: Mapping[str, float | None] = {
                column: None if cell == "-" else float(cell) for column, cell in zip(_COLUMNS, cells, strict=True)
            }
            yield LimitSettings(channel=name, **values)
