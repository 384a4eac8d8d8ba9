"""A node's Bluetooth Low Energy radio as a peripheral: what its firmware advertises and serves, and who is connected.

Promises: what overlays/bluetooth.py asks for, in the order it happens: a connection ends advertising, a notification is
cut to the connection's MTU, a value that was written is cut to its buffer, and a central's write is answered when the
firmware has heard of it. Leaves to others: who scans and connects (bluez.py), and pairing, which is not simulated.
"""

import asyncio
import errno
import json
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from balise_sim.bridge import Reply, Request

ACTIVE, ADVERTISE, REGISTER, WRITE, READ, NOTIFY, EVENTS, DISCONNECT, BUFFER, MTU = range(10)
CONNECTED, DISCONNECTED, WRITTEN, MTU_EXCHANGED = 1, 2, 3, 21  # bluetooth's _IRQ_ numbers
BLE_PIN = 255  # the "pin" whose edges tell the VM of events
FIRST_HANDLE = 16  # above those of the stack's own services
VALUE_BYTES = 20  # a value's room unless gatts_set_buffer says more
LEAST_MTU, HEAD_BYTES = 23, 3
MAX_CONNECTIONS = 3
TRAVEL_S = 0.03  # a connection interval
CENTRAL_ADDRESS = bytes.fromhex("c0ffee000001")


class Central(Protocol):
    """The other end of a connection."""

    def notified(self, handle: int, data: bytes) -> None: ...

    def disconnected(self) -> None: ...


@dataclass(frozen=True)
class Advert:
    """What is on the air, again and again."""

    data: bytes
    response: bytes
    connectable: bool


@dataclass
class Characteristic:
    """One characteristic of the registered services; `flags` as in the Bluetooth core specification."""

    service: str
    uuid: str
    flags: int
    handle: int
    value: bytes = b""
    room_bytes: int = VALUE_BYTES
    appends: bool = False


@dataclass
class _Event:
    kind: int
    data: bytes
    heard: "asyncio.Future[None] | None" = field(default=None, compare=False)


