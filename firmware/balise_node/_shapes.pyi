"""The shapes of what modules hand each other, for type checkers only: nothing imports this at run time."""

from typing import Any, Protocol, TypedDict

class Wifi(TypedDict):
    ssid: str
    password: str

class Mqtt(TypedDict):
    host: str
    port: int
    user: str
    password: str
    keepalive_s: int

class Config(TypedDict):
    """config.json, checked and complete; a sensor's keys depend on its bus."""

    node: str
    board: str
    key: bytes
    period_s: int
    link: str
    store_bytes: int
    ack_wait_s: int
    watchdog_s: int
    restart_s: int
    wifi: Wifi
    mqtt: Mqtt
    sensors: list[dict[str, Any]]

class NodeLink(Protocol):
    """See links/__init__.py."""

    async def connect(self) -> None: ...
    async def send(self, frame: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def close(self) -> None: ...
