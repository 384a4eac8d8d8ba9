"""One MQTT 3.1.1 connection at the server's end, without any I/O: bytes in, messages out, bytes to send.

Promises: no input raises; garbage closes this connection with a named reason; what is held in memory is bounded by
`Limits`; a PUBLISH of QoS 1 is acknowledged by `committed` and by nothing else. Wills are read and ignored,
subscriptions get QoS 0. Leaves sockets, time-outs, take-overs and retained messages to `listener.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from balise_gateway.ingests import AGAIN, SOON
from balise_gateway.mqtt import packets, topics
from balise_gateway.mqtt.packets import PacketError

CLEAN = "clean"  # the client said DISCONNECT
CONNECT_WITHIN_S = 10.0
KEEP_ALIVE_FACTOR = 1.5  # section 3.1.2.10
MAX_SUBSCRIPTIONS = 16
USUAL_WINDOW = 20  # what paho and mosquitto send, unless told otherwise, before they wait for the first PUBACK
NEARLY_FULL = 16
LEISURE_S = 0.05  # a client that waits for its PUBACK sends on sooner than that
RETAINED = 8  # a mark of a message: to be kept for who subscribes later
BURST_S = 2.0  # how much of its rate a connection may send at once

Authenticate = Callable[[str | None, bytes | None], bool]


class Doors(NamedTuple):
    """Who may come in, and which topic filters a user may publish to (None: anything)."""

    authenticate: Authenticate
    topics_of: Callable[[str | None], Sequence[str] | None] = lambda user: None


@dataclass(frozen=True)
class Limits:
    """What one connection may cost."""

    max_packet_bytes: int = 65_536
    max_in_flight: int = 1_024
    rate_per_s: float = 1_000.0


class Message(NamedTuple):
    """One PUBLISH; `packet_id` is None for QoS 0, else it waits for `committed`. `marks`: AGAIN, SOON, RETAINED."""

    topic: str
    payload: bytes
    packet_id: int | None
    marks: int


class ServerConnection:
    """The state of one connection. `closed` is None while it may go on, else the reason why it must end."""

    def __init__(self, limits: Limits, doors: Doors, now_s: float) -> None:
        self.limits, self._doors = limits, doors
        self.user: str | None = None
        self.client_id: str | None = None  # known from CONNECT on
        self.closed: str | None = None
        self.detail = ""
        self.outgoing = bytearray()
        self.in_flight = 0
        self._buffer = bytearray()
        self._exact: set[str] = set()
        self._wild: set[str] = set()
        self._new_filters: list[str] = []
        self._keep_alive_s = 0
        self._opened_s = self._heard_s = self._filled_s = now_s
        self._tokens = limits.rate_per_s * BURST_S
        self._full_at = 1  # with so many in flight, the client is held to be waiting
        self._released, self._released_s = False, math.inf
        self._allowed: Sequence[str] | None = None
        self.denied = 0  # messages to topics that this user may not publish to
        self._names: dict[bytes, str] = {}  # topics that this client has used

    def receive(self, data: bytes, now_s: float) -> list[Message]:
        """Takes bytes from the client; returns the messages that are complete and allowed by the limits."""
        if self.closed is not None:
            return []
        self._buffer += data
        self._heard_s = now_s
        return self.resume(now_s)

    def resume(self, now_s: float) -> list[Message]:
        """Goes on with bytes that waited for the rate limit or for commits."""
        self._tokens = min(
            self._tokens + (now_s - self._filled_s) * self.limits.rate_per_s, self.limits.rate_per_s * BURST_S
        )
        self._filled_s = now_s
        if self._released:
            self._released, self._released_s = False, now_s
        messages: list[Message] = []
        if self.closed is None:
            try:
                self._take_packets(messages)
            except PacketError as error:
                self._refuse(error)
        return messages

    def committed(self, packet_id: int) -> None:
        """The owner has committed this message: the client may forget it."""
        self.in_flight -= 1
        self._released = True
        if self.closed is None:
            self.outgoing += packets.puback(packet_id)

    def dropped(self) -> None:
        """The owner did not take this message: no PUBACK, so the client keeps it and sends it again."""
        self.in_flight -= 1

    def wants(self, topic: str) -> bool:
        """Has the client subscribed to this topic?"""
        return topic in self._exact or any(topics.matches(text, topic) for text in self._wild)

    def send(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """Puts a message for the client (QoS 0) among the bytes to send."""
        self.outgoing += packets.publish(topic, payload, retained)

    def new_filters(self) -> list[str]:
        """What the client has subscribed to since this was asked last (section 3.8.4: also what it had already)."""
        found, self._new_filters = self._new_filters, []
        return found

    @property
    def blocked(self) -> bool:
        """Must reading pause? Either too much is in flight, or the client is faster than its rate."""
        return self.in_flight >= self.limits.max_in_flight or self._tokens < 1

    @property
    def wait_s(self) -> float:
        """How long until the rate allows the next message; 0 when only a commit helps."""
        return max(0.0, (1 - self._tokens) / self.limits.rate_per_s)

    @property
    def deadline_s(self) -> float | None:
        """When silence becomes too long; None when the client asked for no keep-alive."""
        if self.client_id is None:
            return self._opened_s + CONNECT_WITHIN_S
        return self._heard_s + KEEP_ALIVE_FACTOR * self._keep_alive_s if self._keep_alive_s else None

    def close(self, reason: str, detail: str = "") -> None:
        """Ends the connection for `reason`; the first one given stays."""
        if self.closed is None:
            self.closed, self.detail = reason, detail
            self._buffer.clear()

    def _take_packets(self, messages: list[Message]) -> None:
        data, at, limit = bytes(self._buffer), 0, self.limits.max_packet_bytes
        connected, end = self.client_id is not None, len(data)
        try:
            while not self.blocked:
                found = packets.header(data, at, limit)
                if found is None or found[1] > end:
                    self._check_first(data, at)
                    return
                first, start, at = data[at], *found
                if connected and first >> 4 == packets.PUBLISH:
                    messages += self._publish(first, data, start, at)
                else:
                    self._control(first, data[start:at])
                    connected = self.client_id is not None
        finally:
            del self._buffer[:at]

    def _check_first(self, buffer: bytes, at: int) -> None:
        """A stranger is told apart by its first byte, not after as many bytes as it likes to announce."""
        if self.client_id is None and len(buffer) > at and buffer[at] != packets.CONNECT << 4:
            raise PacketError("order", "the first packet must be CONNECT")

    def _deny(self, packet_id: int | None) -> None:
        """Section 3.3.5: a message that is not allowed is acknowledged like any other, and goes nowhere."""
        self.denied += 1
        if packet_id is not None:
            self.outgoing += packets.puback(packet_id)

    def _publish(self, first: int, data: bytes, start: int, end: int) -> tuple[Message, ...]:
        """The message, or none when this user may not publish to its topic."""
        topic, at, packet_id = packets.parse_publish(first, data, start, end, self._names)
        self._tokens -= 1
        if self._allowed is not None and not any(topics.matches(text, topic) for text in self._allowed):
            self._deny(packet_id)
            return ()
        if packet_id is None:
            return (Message(topic, data[at:end], None, _MARKS[first & 0x0F]),)
        self._learn_window()
        self.in_flight += 1
        marks = _MARKS[first & 0x0F]
        if self.in_flight == self._full_at:
            marks |= SOON
        return (Message(topic, data[at:end], packet_id, marks),)

    def _learn_window(self) -> None:
        """A client says nowhere how much it sends before it waits: it is told by what it does.

        One that sends a single message and waits must have its PUBACK soon; one that sends on, or only now and then,
        must not cause a commit each time.
        """
        if self._full_at == 1:
            if self.in_flight or self._filled_s - self._released_s > LEISURE_S:
                self._full_at = min(NEARLY_FULL, self.limits.max_in_flight)
        elif self.in_flight > USUAL_WINDOW:
            self._full_at = max(self._full_at, self.limits.max_in_flight * 3 // 4)

    def _control(self, first: int, body: bytes) -> None:
        packets.check_flags(first)
        kind = first >> 4
        if (kind == packets.CONNECT) is (self.client_id is not None):
            raise PacketError("order", "the first packet must be CONNECT, and no later one")
        handle = _HANDLERS.get(kind)
        if handle is None:
            raise PacketError("order", f"a packet of type {kind} has no place here")
        self._tokens -= 1
        handle(self, body)

    def _connect(self, body: bytes) -> None:
        connect = packets.parse_connect(body)
        if not self._doors.authenticate(connect.user, connect.password):
            raise PacketError("login", "no such user, or another password", packets.NOT_AUTHORISED)
        self.user, self.client_id = connect.user, connect.client_id
        self._keep_alive_s = connect.keep_alive_s
        self._allowed = self._doors.topics_of(connect.user)
        self.outgoing += packets.connack(packets.ACCEPTED)

    def _subscribe(self, body: bytes) -> None:
        packet_id, filters = packets.parse_subscribe(body)
        self.outgoing += packets.suback(packet_id, [self._subscribe_to(text) for text in filters])

    def _subscribe_to(self, text: str) -> int:
        known = text in self._exact or text in self._wild
        if not topics.valid_filter(text) or (not known and len(self._exact) + len(self._wild) >= MAX_SUBSCRIPTIONS):
            return packets.SUBSCRIPTION_REFUSED
        (self._wild if "+" in text or "#" in text else self._exact).add(text)
        self._new_filters.append(text)
        return packets.SUBSCRIBED

    def _unsubscribe(self, body: bytes) -> None:
        packet_id, filters = packets.parse_unsubscribe(body)
        self._exact.difference_update(filters)
        self._wild.difference_update(filters)
        self.outgoing += packets.unsuback(packet_id)

    def _ping(self, body: bytes) -> None:
        _refuse_body(body)
        self.outgoing += packets.PINGRESP_BYTES

    def _disconnect(self, body: bytes) -> None:
        _refuse_body(body)
        raise PacketError(CLEAN, "")

    def _refuse(self, error: PacketError) -> None:
        if error.code is not None and self.client_id is None:
            self.outgoing += packets.connack(error.code)
        self.close(error.reason, error.detail)


def _refuse_body(body: bytes) -> None:
    if body:
        raise PacketError("malformed", "a body where there is none")


# By the low four bits of a PUBLISH.
_MARKS = tuple(
    (AGAIN if flags & packets.DUP else 0) | (RETAINED if flags & packets.RETAIN else 0) for flags in range(16)
)
_HANDLERS: dict[int, Callable[[ServerConnection, bytes], None]] = {
    packets.CONNECT: ServerConnection._connect,
    packets.SUBSCRIBE: ServerConnection._subscribe,
    packets.UNSUBSCRIBE: ServerConnection._unsubscribe,
    packets.PINGREQ: ServerConnection._ping,
    packets.DISCONNECT: ServerConnection._disconnect,
}