class Peripheral:
    """`advert` is None while nothing is on the air; `on_change` hears when that or the services change."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[bytes], None]) -> None:
        self._loop, self._tell = loop, tell
        self._mtu = LEAST_MTU
        self._events: deque[_Event] = deque()
        self._in_the_air: deque[tuple[Central, int, bytes]] = deque()  # one timer each
        self._centrals: dict[int, tuple[Central, int]] = {}  # connection to its central and MTU
        self.is_active = False
        self.advert: Advert | None = None
        self.characteristics: dict[int, Characteristic] = {}
        self.on_change: Callable[[], None] = lambda: None

    def lose_power(self) -> None:
        """Everything is gone, and centrals find that out."""
        self.is_active, self.advert, self.characteristics = False, None, {}
        self._mtu = LEAST_MTU
        centrals, self._centrals = list(self._centrals.values()), {}
        for event in self._events:
            _answer(event)
        self._events.clear()
        for central, _ in centrals:
            central.disconnected()
        self.on_change()

    # What firmware asks

    def request(self, request: Request) -> Reply:
        """One of the ten kinds, in `small`; the others need an active radio."""
        kind = request.small
        if kind == ACTIVE:
            return self._set_active(request.value)
        if kind == EVENTS:
            return self._next_event()
        if not self.is_active:
            return Reply(-errno.ENODEV)
        handlers = {
            ADVERTISE: self._advertise,
            REGISTER: self._register,
            WRITE: self._write,
            READ: self._read,
            NOTIFY: self._notify,
            DISCONNECT: self._disconnect,
            BUFFER: self._set_buffer,
            MTU: self._set_mtu,
        }
        return handlers[kind](request)

    def _set_active(self, wanted: int) -> Reply:
        if wanted == 0 and self.is_active:
            self.lose_power()
        elif wanted == 1 and not self.is_active:
            self.is_active = True
        return Reply(int(self.is_active), b"", 50_000 if wanted == 1 else 5)

    def _advertise(self, request: Request) -> Reply:
        if request.value < 0:
            self.advert = None
        else:
            size = request.payload[1]
            data, response = request.payload[2 : 2 + size], request.payload[2 + size :]
            self.advert = Advert(data, response, bool(request.payload[0]))
        self.on_change()
        return Reply()

    def _register(self, request: Request) -> Reply:
        """A list of [service, [[uuid, flags], ...]]; answers the value handles, two bytes each."""
        handles, handle = b"", FIRST_HANDLE
        self.characteristics = {}
        for service, characteristics in json.loads(request.payload):
            handle += 1  # the service's declaration
            for uuid, flags in characteristics:
                value_handle = handle + 1  # after the characteristic's declaration
                self.characteristics[value_handle] = Characteristic(service, uuid, flags, value_handle)
                handles += struct.pack("<H", value_handle)
                handle += 3  # with the descriptor that turns notifications on
        self.on_change()
        return Reply(0, handles)

    def _write(self, request: Request) -> Reply:
        found = self.characteristics.get(request.value)
        if found is None:
            return Reply(-errno.EINVAL)
        found.value = request.payload[: max(found.room_bytes, len(request.payload))]
        return Reply()

    def _read(self, request: Request) -> Reply:
        found = self.characteristics.get(request.value)
        if found is None:
            return Reply(-errno.EINVAL)
        value = found.value
        if found.appends:
            found.value = b""
        return Reply(0, value)

    def _notify(self, request: Request) -> Reply:
        """The connection in the high half of value, the handle in the low one."""
        connection = self._centrals.get(request.value >> 16)
        if connection is None:
            return Reply(-errno.ENOTCONN)
        central, mtu = connection
        self._in_the_air.append((central, request.value & 0xFFFF, request.payload[: mtu - HEAD_BYTES]))
        self._loop.call_later(TRAVEL_S, self._arrive)
        return Reply(0, b"", 200)

    def _arrive(self) -> None:
        """The oldest one: timers of one moment come in any order, notifications do not."""
        central, handle, data = self._in_the_air.popleft()
        if any(central is connected for connected, _ in self._centrals.values()):
            central.notified(handle, data)

    def _disconnect(self, request: Request) -> Reply:
        if request.value not in self._centrals:
            return Reply(0)
        self.disconnect(request.value)
        return Reply(1)

    def _set_buffer(self, request: Request) -> Reply:
        """The handle, and length and append flag as payload."""
        found = self.characteristics.get(request.value)
        if found is None:
            return Reply(-errno.EINVAL)
        found.room_bytes, found.appends = struct.unpack("<H?", request.payload)
        return Reply()

    def _set_mtu(self, request: Request) -> Reply:
        if request.value:
            self._mtu = max(LEAST_MTU, request.value)
        return Reply(self._mtu)

    # What a central does

    def connect(self, central: Central, mtu: int) -> int:
        """The number of the connection. Raises ConnectionError when nothing connectable is on the air."""
        if self.advert is None or not self.advert.connectable:
            raise ConnectionError("nothing connectable is on the air")
        number = next(n for n in range(MAX_CONNECTIONS + 1) if n not in self._centrals)
        if number == MAX_CONNECTIONS:
            raise ConnectionError(f"the peripheral has {MAX_CONNECTIONS} connections already")
        agreed = min(mtu, self._mtu)
        self._centrals[number] = (central, agreed)
        self.advert = None
        self._happened(CONNECTED, struct.pack("<HB6s", number, 0, CENTRAL_ADDRESS))
        if agreed > LEAST_MTU:
            self._happened(MTU_EXCHANGED, struct.pack("<HH", number, agreed))
        self.on_change()
        return number

    def mtu(self, connection: int) -> int:
        return self._centrals[connection][1]

    def disconnect(self, connection: int) -> None:
        """Either side ends it; both hear of it."""
        central, _ = self._centrals.pop(connection)
        self._happened(DISCONNECTED, struct.pack("<HB6s", connection, 0, CENTRAL_ADDRESS))
        central.disconnected()

    def written(self, connection: int, handle: int, data: bytes) -> "asyncio.Future[None]":
        """A central writes; done when the firmware has heard of it."""
        found = self.characteristics[handle]
        found.value = ((found.value if found.appends else b"") + data)[: found.room_bytes]
        heard = self._loop.create_future()
        self._happened(WRITTEN, struct.pack("<HH", connection, handle), heard)
        return heard

    def _happened(self, kind: int, data: bytes, heard: "asyncio.Future[None] | None" = None) -> None:
        self._events.append(_Event(kind, data, heard))
        self._tell(bytes((BLE_PIN, 1)))

    def _next_event(self) -> Reply:
        """The kind and the data of what happened next; 0 when there is nothing more."""
        if not self._events:
            return Reply()
        event = self._events.popleft()
        self._loop.call_soon(_answer, event)  # when the handler of the event has had its turn
        return Reply(event.kind, event.data)


def _answer(event: _Event) -> None:
    if event.heard is not None and not event.heard.done():
        event.heard.set_result(None)
