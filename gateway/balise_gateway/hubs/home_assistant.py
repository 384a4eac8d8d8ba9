"""Home Assistant, by its MQTT discovery (home-assistant.io, "MQTT": discovery, availability; "MQTT sensor").

    <discovery_prefix>/sensor/<node>/<channel>/config   retained: what the entity is, with the device it belongs to
    balise/ha/<gateway>-<log>/<node>/<channel>          the value as text; not retained, so that none comes back as new
    balise/ha/<gateway>-<log>/status                    retained: online, offline (the last will says it as well)
    balise/ha/<gateway>-<log>/known                     retained: which nodes and channels were announced, and when last

Promises that only what is now is told, and turns unavailable after `expire_after_s` or when the gateway is gone; and
that a node that is `removed`, or silent for `forget_days`, is taken out of Home Assistant by emptying its retained
messages, after a restart as well. Values that failed stay away: an entity has no word for a flag. Leaves the connection
to `mqtt_hub.py`.
"""

import asyncio
import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Literal

from balise_gateway.delivery.mqtt_hub import Broker, LoginSettings, Message
from balise_gateway.delivery.row_parts import as_json, meaning, table_row, topic_word
from balise_gateway.errors import HubAway
from balise_gateway.hubs import Traits
from balise_gateway.logbook.rows import HubRow, Value
from balise_gateway.settings import Key

ONLINE, OFFLINE = b"online", b"offline"
DAY_MS = 86_400_000
_UNITS = {"Cel": "°C", "%RH": "%", "ug/m3": "µg/m³", "Ohm": "Ω", "l": "L", "count": None, "/": None}
_PER_VOLUME = {"_per_cm3": "1/cm³", "_per_m3": "1/m³"}
_DIAGNOSTIC = ("rssi", "battery", "board_temperature", "supply_voltage", "supply_current", "supply_power")
# Home Assistant translates the name of a device class itself; these share theirs with another channel, or have none.
_NAMES = {
    "laeq": ("Niveau sonore LAeq", "Sound level LAeq"),
    "lamin": ("Niveau sonore minimal", "Lowest sound level"),
    "lamax": ("Niveau sonore maximal", "Highest sound level"),
    "voc_index": ("Indice COV", "VOC index"),
    "nox_index": ("Indice NOx", "NOx index"),
    "formaldehyde": ("Formaldéhyde", "Formaldehyde"),
    "gas_resistance": ("Résistance du capteur de gaz", "Gas sensor's resistance"),
    "coarse_1h_per_m3": ("Grosses particules sur 1 h", "Coarse particles over 1 h"),
    "coarse_24h_per_m3": ("Grosses particules sur 24 h", "Coarse particles over 24 h"),
    "battery": ("Batterie", "Battery"),
    "rssi": ("Signal radio", "Radio signal"),
    "board_temperature": ("Température de la carte", "Board temperature"),
    "supply_voltage": ("Tension d'alimentation", "Supply voltage"),
    "supply_current": ("Courant d'alimentation", "Supply current"),
    "supply_power": ("Puissance d'alimentation", "Supply power"),
}


@dataclass(frozen=True, kw_only=True)
class Settings(LoginSettings):
    """[[hub]] with kind = "home_assistant"."""

    discovery_prefix: Annotated[str, Key("where Home Assistant looks for announcements")] = "homeassistant"
    expire_after_s: Annotated[int, Key("a value that is older shows as unavailable", least=30)] = 900
    language: Annotated[Literal["fr", "en"], Key("of the names that Home Assistant does not translate itself")] = "fr"
    removed: Annotated[tuple[str, ...], Key("nodes to take out of Home Assistant")] = ()
    forget_days: Annotated[int, Key("take out a node that was silent for so long; 0: never", least=0)] = 30

    def problem(self) -> str | None:
        if self.expire_after_s <= self.batch_s:
            return f"expire_after_s = {self.expire_after_s}: must be more than batch_s, or values expire between two"
        bad = not self.discovery_prefix or any(letter in self.discovery_prefix for letter in "+#\0")
        return f"discovery_prefix = {self.discovery_prefix!r}: must be a topic" if bad else None


