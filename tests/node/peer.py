"""A gateway reduced to what a node sees of it, scripted by tests: a real MQTT listener, windows, sealed answers.

It opens what comes, commits once a period (at once what has no readings), and answers unless told to be silent.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from balise_gateway.mqtt.core import Doors, Limits, Message
from balise_gateway.mqtt.listener import Listener, Token
from balise_wire.frames import Ack, Frame, FrameKeys, open_frame, seal_ack
from balise_wire.items import Anchor, Loss, Manifest, Readings
from balise_wire.window import WINDOW, Window


@dataclass
class Row:
    """One row as the peer got it; `utc_s` is None when the node had no clock."""

    boot: int
    utc_s: int | None
    ticks_s: int | None
    values: tuple[int | None, ...]


class Speech(asyncio.Protocol):
    """Says one piece for each piece that it hears, whatever that is."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._pieces and self._transport is not None:
            self._transport.write(self._pieces.pop(0))


@dataclass
class Peer:
    """See the module. Tests set the switches while the world runs."""

    keys: FrameKeys
    utc_ms: Callable[[], int | None]
    user: str = "air-01"
    password: str = "staple-staple"
    commit_s: float = 60
    answers: bool = True
    takes: bool = True
    came_late: bool = False  # it has not heard the beginning of the boots it hears
    deaf_to: int | None = None  # the frame of this count never arrives
    received: list[tuple[float, bytes]] = field(default_factory=list)
    frames: dict[tuple[int, int], Frame] = field(default_factory=dict)
    bytes_of: dict[tuple[int, int], bytes] = field(default_factory=dict)
    windows: dict[int, Window] = field(default_factory=dict)
    acks: list[bytes] = field(default_factory=list)
    topics: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._waiting: list[Token] = []
        self._to_answer: set[int] = set()
        self._commit: asyncio.TimerHandle | None = None
        self.listener = Listener(Limits(), Doors(self._knows), self._take, max_connections=8)

    def _knows(self, user: str | None, password: bytes | None) -> bool:
        return user == self.user and password == self.password.encode()

    def _take(self, message: Message, token: Token | None) -> None:
        loop = asyncio.get_running_loop()
        if not self.takes or token is None:
            return
        self.topics.add(message.topic)
        self.received.append((loop.time(), message.payload))
        frame = open_frame(self.keys, message.payload)
        if frame.count == self.deaf_to:
            return
        name = (frame.boot, frame.count)
        assert self.bytes_of.setdefault(name, message.payload) == message.payload, f"{name} with other bytes"
        self.frames[name] = frame
        window = self.windows.setdefault(frame.boot, Window())
        if not window.holds(frame.count):
            if self.came_late and not window.reaches(frame.count):  # as the gateway does
                window.skip(frame.count - WINDOW)
            assert window.reaches(frame.count), f"{name} says that frames up to {frame.count - WINDOW} were given up"
            window.add(frame.count)
        self._waiting.append(token)
        self._to_answer.add(frame.boot)
        at_once = not any(isinstance(item, Readings) for item in frame.items)
        if at_once and self._commit is not None:
            self._commit.cancel()
            self._commit = None
        if self._commit is None:
            self._commit = loop.call_later(0.02 if at_once else self.commit_s, self._do_commit)

    def _do_commit(self) -> None:
        self._commit = None
        tokens, self._waiting = self._waiting, []
        self.listener.release(tokens, committed=True)
        boots, self._to_answer = sorted(self._to_answer), set()
        for boot in boots:
            self.answer(boot)

    def answer(self, boot: int) -> None:
        """Seals what is held of a boot, and sends it unless silent."""
        window, utc_ms = self.windows[boot], self.utc_ms()
        ack = Ack(boot, window.contiguous, window.bitmap, utc_ms, 0 if utc_ms is None else 25)
        self.acks.append(seal_ack(self.keys, len(self.acks) + 1, ack))
        if self.answers:
            self.say(self.acks[-1])

    def say(self, data: bytes) -> int:
        """Sends these bytes down to the node."""
        return self.listener.publish(f"balise/v1/n/{self.keys.kid.hex()}/down", data)

    # What came

    def items(self, kind: type) -> list[tuple[int, int, object]]:
        """(boot, count, item) of one kind, in the order of their names."""
        return [
            (*name, item) for name in sorted(self.frames) for item in self.frames[name].items if isinstance(item, kind)
        ]

    def rows(self) -> list[Row]:
        """All rows."""
        found = []
        for boot, _, item in self.items(Readings):
            assert isinstance(item, Readings)
            values = tuple(column[0] for column in item.columns)
            known = item.boot is None
            found.append(Row(boot, item.times[0] if known else None, None if known else item.times[0], values))
        return found

    def losses(self) -> list[Loss]:
        return [item for _, _, item in self.items(Loss) if isinstance(item, Loss)]

    def anchors(self) -> list[Anchor]:
        return [item for _, _, item in self.items(Anchor) if isinstance(item, Anchor)]

    def manifests(self) -> list[Manifest]:
        return [item for _, _, item in self.items(Manifest) if isinstance(item, Manifest)]
