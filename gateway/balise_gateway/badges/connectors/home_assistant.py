"""Home Assistant, by its MQTT discovery: each reader is a tag scanner, and an event with the verdict.

    <discovery_prefix>/tag/balise_<device>/<reader>/config      retained: the scanner, and the device it belongs to
    <discovery_prefix>/event/balise_<device>/<reader>/config    retained: the event, of the same device
    balise/tags/<device>/<reader>/tag                           the card's pseudonym; Home Assistant fires tag_scanned
    balise/tags/<device>/<reader>/event                         {"event_type": the verdict, "direction": "in" or "out"}

(home-assistant.io: "MQTT tag scanner", "MQTT event".) Promises that the tag is a pseudonym, never a card's number; that
the tag of a card which is lost, expired or unknown is not told, because somebody may have tied a door to it (its event
is told); and that no tap is retained, so that none comes back as new. A tap is told at most once: one whose
acknowledgement is lost is not told again. Leaves the connection to `delivery/mqtt_hub.py`, and credit and usages to
others.
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from balise_gateway.badges.connectors import Balance, ConnectorSettings, Tapped, Usage, Want
from balise_gateway.badges.connectors._secret import read_secret
from balise_gateway.badges.showing import State
from balise_gateway.clock import Clock
from balise_gateway.delivery.mqtt_hub import Broker, LoginSettings, Message
from balise_gateway.delivery.row_parts import topic_word
from balise_gateway.errors import ConnectorError, HubAway, HubError, MissingExtra
from balise_gateway.settings import Key

NOT_FOR_USAGES = "not for usages: Home Assistant is told of taps alone"
ANNOUNCED_S = 1.0  # what Home Assistant is given to listen to a reader that it has just been told of
_GOOD = ("accepted", "no_credit")
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_KINDS = {"fr": "Lecteur de badges", "en": "Badge reader"}


@dataclass(frozen=True, kw_only=True)
class Settings(ConnectorSettings):
    """[[connector]] with kind = "home_assistant"."""

    host: Annotated[str, Key("the broker's name or address")]
    port: Annotated[int, Key("its TCP port; with TLS usually 8883", least=1, most=65_535)] = 1883
    tls: Annotated[bool, Key("speak TLS, and check the broker's certificate")] = False
    ca_file: Annotated[Path | None, Key("trust the certificates in this file instead of the system's")] = None
    user: Annotated[str | None, Key("the gateway's user name at the broker")] = None
    password_file: Annotated[Path | None, Key("the file with its password, mode 0600")] = None
    version: Annotated[Literal["5", "3.1.1"], Key("of MQTT")] = "5"
    timeout_s: Annotated[float, Key("the longest wait for an answer", least=0.1)] = 10.0
    discovery_prefix: Annotated[str, Key("where Home Assistant looks for announcements")] = "homeassistant"
    device: Annotated[str, Key("a name for this place at the broker, no other's: letters, digits, hyphens")] = "badges"
    language: Annotated[Literal["fr", "en"], Key("of the names in Home Assistant")] = "fr"

    def problem(self) -> str | None:
        if not self.device or not set(self.device) <= _SAFE:
            return f"device = {self.device!r}: letters, digits and hyphens only, as it stands in topics"
        if not self.discovery_prefix or any(letter in self.discovery_prefix for letter in "+#\0"):
            return f"discovery_prefix = {self.discovery_prefix!r}: must be a topic"
        if self.password_file is not None and self.user is None:
            return "password_file without user"
        return None


class Connector:
    """One Home Assistant behind one broker."""

    wants: frozenset[Want] = frozenset({"tap"})

    def __init__(
        self, settings: Settings, transport: Any, clock: Clock | None = None, announced_s: float = ANNOUNCED_S
    ) -> None:
        self._settings, self._announced_s = settings, announced_s
        self._client_id = f"balise-tags-{secrets.token_hex(4)}"
        self._broker: Broker | None = None
        self._announced: set[str] = set()  # readers, on this connection: a broker may forget what it retained
        self._met: set[str] = set()  # readers that Home Assistant has had time to listen to
        self._state = "not asked yet"

    async def balance(self, member: str) -> Balance | None:
        return None

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        return {usage.key: NOT_FOR_USAGES for usage in usages}

    async def tapped(self, tap: Tapped) -> None:
        try:
            await self._tell(tap)
        except HubError as error:
            self._state = f"{self._where}: {error}"
            await self.close()  # begun anew, whatever state it was in
            raise ConnectorError(self._state, retry=isinstance(error, HubAway)) from None
        except MissingExtra as error:
            needed = MissingExtra('a connector of kind "home_assistant"', error.library, error.extra)
            self._state = str(needed)
            raise ConnectorError(self._state, retry=False) from error
        except ConnectorError as error:
            self._state = str(error)
            raise
        self._state = "up"

    def status(self) -> dict[str, object]:
        return {"kind": self._settings.kind, "state": self._state, "where": self._where}

    async def close(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.close()

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    async def _tell(self, tap: Tapped) -> None:
        broker = await self._connected()
        if tap.reader not in self._announced:
            await broker.publish(self._announcements(tap.reader))
            self._announced.add(tap.reader)
        if tap.reader not in self._met:
            await asyncio.sleep(self._announced_s)
            self._met.add(tap.reader)
        base = self._base(tap.reader)
        told = json.dumps({"event_type": tap.verdict, "direction": tap.direction})
        messages = [Message(f"{base}/event", told.encode())]
        if tap.verdict in _GOOD and tap.tag:
            messages.append(Message(f"{base}/tag", tap.tag.encode()))
        await broker.publish(messages)

    async def _connected(self) -> Broker:
        """The broker; after a failure with the password that stands in the file then."""
        if self._broker is None:
            path = self._settings.password_file
            self._broker = Broker(self._login(), b"", self._settings.user, None if path is None else read_secret(path))
        if await self._broker.connect():
            self._announced.clear()
        return self._broker

    def _login(self) -> LoginSettings:
        own = self._settings
        return LoginSettings(
            name=own.label,
            kind=own.kind,
            log=1,  # of no log: a hub's key, and the client's name stands below
            host=own.host,
            port=own.port,
            tls=own.tls,
            ca_file=own.ca_file,
            version=own.version,
            client_id=self._client_id,
            timeout_s=own.timeout_s,
        )

    def _base(self, reader: str) -> str:
        return f"balise/tags/{self._settings.device}/{topic_word(reader)}"

    def _announcements(self, reader: str) -> list[Message]:
        name, of = _id(reader), f"balise_{self._settings.device}"
        device = {"identifiers": [f"{of}_{name}"], "name": f"{_KINDS[self._settings.language]} {reader}"}
        common = {"device": {**device, "manufacturer": "Balise"}, "qos": 1, "origin": {"name": "balise"}}
        scanner = {"topic": f"{self._base(reader)}/tag", "device": common["device"]}
        event = {**common, "name": None, "unique_id": f"{of}_{name}", "state_topic": f"{self._base(reader)}/event"}
        event["event_types"] = list(get_args(State))
        prefix = self._settings.discovery_prefix
        return [
            Message(f"{prefix}/{part}/{of}/{name}/config", json.dumps(config).encode(), retain=True)
            for part, config in (("tag", scanner), ("event", event))
        ]


def _id(text: str) -> str:
    """Letters, digits, _ and - are all that Home Assistant takes in a topic; others become hex."""
    return "".join(
        letter if letter in _SAFE else "".join(f"_{byte:02x}" for byte in letter.encode()) for letter in text
    )
