"""Bluetooth Low Energy, this node as a peripheral: frames go out as notifications, acknowledgements are written to it.

Service b4115e01-0b1e-4d2a-9c3f-6d1f5a7e2c40; characteristic ...02-... notifies (up), ...03-... is written (down). The
advertisement has the service's data: the node's key id; the scan response has the end of its name. A central connects,
turns notifications on, and writes an empty value: from then on frames come. A message is sent in parts, each behind a
byte with its number (from 0, 7 bits) and, in bit 7, whether it is the last: a part fits the connection's MTU.

Promises the contract of NodeLink (links/__init__.py). Leaves to the sender when to try again. There is no pairing:
whoever connects gets sealed frames, which tell nothing without the key, and cannot forge an acknowledgement.
"""

import asyncio

import bluetooth
from micropython import const

from balise_node.errors import LinkError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

    from balise_node._shapes import Config

_UUID = "b4115e0{}-0b1e-4d2a-9c3f-6d1f5a7e2c40"
_FLAG_WRITE, _FLAG_NOTIFY = const(0x08), const(0x10)
_CONNECTED, _DISCONNECTED, _WRITTEN, _MTU_EXCHANGED = const(1), const(2), const(3), const(21)
_INTERVAL_US = const(250_000)
_MTU, _LEAST_MTU = const(247), const(23)
_HEAD_BYTES = const(4)  # 3 of the notification, 1 of ours
_LAST = const(128)
_FLAGS_AD = b"\x02\x01\x06"  # general discoverable, no classic Bluetooth
_SERVICE_DATA_AD, _NAME_AD = const(0x21), const(0x09)
_NAME_BYTES = const(29)
_MOST_PARTS = const(256)
_FULL_MS, _FULL_TRIES = const(20), const(250)


class Link:
    """See links/__init__.py."""

    def __init__(self, config: "Config", kid: bytes) -> None:
        self._name = config["node"].split(":")[-1][-_NAME_BYTES:].encode()
        self._kid = kid
        self._ble: Any = bluetooth.BLE()  # whose stubs take handles for buffers
        self._up = self._down = 0
        self._central = -1
        self._mtu = _LEAST_MTU
        self._listens = False
        self._parts: list[bytes] = []
        self._news = asyncio.ThreadSafeFlag()

    async def connect(self) -> None:
        """Advertise until a central has connected and listens."""
        try:
            self._open()
        except OSError as error:
            raise self._broken(error)  # noqa: B904 - `from` prints a warning on MicroPython
        while not self._listens:
            await self._news.wait()

    async def send(self, frame: bytes) -> None:
        """Hand one frame on, part by part."""
        room = self._mtu - _HEAD_BYTES
        for number in range((len(frame) + room - 1) // room):
            at = number * room
            last = _LAST if at + room >= len(frame) else 0
            await self._notify(bytes((number & 127 | last,)) + frame[at : at + room])

    async def receive(self) -> bytes:
        """The next message for this node: its parts in order; a message that lacks one is dropped."""
        message, number = b"", 0
        while True:
            while not self._parts:
                self._check()
                await self._news.wait()
            part = self._parts.pop(0)
            if part[0] & 127 != number & 127 or number >= _MOST_PARTS:
                message, number = b"", 0
                if part[0] & 127:
                    continue
            message += part[1:]
            number += 1
            if part[0] & _LAST:
                return message

    async def close(self) -> None:
        """Disconnect, and switch the radio off."""
        self._ble.irq(None)
        self._ble.active(False)
        self._lose()

    def _open(self) -> None:
        ble = self._ble
        ble.active(True)
        ble.config(mtu=_MTU)
        ble.irq(self._event)
        up = (bluetooth.UUID(_UUID.format(2)), _FLAG_NOTIFY)
        down = (bluetooth.UUID(_UUID.format(3)), _FLAG_WRITE)
        ((self._up, self._down),) = ble.gatts_register_services(((bluetooth.UUID(_UUID.format(1)), (up, down)),))
        ble.gatts_set_buffer(self._down, _MTU)
        service = bytes([int(_UUID.format(1).replace("-", "")[at : at + 2], 16) for at in range(30, -1, -2)])
        data = _FLAGS_AD + _field(_SERVICE_DATA_AD, service + self._kid)
        ble.gap_advertise(_INTERVAL_US, data, resp_data=_field(_NAME_AD, self._name))

    def _event(self, event: int, data: "Any") -> None:
        if event == _CONNECTED:
            self._central = data[0]
        elif event == _DISCONNECTED:
            self._lose()
        elif event == _MTU_EXCHANGED:
            self._mtu = data[1]
        elif event == _WRITTEN and data[1] == self._down:
            part = self._ble.gatts_read(self._down)
            self._listens = True
            if part:
                self._parts.append(part)
        self._news.set()

    def _lose(self) -> None:
        self._central = -1
        self._mtu = _LEAST_MTU
        self._listens = False
        self._parts = []

    def _check(self) -> None:
        if self._central < 0:
            raise LinkError("the gateway has disconnected")

    async def _notify(self, part: bytes) -> None:
        """Waits while the radio's queue is full."""
        problem = None
        for _ in range(_FULL_TRIES):
            self._check()
            try:
                self._ble.gatts_notify(self._central, self._up, part)
                return
            except OSError as error:
                problem = error
            await asyncio.sleep_ms(_FULL_MS)
        raise self._broken(problem)

    def _broken(self, error: "Any") -> LinkError:
        return LinkError(f"Bluetooth: {error}")


def _field(kind: int, data: bytes) -> bytes:
    """One field of an advertisement."""
    return bytes((len(data) + 1, kind)) + data
