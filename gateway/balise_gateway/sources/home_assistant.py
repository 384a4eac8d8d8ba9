"""What devices tell Home Assistant over MQTT, ESPHome's among them: a state per topic, and its meaning in discovery.

A discovery message (homeassistant/sensor/.../config, keys whole or abbreviated) says unit, device class and where the
state comes; states whose meaning is not known yet are refused by name. A state topic that carries JSON is read where
its template is a plain value_json.name. Source: home-assistant.io/integrations/mqtt, "MQTT Discovery", and
esphome.io/components/mqtt. Leaves availability alone: a state that is no number is no reading.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from balise_gateway.mqtt import topics
from balise_gateway.settings import Key
from balise_gateway.sources import UNKNOWN_MODEL, Column, Heard, Measure, Shape, SourceError, SourceSettings, measure
from balise_gateway.sources._json import at, mapping_problem, measure_of, model_of, parsed, parsed_object
from balise_wire.channels import channel, names

MAX_SENSORS = 4_000
DEVICE_CLASSES = {  # those that do not stand in the channel table, or stand there twice
    "temperature": "temperature",
    "pressure": "pressure",
    "atmospheric_pressure": "pressure",
    "voltage": "supply_voltage",
    "current": "supply_current",
    "power": "supply_power",
}
_TEMPLATE = re.compile(r"\{\{\s*value_json((?:\.\w+|\[['\"][^'\"\[\]]+['\"]\])+)(?:\s*\|\s*\w+(?:\([^()]*\))?)*\s*\}\}")
_STEP = re.compile(r"\.(\w+)|\[['\"]([^'\"]+)['\"]\]")


@dataclass(frozen=True, kw_only=True)
class Settings(SourceSettings):
    """[[source]] with kind = "home_assistant"."""

    discovery_prefix: Annotated[str, Key("what discovery topics begin with")] = "homeassistant"
    states: Annotated[tuple[str, ...], Key("topic filters of states; the first + stands for the device's name")] = (
        "+/sensor/+/state",
    )
    channels: Annotated[
        dict[str, str], Key('[source.channels] temperature = "object_id C", for sensors that no discovery tells of')
    ] = field(default_factory=dict)

    def problem(self) -> str | None:
        wrong = next((text for text in self.states if "+" not in text.split("/") or not topics.valid_filter(text)), "")
        if wrong:
            return f'states = ["{wrong}"]: must be a topic filter with + where the device\'s name stands'
        return mapping_problem(self.channels) or super().problem()


class _Meaning(NamedTuple):
    """What one value of a state topic is; `path` leads to it in JSON, empty for a topic that is the value."""

    path: tuple[str, ...]
    measure: Measure
    shape: Shape


class Source:
    """All sensors under these topics. What discovery has told is forgotten at a restart: devices tell it again."""

    def __init__(self, settings: Settings, boot_ms: Callable[[], int]) -> None:
        self._prefix, self._states = settings.discovery_prefix, settings.states
        discovery = (f"{self._prefix}/sensor/+/config", f"{self._prefix}/sensor/+/+/config")
        self.wants: Sequence[str] = (*discovery, *settings.states)
        self._meanings: dict[str, dict[str, _Meaning]] = {}  # by state topic, then by discovery topic
        self._told: dict[str, str] = {}  # the state topic of each discovery topic
        self._by_object = _by_object(settings.channels)
        self._channels = {
            spelling: name
            for name in reversed(names())
            if (spelling := channel(name).name_at("home-assistant")) is not None
        } | DEVICE_CLASSES

    def read(self, address: str, data: bytes) -> Sequence[Heard]:
        if address.startswith(self._prefix + "/"):
            self._learn(address, data)
            return ()
        meanings: Mapping[str, _Meaning] = self._meanings.get(address, {})
        known = list(meanings.values()) or self._by_object.get(self._object_of(address), [])
        if not known:
            raise SourceError("meaning not known", f"no discovery message told of {address}")
        text = data.decode("utf-8", "replace")
        document = parsed(data) if any(each.path for each in known) else None
        device = self._device_of(address)
        heard = []
        for each in known:
            value = each.measure.value(at(document, each.path) if each.path else text)
            if value is not None:
                heard.append(Heard(device, None, each.shape, (value,)))
        if not heard:
            raise SourceError("no value", f"{text[:40]!r} is no number")
        return heard

    def _learn(self, address: str, data: bytes) -> None:
        """From a discovery message; an empty one says that the sensor is gone."""
        before = self._told.pop(address, None)
        if before is not None:
            self._meanings[before].pop(address)
            if not self._meanings[before]:
                del self._meanings[before]
        if not data:
            return
        told = parsed_object(data)
        topic = _whole_topic(told, _of(told, "state_topic", "stat_t"))
        meaning = self._meaning(told)
        if topic is None or meaning is None:
            return  # a sensor, and nothing that a channel measures
        if len(self._told) >= MAX_SENSORS:
            raise SourceError("too many devices", f"discovery of more than {MAX_SENSORS} sensors")
        self._told[address] = topic
        self._meanings.setdefault(topic, {})[address] = meaning

    def _meaning(self, told: dict[str, Any]) -> _Meaning | None:
        name = self._channels.get(str(_of(told, "device_class", "dev_cla")))
        path = _path_of(_of(told, "value_template", "val_tpl"))
        if name is None or path is None:
            return None
        device = _of(told, "device", "dev")
        model = _of(device, "model", "mdl") if isinstance(device, dict) else None
        column = Column.of_channel(name, model_of(model))
        unit = _of(told, "unit_of_measurement", "unit_of_meas")
        each = measure(column, unit if isinstance(unit, str) else None)
        return None if each is None else _Meaning(path, each, Shape((column,)))

    def _device_of(self, address: str) -> str:
        levels = address.split("/")
        for text in self._states:
            if topics.matches(text, address):
                return levels[text.split("/").index("+")]
        return levels[0]

    def _object_of(self, address: str) -> str:
        levels = address.split("/")
        return levels[-2] if len(levels) > 1 else ""


def _by_object(channels: Mapping[str, str]) -> dict[str, list[_Meaning]]:
    found: dict[str, list[_Meaning]] = {}
    for name, text in channels.items():
        each = measure_of(name, text, UNKNOWN_MODEL)
        if each is not None:
            found.setdefault(text.split()[0], []).append(_Meaning((), each, Shape((each.column,))))
    return found


def _of(told: Mapping[str, Any], name: str, short: str) -> Any:
    return told.get(name, told.get(short))


def _whole_topic(told: Mapping[str, Any], topic: object) -> str | None:
    """The state topic; a leading or trailing ~ stands for the base topic."""
    base = told.get("~")
    if not isinstance(topic, str) or not topics.valid_name(topic):
        return None
    if isinstance(base, str) and topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if isinstance(base, str) and topic.endswith("~") else topic


def _path_of(template: object) -> tuple[str, ...] | None:
    """Where the value stands in the state: () for the state itself, None for a template that computes."""
    if template is None or (isinstance(template, str) and re.fullmatch(r"\{\{\s*value\s*\}\}", template)):
        return ()
    found = _TEMPLATE.fullmatch(template.strip()) if isinstance(template, str) else None
    return None if found is None else tuple(plain or quoted for plain, quoted in _STEP.findall(found.group(1)))
