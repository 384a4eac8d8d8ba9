"""JSON over MQTT from anything: a mapping in the configuration says where device, time and values stand.

One message is one row; a list of objects is one row each. Promises that what is no number is a missing value, and that
a message without any value is refused. Leaves units to `measure`, names to the channel table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from balise_gateway.settings import Key
from balise_gateway.sources import Heard, Measure, Shape, SourceError, SourceSettings, scaled
from balise_gateway.sources._json import at, mapping_problem, measure_of, parsed

DEVICE = "{device}"
MS_OF = {"ms": 1, "s": 1000}
MAX_REMEMBERED = 10_000
MAX_ROWS = 1_000  # in one message
Plan = list[tuple[list[str], list[tuple[str, float, float]]]]


@dataclass(frozen=True, kw_only=True)
class Settings(SourceSettings):
    """[[source]] with kind = "mqtt_json"."""

    topic: Annotated[str, Key('what to read; {device} stands for the level that names the device: "air/{device}/up"')]
    channels: Annotated[dict[str, str], Key("[source.channels] with one line per channel: where its value stands")] = (
        field(default_factory=dict)
    )
    device: Annotated[str | None, Key("where the device's name stands in the message, when not in the topic")] = None
    ts: Annotated[str | None, Key("where the time of measurement stands; unset: the time of arrival is taken")] = None
    ts_unit: Annotated[Literal["ms", "s"], Key("what that time counts, from 1970 in UTC")] = "ms"
    model: Annotated[str, Key("the sensor's model, as hubs shall read it")] = "unknown"

    def problem(self) -> str | None:
        if not self.channels:
            return 'no [source.channels]: nothing would be read; try pm2_5 = "values.pm25"'
        levels = self.topic.split("/")
        if levels.count(DEVICE) != (self.device is None):
            return f"topic = \"{self.topic}\": {DEVICE} once as a level, or the key 'device', and not both"
        return mapping_problem(self.channels) or super().problem()


class Source:
    """Messages under one topic pattern."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self._settings = settings
        levels = settings.topic.split("/")
        self.wants: Sequence[str] = (settings.topic.replace(DEVICE, "+"),)
        self._level = levels.index(DEVICE) if DEVICE in levels else None
        self._device_path = tuple((settings.device or "").split("."))
        measures = [measure_of(name, text, settings.model) for name, text in settings.channels.items()]
        paths = [text.split()[0].split(".") for text in settings.channels.values()]
        self._shape = Shape([each.column for each in measures if each is not None], MS_OF[settings.ts_unit])
        self._plan = _planned(paths, [each for each in measures if each is not None])
        self._ts = tuple(settings.ts.split(".")) if settings.ts is not None else ()
        self._tick_ms = MS_OF[settings.ts_unit]
        self._names: dict[str, str] = {}  # devices by their topic

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        told = parsed(data)
        if isinstance(told, dict):
            return (self._row(address, told),)
        if not isinstance(told, list) or not 0 < len(told) <= MAX_ROWS:
            raise SourceError("not an object", "a JSON object wanted, or a list of some")
        return [self._row(address, each) for each in told]

    def _row(self, address: str, told: Any) -> Heard:
        values: list[int | None] = []
        for path, leaves in self._plan:
            inner = at(told, path) if path else told
            inner = inner if isinstance(inner, dict) else {}
            for leaf, factor, offset in leaves:
                values.append(scaled(inner.get(leaf), factor, offset))
        if values.count(None) == len(values):
            raise SourceError("no value", "none of the channels has a number in this message")
        return Heard(self._device_of(address, told), self._utc_ms(told), self._shape, values)

    def _device_of(self, address: str, told: Any) -> str:
        if self._level is None:
            device = at(told, self._device_path)
            if not isinstance(device, (str, int)) or device is True or device is False:
                raise SourceError("device", f"no name at {self._settings.device}")
            return str(device)
        found = self._names.get(address)
        if found is None:
            if len(self._names) >= MAX_REMEMBERED:
                self._names.clear()
            found = self._names[address] = address.split("/")[self._level]
        return found

    def _utc_ms(self, told: Any) -> int | None:
        if not self._ts:
            return None
        stamp = at(told, self._ts) if len(self._ts) > 1 or not isinstance(told, dict) else told.get(self._ts[0])
        if stamp.__class__ is int:
            return int(stamp) * self._tick_ms
        if stamp.__class__ is float and abs(stamp) < 1e15:
            return int(stamp * self._tick_ms)
        return None


def _planned(paths: list[list[str]], measures: list[Measure]) -> Plan:
    """Channels that stand in one object, one after the other, are looked up there at once."""
    plan: Plan = []
    for path, each in zip(paths, measures, strict=True):
        if not plan or plan[-1][0] != path[:-1]:
            plan.append((path[:-1], []))
        plan[-1][1].append((path[-1], each.factor, each.offset))
    return plan
