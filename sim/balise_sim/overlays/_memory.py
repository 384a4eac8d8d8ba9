"""Memory outside Python's heap: asked of the host, which keeps the account.

Promises: as the port does, Python's garbage is collected once before something is refused. Leaves to others: which
error the board raises.
"""

import gc

import _bridge
from micropython import const

WIFI, WIFI_ACTIVE, TLS, TLS_HANDSHAKE, BLE = const(0), const(1), const(2), const(3), const(4)
_TAKE, _GIVE = const(1), const(0)


def take(kind):
    """Raises OSError(ENOMEM) when there is no room."""
    try:
        _bridge.call(_bridge.MEMORY, kind, _TAKE, gc.mem_alloc())
    except OSError:
        gc.collect()
        _bridge.call(_bridge.MEMORY, kind, _TAKE, gc.mem_alloc())


def give(kind):
    _bridge.call(_bridge.MEMORY, kind, _GIVE)


def open_socket():
    """A new socket's handle."""
    try:
        return _bridge.call(_bridge.SOCKET, 0, 0, gc.mem_alloc())
    except OSError:
        gc.collect()
        return _bridge.call(_bridge.SOCKET, 0, 0, gc.mem_alloc())
