"""A node's Wi-Fi station and its sockets: the host's half of the overlays `network` and `socket`.

Promises: joining takes JOIN_S and fails for a wrong name or key; sockets outlive nothing that a real stack would not
outlive: a node that loses its power tells nobody. Leaves to others: bytes in flight (link.py, net.py).
"""

import enum
import errno
from collections.abc import Callable

from balise_sim.link import Link
from balise_sim.net import Connection, Network, NodeEnd, os_error

JOIN_S, REJOIN_S, SEARCH_S = 1.8, 3.0, 4.0  # association and DHCP; after a loss; until "not found"
SEND_ROOM_BYTES, RECEIVE_ROOM_BYTES = 5760, 5760  # lwIP's TCP_SND_BUF and TCP_WND on both boards
PUSH_BYTES = 512  # what one reply brings: it lands on the VM's heap, which on a board holds no segments
MAX_SOCKETS = 16
RSSI_DBM = -58

READABLE, WRITABLE, ERROR, END = 1, 4, 8, 16


class WifiState(enum.IntEnum):
    """As overlays/network.py numbers them."""

    IDLE = 0
    CONNECTING = 1
    WRONG_KEY = 2
    NOT_FOUND = 3
    FAILED = 4
    GOT_IP = 5


GAVE_UP = (WifiState.WRONG_KEY, WifiState.NOT_FOUND, WifiState.FAILED)


class Station:
    """The radio of one node. `on_ready(handle)` is called when a socket has something new for the VM.

    `on_radio(state)` hears what the radio does (a state of energy.py), `on_sent(count)` of bytes that it sends.
    """

    def __init__(self, network: Network, link: Link, address: str, on_ready: Callable[[int], None]) -> None:
        self.network, self.link, self.address, self._on_ready = network, link, address, on_ready
        self._state = WifiState.IDLE
        self.on_radio: Callable[[str], None] = lambda _state: None
        self.on_sent: Callable[[int], None] = lambda _count: None
        self.active = False
        self.rejoins = True
        self.sockets: dict[int, NodeSocket] = {}
        self._join = 0  # number of the latest attempt; older ones come to nothing
        self._credentials = ("", "")
        self._orphans: list[Connection] = []
        link.watch(self._link_changed)

    @property
    def state(self) -> WifiState:
        return self._state

    @state.setter
    def state(self, state: WifiState) -> None:
        self._state = state
        idle = state is WifiState.IDLE or (state in GAVE_UP and not self.rejoins)
        self.on_radio("off" if idle else "wifi_connected" if self.is_connected else "wifi_join")

    @property
    def is_connected(self) -> bool:
        return self.state is WifiState.GOT_IP

    def activate(self, on: bool) -> None:
        if not on:
            self.leave()
        self.active = on

    def join(self, ssid: str, key: str) -> None:
        self._credentials = (ssid, key)
        self._search(JOIN_S)

    def leave(self) -> None:
        self._join += 1
        self.state = WifiState.IDLE

    def _search(self, delay_s: float) -> None:
        self._join += 1
        self.state = WifiState.CONNECTING
        ssid, key = self._credentials
        known = self.network.wifi
        outcome = WifiState.GOT_IP
        if self.link.is_down_for("wifi") or (known and ssid not in known):
            outcome = WifiState.NOT_FOUND
        elif known and known[ssid] != key:
            outcome = WifiState.WRONG_KEY
        wait_s = delay_s if outcome is WifiState.GOT_IP else SEARCH_S
        self.network.loop.call_later(wait_s, self._settle, self._join, outcome)

    def _settle(self, attempt: int, outcome: WifiState) -> None:
        if attempt != self._join:
            return
        if outcome is WifiState.GOT_IP and self.link.is_down_for("wifi"):
            outcome = WifiState.NOT_FOUND
        self.state = outcome
        if outcome is WifiState.GOT_IP:
            orphans, self._orphans = self._orphans, []
            for connection in orphans:
                connection.answer_stray()
            self._orphans += [c for c in orphans if c.is_open]

    def _link_changed(self) -> None:
        if self.link.is_down_for("wifi"):
            if self.state in (WifiState.GOT_IP, WifiState.CONNECTING):
                self._join += 1
                self.state = WifiState.FAILED
        elif self.state in (WifiState.FAILED, WifiState.NOT_FOUND) and self.rejoins:
            self._search(REJOIN_S)

    def lose_power(self) -> None:
        """Forgets everything without a word to anyone."""
        for socket in self.sockets.values():
            socket.lose_power()
        self.sockets.clear()
        self.leave()
        self.active = False

    def orphan(self, connection: Connection) -> None:
        """A connection that this side no longer knows, while the other side does."""
        self._orphans.append(connection)

    def open_socket(self) -> int:
        """A new socket's handle, or the negative errno of a full table."""
        handle = next((n for n in range(1, MAX_SOCKETS + 1) if n not in self.sockets), 0)
        if not handle:
            return -errno.ENFILE
        self.sockets[handle] = NodeSocket(self, lambda: self._on_ready(handle))
        return handle

    def close_socket(self, handle: int) -> None:
        self.sockets.pop(handle).close()