class Hub:
    """One Home Assistant behind one broker."""

    traits = Traits(
        accepts_past=False, idempotent=True, ordered=True, batch_limit_bytes=256 * 1024, batch_limit_rows=200
    )

    def __init__(self, settings: Settings, identity: bytes, transport: Any, dice: Random) -> None:
        self._settings = settings
        self._base = f"balise/ha/{identity.hex()}-{settings.log}"
        self._status, self._known_topic = f"{self._base}/status", f"{self._base}/known"
        will = Message(self._status, OFFLINE, retain=True)
        self._broker = Broker(settings, identity, settings.user, settings.password, will)
        self._announced: set[tuple[str, str]] = set()  # (node, channel) on this connection
        self._known: dict[str, dict[str, Any]] | None = None  # what the broker keeps under `known`
        self._kept = ""  # as it is kept there

    async def send(self, rows: Sequence[HubRow]) -> int:
        if await self._broker.connect([self._known_topic, self._status]):
            self._announced.clear()
            await self._say_hello()
        known = copy.deepcopy(self._known or {})  # nothing is known to be kept before the broker has said so
        told = [(index, row) for index, row in enumerate(rows) if row.node not in self._settings.removed]
        messages = list(self._announcements(known, told))
        for index, row in told:
            messages += [Message(self._topic(row, v), v.text.encode(), row=index) for v in row.values]
        messages += self._removals(known, max(row.utc_ms for row in rows))
        kept = as_json(known)
        messages += [Message(self._known_topic, kept.encode(), retain=True)] if kept != self._kept else []
        size = await self._broker.publish(messages) if messages else 0
        self._announced |= {(row.node, value.channel) for _, row in told for value in row.values}
        self._known, self._kept = known, kept
        return size

    async def close(self) -> None:
        await self._broker.close(Message(self._status, OFFLINE, retain=True))

    async def _say_hello(self) -> None:
        """Online, and what an earlier life of this gateway has announced: the broker sends that before our own word."""
        await self._broker.publish([Message(self._status, ONLINE, retain=True)])
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._remember()
        except TimeoutError as error:
            await self._broker.close()  # the next try begins from here again
            raise HubAway("the broker does not give back what it was told") from error

    async def _remember(self) -> None:
        while not ((came := await self._broker.receive()).topic == self._status and not came.retained):
            if came.topic == self._known_topic and came.payload and self._known is None:
                self._known, self._kept = _read_known(came.payload), came.payload.decode(errors="replace")

    def _announcements(self, known: dict[str, dict[str, Any]], rows: list[tuple[int, HubRow]]) -> Iterator[Message]:
        for _, row in rows:
            entry = known.setdefault(row.node, {"day": 0, "channels": []})
            entry["day"] = max(entry["day"], row.utc_ms // DAY_MS)
            for value in row.values:
                if (row.node, value.channel) not in self._announced:
                    yield Message(self._config_topic(row.node, value.channel), self._config(row, value), retain=True)
                if value.channel not in entry["channels"]:
                    entry["channels"].append(value.channel)

    def _removals(self, known: dict[str, dict[str, Any]], now_utc_ms: int) -> list[Message]:
        """Empty retained messages for the nodes that are gone; they leave `known` as well."""
        days = self._settings.forget_days
        first = now_utc_ms // DAY_MS - days if days else 0
        gone = [node for node, entry in known.items() if node in self._settings.removed or entry["day"] < first]
        topics = [self._config_topic(node, channel) for node in gone for channel in known.pop(node)["channels"]]
        return [Message(topic, b"", retain=True) for topic in topics]

    def _topic(self, row: HubRow, value: Value) -> str:
        return f"{self._base}/{topic_word(row.node)}/{topic_word(value.channel)}"

    def _config_topic(self, node: str, channel: str) -> str:
        return f"{self._settings.discovery_prefix}/sensor/balise_{_id(node, '_')}/{_id(channel, '-')}/config"

    def _config(self, row: HubRow, value: Value) -> bytes:
        name, _, variant = value.channel.partition(".")
        entry = table_row(name)
        device_class = None if entry is None else entry.name_at("home-assistant")
        label = None if device_class and name not in _NAMES else _name(name, self._settings.language)
        config: dict[str, object] = {"name": f"{label or _name(name, 'en')} ({variant})" if variant else label}
        config |= {"unique_id": f"balise_{_id(row.node, '_')}_{_id(value.channel, '-')}"}
        config |= {"state_topic": self._topic(row, value), "availability_topic": self._status, "qos": 1}
        config |= {"expire_after": self._settings.expire_after_s, "state_class": "measurement"}
        config |= {"device_class": device_class} if device_class else {}
        unit = _unit(value)
        config |= {"unit_of_measurement": unit} if unit else {}
        config |= {"suggested_display_precision": value.scale} if value.scale >= 0 else {}
        if name in _DIAGNOSTIC or name.endswith("_status"):
            config["entity_category"] = "diagnostic"
        models = dict.fromkeys(str(meaning(row, other).get("model", "")) for other in row.values)
        device = {"identifiers": [row.node], "name": row.node.rpartition(":")[2], "manufacturer": "Balise"}
        config["device"] = {**device, "model": ", ".join(model for model in models if model)}
        config["origin"] = {"name": "balise"}
        return as_json(config).encode()


def _unit(value: Value) -> str | None:
    """What Home Assistant calls this unit. Numbers per volume are counts for SenML, which has no unit for them."""
    name = value.channel.partition(".")[0]
    per = next((unit for end, unit in _PER_VOLUME.items() if name.endswith(end)), None)
    return per or _UNITS.get(value.unit, value.unit)


def _name(channel: str, language: str) -> str:
    french, english = _NAMES.get(channel, (channel, channel))
    return french if language == "fr" else english


def _id(text: str, escape: str) -> str:
    """Letters, digits, _ and - are all that Home Assistant takes in a topic; others, and the escape, become hex."""
    keep = "-" if escape == "_" else "_"
    safe = [chr(b) if (chr(b).isalnum() and b < 128) or chr(b) == keep else f"{escape}{b:02x}" for b in text.encode()]
    return "".join(safe)


def _read_known(payload: bytes) -> dict[str, dict[str, Any]]:
    """What an earlier life has kept; what is not of our making is not believed."""
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):  # nested without end
        return {}
    entries = told.items() if isinstance(told, dict) else ()
    return {
        node: {"day": entry["day"], "channels": [str(name) for name in entry["channels"]]}
        for node, entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("day"), int) and isinstance(entry.get("channels"), list)
    }
