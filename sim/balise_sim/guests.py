"""A guest on the world's virtual time that can crash: an event loop of its own, stepped by the host's loop.

Promises: while the guest lives, its callbacks run at their virtual times, in one thread with everything else; after
`abandon` not one line of it runs again, no `finally`, no `except`: as when the power goes. Leaves to others: what
the guest is. The host's network reaches it through `protocol_for`, which hands each event over to the guest's loop.
"""

import asyncio
import asyncio.events
import ctypes
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from balise_sim.clocks import VirtualLoop


def _bury(task: "asyncio.Task[Any]") -> None:
    """Keeps the task as it is for ever: collecting it, even at the end of Python, would run its `finally` blocks."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))


class GuestLoop(VirtualLoop):
    """A virtual loop whose time is the host loop's. Nothing runs until the host's loop runs."""

    _ready: deque[asyncio.Handle]  # asyncio's own: what is left to run now
    _scheduled: list[asyncio.TimerHandle]  # asyncio's own: a heap by time

    def __init__(self, host: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._host = host
        self._wake: asyncio.TimerHandle | None = None
        self._alive = True

    @property
    def alive(self) -> bool:
        return self._alive

    def time(self) -> float:
        return self._host.time()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Runs the coroutine as a task of the guest, as soon as the host's loop comes round."""
        task = self.create_task(coroutine)
        self._plan(self._host.time())
        return task

    def post(self, callback: Callable[..., object], *args: object) -> None:
        """Calls back inside the guest: how the host hands something over."""
        if self._alive:
            self.call_soon(callback, *args)
            self._plan(self._host.time())

    def abandon(self) -> None:
        """The power goes: the guest stops between two lines and never goes on."""
        self._alive = False
        if self._wake is not None:
            self._wake.cancel()
        for task in asyncio.all_tasks(self):
            _bury(task)

    def protocol_for(self, factory: Callable[[], asyncio.BaseProtocol]) -> Callable[[], asyncio.Protocol]:
        """The same protocol, but each of its events runs inside the guest."""
        return lambda: _Doorman(self, factory)

    def _plan(self, when_s: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self._host.call_at(when_s, self._step)

    def _step(self) -> None:
        """Runs what is due, until only timers of later moments are left."""
        self._wake = None
        host = asyncio.events._get_running_loop()
        asyncio.events._set_running_loop(None)
        try:
            while self._alive and (self._ready or self._is_due()):
                self.call_soon(self.stop)
                self.run_forever()
        finally:
            asyncio.events._set_running_loop(host)
        if self._alive and self._scheduled:
            self._plan(self._scheduled[0].when())

    def _is_due(self) -> bool:
        """Whether the first timer's moment has come; a cancelled one counts, since the loop drops it when it runs."""
        if not self._scheduled:
            return False
        first = self._scheduled[0]
        return first.cancelled() or first.when() <= self._host.time()

    def _jump(self, duration_s: float) -> None:
        """Only the host moves time."""


class _Doorman(asyncio.Protocol):
    """Hands the events of one connection over to the guest's loop."""

    def __init__(self, guest: GuestLoop, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._guest, self._factory = guest, factory
        self._inner: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner = self._factory()
        self._guest.post(self._inner.connection_made, transport)

    def data_received(self, data: bytes) -> None:
        self._guest.post(self._inner.data_received, data)

    def eof_received(self) -> bool:
        self._guest.post(self._inner.eof_received)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._guest.post(self._inner.connection_lost, exc)

    def pause_writing(self) -> None:
        self._guest.post(self._inner.pause_writing)

    def resume_writing(self) -> None:
        self._guest.post(self._inner.resume_writing)