class NodeSocket(NodeEnd):
    """One TCP socket of a node, as the VM's `socket` object sees it through the bridge."""

    def __init__(self, station: Station, on_ready: Callable[[], None]) -> None:
        self._station, self._on_ready = station, on_ready
        self._connection: Connection | None = None
        self._received = bytearray()
        self._unread = 0  # bytes that the VM has and its firmware did not take yet, as last told
        self._ended = False
        self._error: OSError | None = None
        self._closed = False
        self._dark = False
        self.wants_connection = False

    @property
    def address(self) -> str:  # type: ignore[override]
        return self._station.address

    @property
    def is_on_air(self) -> bool:
        return self._station.is_connected

    # What the VM asks

    def connect(self, host: str, port: int) -> int:
        address = self._station.network.resolve(host)
        if address is None or not self._station.is_connected:
            return -errno.EHOSTUNREACH
        self.wants_connection = True
        self._station.network.connect(self._station.link, self, address, port)
        return 0

    def send(self, data: bytes) -> int:
        """How many bytes were taken; a negative errno when none can ever be."""
        if self._error is not None:
            return -(self._error.errno or errno.EIO)
        if self._connection is None:
            return -errno.ENOTCONN
        free = SEND_ROOM_BYTES - self._connection.to_host.size
        if free > 0 and data:
            self._connection.send_to_host(data[:free])
            self._station.on_sent(min(free, len(data)))
        return max(0, min(free, len(data)))

    def fetch(self, unread: int, now_us: int) -> tuple[int, bytes]:
        """(flags, bytes) for the VM, which still has `unread` bytes; or (negative errno, b"")."""
        self._unread = unread
        data = bytes(self._received[:PUSH_BYTES])
        del self._received[:PUSH_BYTES]
        self._unread += len(data)
        if self._connection is not None:
            self._connection.to_node.pump()
        if self._error is not None and not data and not unread:
            return -(self._error.errno or errno.EIO), b""
        return self._flags(), data

    def collect(self, mask: int, unread: int, now_us: int) -> tuple[int, bytes] | None:
        """As `fetch`, for a waiting VM: None when nothing of `mask` is ready."""
        flags = self._flags()
        readable = READABLE if self._received or flags & END else 0
        if not (flags | readable) & (mask | ERROR):
            return None
        data = self.fetch(unread, now_us)[1] if mask & READABLE else b""
        return self._flags(), data

    def due_us(self, now_us: int) -> int | None:
        return None

    def _flags(self) -> int:
        flags = END if self._ended and not self._received else 0
        if self._error is not None:
            return flags | ERROR | WRITABLE
        if self._connection is not None and self._connection.to_host.size < SEND_ROOM_BYTES:
            flags |= WRITABLE
        return flags

    def close(self) -> None:
        self._closed = True
        self.wants_connection = False
        if self._connection is not None and self._connection.is_open and self._error is None:
            self._connection.to_host.finish(None)

    def lose_power(self) -> None:
        self._closed = self._dark = True
        self.wants_connection = False
        if self._connection is not None and self._connection.is_open:
            self._connection.lose_node()
            self._station.orphan(self._connection)

    # What the connection tells

    def opened(self, connection: Connection) -> None:
        self._connection = connection
        self._on_ready()

    def refused(self, error: OSError) -> None:
        if self.wants_connection:
            self._error = error
            self._on_ready()

    def room(self) -> int:
        if self._closed:
            return 0 if self._dark else RECEIVE_ROOM_BYTES
        return RECEIVE_ROOM_BYTES - len(self._received) - self._unread

    def take(self, data: bytes) -> None:
        if self._closed and self._connection is not None:
            self._connection.transport.end(os_error(errno.ECONNRESET))
            return
        self._received += data
        self._on_ready()

    def end(self, error: OSError | None) -> None:
        self._ended, self._error = True, error
        if self._connection is not None and (self._closed or error is not None):
            self._connection.close()
        self._on_ready()

    def timed_out(self, error: OSError) -> None:
        if self._connection is not None:
            self._station.orphan(self._connection)
        self._error = error
        self._on_ready()

    def writable(self) -> None:
        if not self._closed:
            self._on_ready()
