"""MQTT connections on asyncio: the protocol that any server or in-memory transport may drive.

Promises: one connection's garbage, silence or hunger closes or slows that connection only, and is counted by name; a
second login under the same user and client id replaces the first. No task and no timer per message.
Leaves the packets to `core.py`, and the messages to the owner's `take`, which says with `release` what it committed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import cast

from balise_gateway.mqtt import topics
from balise_gateway.mqtt.core import CLEAN, RETAINED, Doors, Limits, Message, ServerConnection

MAX_RETAINED, MAX_RETAINED_BYTES = 1_000, 1 << 20
MAX_WAITING = 8_192
LINGER_S = 5.0  # how long a refused client has to read why, before it is cut off

Token = tuple["Connection", int]  # who waits for a PUBACK, and its packet id
Take = Callable[[Message, Token | None], None]


class Listener:
    """All connections of one port. `counters` says by name how many came, and why they ended."""

    def __init__(
        self, limits: Limits, doors: Doors, take: Take, max_connections: int, max_waiting: int = MAX_WAITING
    ) -> None:
        self.limits, self.doors, self.take = limits, doors, take
        self.counters: Counter[str] = Counter()
        self.waiting = 0  # messages that wait for `release`
        self.retained = Retained()
        self._max_connections, self._max_waiting = max_connections, max_waiting
        self._open: dict[Connection, None] = {}  # in order of arrival, so that the same events give the same bytes
        self._clients: dict[tuple[str | None, str], Connection] = {}

    def connect(self) -> "Connection":
        """Makes the protocol of a new connection: hand this to `loop.create_server`."""
        return Connection(self)

    def publish(self, topic: str, payload: bytes) -> int:
        """Sends to every subscriber that keeps up; returns how many those are."""
        reached = 0
        for connection in self._open:
            if connection.core.wants(topic) and connection.offer(topic, payload):
                reached += 1
        return reached

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        """These messages are committed: acknowledge them. Or they were not taken: forget them, unacknowledged."""
        touched: dict[Connection, None] = {}
        was_full = self.is_full
        for connection, packet_id in tokens:
            self.waiting -= 1
            if committed:
                connection.core.committed(packet_id)
            else:
                connection.core.dropped()
            touched[connection] = None
        for connection in touched:
            if committed:
                connection.go_on()
            else:  # MQTT 3.1.1 section 4.4: only after a new connection does a client send again
                connection.end("not_taken")
        if was_full and not self.is_full:
            for connection in [each for each in self._open if each not in touched]:
                connection.go_on()

    @property
    def is_full(self) -> bool:
        """Must all clients wait, because the owner is slow to commit?"""
        return self.waiting >= self._max_waiting

    def close(self) -> None:
        """Ends all connections at once; what was not acknowledged comes again."""
        for connection in list(self._open):
            connection.end("stopped")

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: "Connection") -> None:
        self._open[connection] = None
        self.counters["connections"] += 1
        if len(self._open) > self._max_connections:
            connection.end("too_many")

    def admit(self, connection: "Connection") -> None:
        """CONNECT was accepted. Section 3.1.4: a client that is here already is replaced."""
        core = connection.core
        if not core.client_id:
            return  # an anonymous session has no name to take over
        earlier = self._clients.get((core.user, core.client_id))
        self._clients[core.user, core.client_id] = connection
        if earlier is not None:
            earlier.end("taken_over")

    def ended(self, connection: "Connection", reason: str) -> None:
        self.counters[f"closed_{reason}"] += 1
        self._open.pop(connection, None)
        core = connection.core
        if core.client_id and self._clients.get((core.user, core.client_id)) is connection:
            del self._clients[core.user, core.client_id]


class Retained:
    """Messages that were published to be kept (section 3.3.1.3), for later subscribers under the same user.

    Bounded: what does not fit is not kept. Forgotten at a restart: clients publish them again when they connect.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str | None, str], bytes] = {}
        self._size_bytes = 0

    def keep(self, user: str | None, topic: str, payload: bytes) -> bool:
        """Keeps the message instead of the one before, or takes that one away when it is empty."""
        before = self._kept.pop((user, topic), b"")
        self._size_bytes -= len(before)
        if not payload:
            return True
        if len(self._kept) >= MAX_RETAINED or self._size_bytes + len(payload) > MAX_RETAINED_BYTES:
            return False
        self._kept[user, topic] = payload
        self._size_bytes += len(payload)
        return True

    def matching(self, user: str | None, text: str) -> list[tuple[str, bytes]]:
        """(topic, payload) of what a new subscription to this filter gets."""
        return [
            (topic, payload)
            for (owner, topic), payload in self._kept.items()
            if owner == user and topics.matches(text, topic)
        ]


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self.core = ServerConnection(listener.limits, listener.doors, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._known = self._paused = self._choked = self._busy = False
        self._watch: asyncio.TimerHandle | None = None
        self._nap: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # or one in memory that does what this module needs
        self._keep_watch()
        self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        self._hand_on(self.core.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.core.close("lost")
        self._transport = None
        for timer in (self._watch, self._nap):
            if timer is not None:
                timer.cancel()
        self._listener.ended(self, self.core.closed or CLEAN)

    def pause_writing(self) -> None:
        """The client does not read: it gets no more messages, and is not read either, until it does."""
        self._choked = True
        self._set_reading()

    def resume_writing(self) -> None:
        self._choked = False
        self._set_reading()

    def offer(self, topic: str, payload: bytes) -> bool:
        """Sends one message, unless the client does not keep up (then it is counted and dropped)."""
        if self._choked or self._transport is None or self.core.closed is not None:
            self._listener.counters["slow_subscriber"] += 1
            return False
        self.core.send(topic, payload)
        self._flush()
        return True

    def go_on(self) -> None:
        """Sends what is due and takes up what waited."""
        self._nap = None
        if not self._busy:  # else the messages in hand are handed on first
            self._hand_on(self.core.resume(self._loop.time()))

    def end(self, reason: str) -> None:
        """Closes the connection for this reason."""
        self.core.close(reason)
        self._flush()

    def _hand_on(self, messages: list[Message]) -> None:
        if not self._known and self.core.client_id is not None:
            self._known = True
            self._listener.admit(self)
        self._busy = True
        while messages:
            for message in messages:
                self._take(message)
            messages = self.core.resume(self._loop.time())  # a message that was not taken makes room for another
        self._busy = False
        for text in self.core.new_filters():
            for topic, payload in self._listener.retained.matching(self.core.user, text):
                self.core.send(topic, payload, retained=True)
        if self.core.denied:
            self._listener.counters["denied"] += self.core.denied
            self.core.denied = 0
        self._flush()
        self._set_reading()

    def _take(self, message: Message) -> None:
        listener = self._listener
        if message.marks & RETAINED and not listener.retained.keep(self.core.user, message.topic, message.payload):
            listener.counters["not_retained"] += 1
        if message.packet_id is None:
            listener.take(message, None)
        else:
            listener.waiting += 1
            listener.take(message, (self, message.packet_id))

    def _flush(self) -> None:
        core, transport = self.core, self._transport
        if transport is None or transport.is_closing():
            return
        if core.outgoing:
            transport.write(bytes(core.outgoing))
            core.outgoing.clear()
        if core.closed is not None:
            transport.close()
            self._watch_cancel()
            self._watch = self._loop.call_later(LINGER_S, transport.abort)

    def _set_reading(self) -> None:
        """Reads, or pauses while the client must wait; the kernel's buffers then slow the client down."""
        if self._transport is None or self.core.closed is not None:
            return
        must_pause = self._choked or self.core.blocked or self._listener.is_full
        if must_pause and not self._paused:
            self._transport.pause_reading()
            self._listener.counters["slowed_down"] += 1
        elif self._paused and not must_pause:
            self._transport.resume_reading()
        self._paused = must_pause
        if self.core.blocked and self.core.wait_s and self._nap is None:
            self._nap = self._loop.call_later(self.core.wait_s, self.go_on)

    def _keep_watch(self) -> None:
        """One timer a connection: it looks when silence would be too long, and sleeps again if it was not."""
        deadline_s = self.core.deadline_s
        now_s = self._loop.time()
        if deadline_s is not None and now_s >= deadline_s and not self._paused:
            self.end("keep_alive" if self._known else "connect_timeout")
            return
        wait_s = _CHECK_S if deadline_s is None or self._paused else deadline_s - now_s
        self._watch = self._loop.call_later(max(wait_s, _LEAST_S), self._keep_watch)

    def _watch_cancel(self) -> None:
        if self._watch is not None:
            self._watch.cancel()


_CHECK_S = 60.0
_LEAST_S = 0.001  # a timer that a rounding wakes too early must not spin
