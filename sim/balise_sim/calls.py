"""What each request of a VM means: a table from op to handler, for one node and one boot.

Promises: every op that the board's parts know has a handler; a handler answers with bytes, an errno and a duration, or
parks the VM. Leaves to others: the devices (buses/), the network (station.py), the boot itself (node.py).
"""

import errno
import functools
import json
import struct
from typing import TYPE_CHECKING, Any

from balise_sim.bridge import Handler, Op, Reply, Request
from balise_sim.station import RSSI_DBM

if TYPE_CHECKING:
    from balise_sim.node import Node

FIRST_PORT_HANDLE = 200
RESOLVE_US = 8_000
MEMORY_KINDS = ("wifi", "wifi_active", "tls", "tls_handshake", "ble")  # as overlays/_memory.py numbers them
ENTRY = struct.Struct("<BBH")


class Calls:
    """The handlers of one boot."""

    def __init__(self, node: "Node", boot_us: int) -> None:
        self._node, self._bench, self._station = node, node.bench, node.station
        self._boot_us = boot_us
        self.table: dict[int, Handler] = {}
        for op in Op:
            own = getattr(self, "_" + op.name.lower(), None)
            if own is not None:
                self.table[op] = own
        for op, (kind, method) in self._bench.handlers().items():
            self.table[op] = functools.partial(self._on_bus, kind, method)

    def source(self, handle: int) -> Any:
        """The port or socket behind a handle; None when there is none."""
        if handle >= FIRST_PORT_HANDLE:
            return self._bench.source(handle)
        return self._station.sockets.get(handle)

    def _on_bus(self, kind: str, method: str, request: Request) -> Reply:
        return self._bench.answer(kind, method, request, self._boot_us + request.now_us)

    # The boot

    def _hello(self, request: Request) -> Reply:
        self._node.vm_version = request.payload.decode()
        settings: dict[str, Any] = self._node.settings()
        return Reply(0, json.dumps(settings).encode(), self._node.board.boot_ms * 1000)

    def _ready(self, request: Request) -> Reply:
        self._node.overlays_ready(request.value)
        return Reply()

    def _wait(self, request: Request) -> Reply | None:
        return self._node.wait(request)

    def _finish(self, request: Request) -> Reply:
        self._node.finished(request.small, request.value, request.payload.decode(errors="replace"))
        return Reply()

    def _reset(self, request: Request) -> None:
        self._node.restart(request.small, request.value, request.now_us)

    def _watchdog(self, request: Request) -> Reply:
        self._node.feed_watchdog(request.value * 1000, request.now_us)
        return Reply()

    def _clock(self, request: Request) -> Reply:
        """0: read the memory that outlives deep sleep; 1: set the clock; 2: set that memory; 3: light sleep or not."""
        if request.small == 1:
            self._node.set_rtc(request.value)
        elif request.small == 2:
            self._node.rtc_memory = request.payload
        elif request.small == 3:
            self._node.sleeps_lightly = bool(request.value)
        return Reply(0, self._node.rtc_memory if request.small == 0 else b"")

    def _random(self, request: Request) -> Reply:
        return Reply(0, self._node.dice.randbytes(request.value))

    def _flash(self, request: Request) -> Reply | None:
        return self._node.touch_flash(request)

    def _memory(self, request: Request) -> Reply:
        """Memory outside Python's heap: take one of a kind (1; value: what Python's objects take), or give it back."""
        kind = MEMORY_KINDS[request.handle]
        if request.small == 0:
            self._node.native_heap.give(kind)
            return Reply()
        return Reply(0 if self._fits(kind, request.value) else -errno.ENOMEM)

    def _fits(self, kind: str, allocated_bytes: int) -> bool:
        return self._node.native_heap.take(kind, self._node.python_bytes(allocated_bytes))

    # Pins

    def _pin(self, request: Request) -> Reply:
        return Reply(self._bench.pins.request(request.handle, request.small, request.value), b"", 1)

    def _pwm(self, request: Request) -> Reply:
        """Value: frequency above, duty of 65535 in the low 16 bits; small 0: the pin is let go."""
        setting = (request.value >> 16, request.value & 0xFFFF) if request.small else None
        return Reply(self._bench.pins.modulate(request.handle, setting), b"", 1)

    def _pulse(self, request: Request) -> Reply:
        """The next pulse of level `small`, its length: `value` when it did not end in time, one more if none began."""
        length_us, cost_us = self._bench.pins.pulse(request.handle, request.small, request.value)
        return Reply(length_us, b"", cost_us)

    def _events(self, request: Request) -> Reply:
        return Reply(0, self._node.take_edges())

    def _fetch(self, request: Request) -> Reply:
        source = self.source(request.handle)
        if source is None:
            return Reply(-errno.EBADF)
        flags, data = source.fetch(request.value, self._boot_us + request.now_us)
        return Reply(flags, data, 5)

    # The radios

    def _ble(self, request: Request) -> Reply:
        return self._node.peripheral.request(request)

    def _wlan(self, request: Request) -> Reply:
        """active, join, leave, state, address, rssi, as overlays/network.py numbers them."""
        station = self._station
        if request.small == 0:
            if request.value >= 0:
                station.activate(bool(request.value))
            return Reply(int(station.active))
        if request.small == 1:
            if not station.active:
                return Reply(-errno.EPERM)
            ssid, _, key = request.payload.decode().partition("\0")
            station.join(ssid, key)
        elif request.small == 2:
            station.leave()
        elif request.small == 3:
            return Reply(int(station.state))
        elif request.small == 4:
            return Reply(0, self._addresses())
        return Reply(RSSI_DBM + 256 if request.small == 5 else 0)

    def _addresses(self) -> bytes:
        if not self._station.is_connected:
            return b"\n".join([b"0.0.0.0"] * 4)
        gateway = self._station.address.rsplit(".", 1)[0] + ".1"
        return "\n".join((self._station.address, "255.255.255.0", gateway, gateway)).encode()

    def _resolve(self, request: Request) -> Reply:
        name = request.payload.decode()
        address = self._station.network.resolve(name) if self._station.is_connected else None
        cost_us = 0 if address == name else RESOLVE_US
        return Reply(0, address.encode(), cost_us) if address else Reply(-errno.EHOSTUNREACH, b"", cost_us)

    def _socket(self, request: Request) -> Reply:
        if not self._fits("socket", request.value):
            return Reply(-errno.ENOMEM)
        handle = self._station.open_socket()
        if handle < 0:
            self._node.native_heap.give("socket")
        return Reply(handle)

    def _connect(self, request: Request) -> Reply:
        socket = self._station.sockets.get(request.handle)
        if socket is None:
            return Reply(-errno.EBADF)
        return Reply(socket.connect(request.payload.decode(), request.small))

    def _send(self, request: Request) -> Reply:
        socket = self._station.sockets.get(request.handle)
        return Reply(-errno.EBADF) if socket is None else Reply(socket.send(request.payload), b"", 40)

    def _close(self, request: Request) -> Reply:
        port = self.source(request.handle) if request.handle >= FIRST_PORT_HANDLE else None
        if port is not None:
            return port.close(request, self._boot_us + request.now_us)  # type: ignore[no-any-return]
        if request.handle in self._station.sockets:
            self._station.close_socket(request.handle)
            self._node.native_heap.give("socket")
        return Reply()
