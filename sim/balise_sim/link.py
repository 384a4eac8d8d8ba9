"""The way between a node and the home network: delay, loss of connection, bytes in flight.

Promises: bytes of one direction arrive in order, once, after the link's delay; while the link is down they wait, as
TCP's retransmissions would have it. Leaves to others: connections (net.py) and joining a radio network (station.py).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

DELAY_S, JITTER_S = 0.003, 0.002  # Wi-Fi in a home
PATIENCE_S = 60.0  # how long a connection with unacknowledged bytes lives on a dead link


class Link:
    """Up unless someone named a reason to be down, such as "cable" or "wifi"."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: str, delay_s: float = DELAY_S) -> None:
        self.loop = loop
        self.delay_s, self.jitter_s, self.patience_s = delay_s, JITTER_S, PATIENCE_S
        self._dice = random.Random(seed)
        self._reasons: set[str] = set()
        self._watchers: list[Callable[[], None]] = []

    @property
    def is_up(self) -> bool:
        return not self._reasons

    def is_down_for(self, reason: str) -> bool:
        return reason in self._reasons

    def down(self, reason: str = "cable") -> None:
        """Nothing passes any more, until `up` for every reason named."""
        self._change(self._reasons | {reason})

    def up(self, reason: str = "cable") -> None:
        self._change(self._reasons - {reason})

    def _change(self, reasons: set[str]) -> None:
        if reasons != self._reasons:
            self._reasons = reasons
            for watcher in list(self._watchers):
                watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        self._watchers.remove(watcher)

    def travel_s(self) -> float:
        return self.delay_s + self._dice.random() * self.jitter_s


class Sink(Protocol):
    """Where a pipe ends."""

    def room(self) -> int:
        """How many bytes it would take now."""

    def take(self, data: bytes) -> None: ...

    def end(self, error: OSError | None) -> None:
        """The other side closed in order (None), or the connection broke."""


class Pipe:
    """One direction of a connection. `size` counts the bytes inside; `on_drain` is called when some have left."""

    def __init__(self, link: Link, sink: Sink, on_drain: Callable[[], None]) -> None:
        self._link, self._sink, self._on_drain = link, sink, on_drain
        self._items: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_s = 0.0
        self._end: tuple[float, OSError | None] | None = None
        self.size = 0

    def put(self, data: bytes) -> None:
        self._last_s = max(self._last_s, self._link.loop.time() + self._link.travel_s())
        self._items.append((self._last_s, data))
        self.size += len(data)
        self._arm()

    def finish(self, error: OSError | None) -> None:
        """Nothing more follows; a broken connection overtakes the bytes before it."""
        if error is not None:
            self.clear()
        self._end = (max(self._last_s, self._link.loop.time() + self._link.travel_s()), error)
        self._arm()

    def clear(self) -> None:
        self._items.clear()
        self.size = 0
        self._end = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pump(self) -> None:
        """Goes on after the link came back or the sink has room again."""
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None or not self._link.is_up:
            return
        if self._items:
            if self._sink.room() > 0:
                self._timer = self._link.loop.call_at(self._items[0][0], self._arrive)
        elif self._end is not None:
            self._timer = self._link.loop.call_at(self._end[0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        if not self._link.is_up:
            return
        now_s = self._link.loop.time()
        while self._items and self._items[0][0] <= now_s and (room := self._sink.room()) > 0:
            at_s, data = self._items.popleft()
            if len(data) > room:
                self._items.appendleft((at_s, data[room:]))
            self.size -= min(room, len(data))
            self._sink.take(data[:room])
        if not self._items and self._end is not None and self._end[0] <= now_s:
            error, self._end = self._end[1], None
            self._sink.end(error)
            return
        self._on_drain()
        self._arm()
