"""`select.poll` over simulated streams: the only place where asyncio waits.

Promises: what is known to be ready is given at once, without asking the host; otherwise one WAIT covers all streams.
Objects with ioctl(MP_STREAM_POLL), such as asyncio's flags, are asked by it. Leaves to others: descriptors of the host.
"""

import _bridge
from _streams import POLL, Stream, wait
from micropython import const

POLLIN = const(1)
POLLOUT = const(4)
POLLERR = const(8)
POLLHUP = const(16)
_ENOENT = const(2)
_FRESH_US = const(1000)  # what WAIT said is taken as true for so long


class poll:
    def __init__(self):
        self._objects = []
        self._masks = []
        self._fresh_us = -1

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        if obj in self._objects:
            self.modify(obj, eventmask)
            return
        self._objects.append(obj)
        self._masks.append(eventmask)
        self._fresh_us = -1

    def modify(self, obj, eventmask):
        if obj not in self._objects:
            raise OSError(_ENOENT)
        at = self._objects.index(obj)
        if eventmask & ~self._masks[at]:
            self._fresh_us = -1
        self._masks[at] = eventmask

    def unregister(self, obj):
        if obj in self._objects:
            at = self._objects.index(obj)
            self._objects.pop(at)
            self._masks.pop(at)

    def poll(self, timeout=-1):
        return list(self.ipoll(timeout))

    def ipoll(self, timeout=-1, flags=0):
        timeout = -1 if timeout is None else timeout
        if not self._objects:
            if timeout:
                _wait_idle(timeout)
            return ()
        until_us = _bridge.FOREVER if timeout < 0 else _bridge.now_us + timeout * 1000
        ready = self._ready()
        while not ready:
            if timeout == 0 and _bridge.now_us <= self._fresh_us:
                break
            self._ask(until_us)
            ready = self._ready()
            if 0 <= until_us <= _bridge.now_us:
                break
        return ready

    def _ask(self, until_us):
        streams = []
        interest = b""
        for at in range(len(self._objects)):
            obj = self._objects[at]
            if isinstance(obj, Stream):
                streams.append(obj)
                interest += obj._interest(self._masks[at])
        wait(streams, interest, until_us)
        self._fresh_us = _bridge.now_us + _FRESH_US

    def _ready(self):
        ready = []
        for at in range(len(self._objects)):
            obj = self._objects[at]
            events = obj.ioctl(POLL, self._masks[at]) if hasattr(obj, "ioctl") else 0
            if events:
                ready.append((obj, events))
        return ready


def _wait_idle(timeout_ms):
    if timeout_ms > 0:
        _bridge.pause(timeout_ms * 1000)
        return
    while True:  # nothing to wait for: a board hangs here, until its watchdog bites
        _bridge.wait(_bridge.FOREVER)
