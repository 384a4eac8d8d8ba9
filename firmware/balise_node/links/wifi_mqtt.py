"""Wi-Fi station and MQTT to the gateway: frames go to balise/v1/n/<kid>/up, acknowledgements come from .../down.

Promises the contract of NodeLink (links/__init__.py). Leaves to mqtt.py the packets, to the sender when to try again.
"""

import asyncio
from binascii import hexlify

import network

from balise_node.errors import LinkError
from balise_node.mqtt import Session

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node._shapes import Config

_JOIN_MS = 20000
_LOOK_MS = 250
# The ports number these differently, and not every port has all of them.
_WHY = (
    ("STAT_WRONG_PASSWORD", "another password: compare wifi.password"),
    ("STAT_NO_AP_FOUND", "no such network here: compare wifi.ssid, and remember that boards need 2.4 GHz"),
    ("STAT_CONNECT_FAIL", "the access point refuses"),
)


class Link:
    """See links/__init__.py."""

    def __init__(self, config: "Config", kid: bytes) -> None:
        self._wifi, self._mqtt = config["wifi"], config["mqtt"]
        self._wlan = network.WLAN(network.STA_IF)
        self._name = hexlify(kid).decode()
        self._session: Session | None = None

    async def connect(self) -> None:
        """Join the network unless that is done, then log in to the gateway and listen."""
        if not self._wlan.isconnected():
            await self._join()
        mqtt = self._mqtt
        self._session = session = Session(mqtt["keepalive_s"])
        await session.open(mqtt["host"], mqtt["port"], "balise-" + self._name, mqtt["user"], mqtt["password"])
        await session.subscribe(f"balise/v1/n/{self._name}/down")

    async def send(self, frame: bytes) -> None:
        """Hand one frame on."""
        await self._open_session().publish(f"balise/v1/n/{self._name}/up", frame)

    async def receive(self) -> bytes:
        """The next message for this node."""
        return await self._open_session().receive()

    async def close(self) -> None:
        """Close the connection; the radio stays in the network if it is in one."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if not self._wlan.isconnected():
            self._wlan.active(False)  # a radio that lost its network sometimes finds it only after this

    def _open_session(self) -> Session:
        if self._session is None:
            raise LinkError("not connected")
        return self._session

    async def _join(self) -> None:
        problem = ""
        try:
            self._wlan.active(True)
            self._wlan.connect(self._wifi["ssid"], self._wifi["password"])
        except OSError as error:  # the ESP32 refuses while it is still busy with an earlier attempt
            problem = str(error)
        waited_ms = 0
        while not problem and not self._wlan.isconnected():
            await asyncio.sleep_ms(_LOOK_MS)
            waited_ms += _LOOK_MS
            problem = self._why_not() or ("no answer" if waited_ms >= _JOIN_MS else "")
        if problem:
            self._wlan.active(False)
            raise LinkError(f'Wi-Fi "{self._wifi["ssid"]}": {problem}')

    def _why_not(self) -> str:
        status = self._wlan.status()
        for name, why in _WHY:
            if status == getattr(network, name, None):
                return why
        return ""
