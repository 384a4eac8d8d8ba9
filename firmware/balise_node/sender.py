"""Hands kept frames to the link until the gateway's sealed answer says that it holds them.

Promises: frames go out unchanged, this boot's hello first, then the oldest; each again with growing waits, and all
again after a new connection; nothing is let go of for any other reason than an authentic acknowledgement. The clock is
told only by one that newly releases a frame of this boot, so a replayed one cannot move it. Never holds up measuring.
Leaves to others: what the frames say, the link, the store.
"""

import asyncio
import gc

from balise_node.errors import LinkError
from balise_wire.errors import WireError
from balise_wire.frames import FrameKeys, open_ack
from balise_wire.window import WINDOW, Window

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from balise_node._shapes import NodeLink
    from balise_node.clock import BootClock
    from balise_node.store import Entry, FrameStore

_LONGEST_WAIT_MS = 900_000
_FIRST_RETRY_MS = 2_000
_LONGEST_RETRY_MS = 60_000
_TIDY_PAUSE_MS = 20
_IDLE_MS = 3_600_000


class Sender:
    """Run `run` as a task; call `wake` when there is a new frame, and read `bad_acks` and `connected` at any time."""

    def __init__(self, keys: FrameKeys, store: "FrameStore", link: "NodeLink", clock: "BootClock", boot: int) -> None:
        self._keys, self._store, self._link, self._clock = keys, store, link, clock
        self.boot, self.kid = boot, keys.kid
        self._jitter = boot  # the state of a small generator: neighbours must not all come back at the same moment
        self._news = asyncio.Event()
        self._cannot_send = self._told = ""
        self.first_wait_ms = 90_000
        self.told_time: Callable[[int, int, int], None] | None = None  # (ms since boot, UTC ms, uncertainty ms)
        self.forgotten: Callable[[], None] | None = None  # the gateway holds less of this boot than it once did
        self._most_held = 0  # of this boot, as an answer said
        self._forgotten_ms = -_IDLE_MS
        self.bad_acks = 0
        self.connected = False

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    async def run(self) -> None:
        """Connect, send and listen, for ever."""
        retry_ms = _FIRST_RETRY_MS
        while True:
            before_ms = self._clock.ms()
            gc.collect()  # closes sockets that were given up while they connected; makes room in one piece
            try:
                await self._link.connect()
                await self._talk()
            except LinkError as error:
                self._tell(str(error))
            self.connected = False
            await self._link.close()
            if self._clock.ms() - before_ms > _LONGEST_RETRY_MS:
                retry_ms = _FIRST_RETRY_MS
            await asyncio.sleep_ms(retry_ms // 2 + self._random_below(retry_ms))
            retry_ms = min(retry_ms * 2, _LONGEST_RETRY_MS)

    async def _talk(self) -> None:
        """Until the link breaks. On a new connection everything is due at once."""
        self.connected = True
        self._tell("connected")
        for entry in self._store.entries():
            entry.due_ms = 0
        self._cannot_send = ""
        push = asyncio.create_task(self._push(asyncio.current_task()))
        try:
            while True:
                self.take(await self._link.receive())
                while self._store.tidy():
                    await asyncio.sleep_ms(_TIDY_PAUSE_MS)
        except asyncio.CancelledError:
            if not self._cannot_send:
                raise
        finally:
            push.cancel()
        raise LinkError(self._cannot_send)

    def _tell(self, how: str) -> None:
        """One line for each change, not for each attempt."""
        if how != self._told:
            print("link:", how)
        self._told = how

    async def _push(self, talk: "Any") -> None:
        try:
            while True:
                wait_ms = await self._send_due()
                self._news.clear()
                await self._until_news(wait_ms)
        except LinkError as error:
            self._cannot_send = str(error)
            talk.cancel()  # it is waiting for an answer on the same broken link

    async def _send_due(self) -> int:
        """Send what is due; returns how long nothing will be."""
        while True:
            now_ms = self._clock.ms()
            entry, wait_ms = self._next(now_ms)
            if entry is None:
                return wait_ms
            frame = self._store.read(entry)
            if frame is None:
                continue
            if not entry.tries:
                entry.first_sent_ms = now_ms
            entry.due_ms = now_ms + min(self.first_wait_ms << min(entry.tries, 8), _LONGEST_WAIT_MS)
            entry.tries += 1
            await self._link.send(frame)

    def _next(self, now_ms: int) -> "tuple[Entry | None, int]":
        """The first entry that is due, or how long it takes until one is.

        Never one more than WINDOW - 1 counts after the oldest kept of its boot: that would say we gave up what is
        before it (balise_wire/window.py).
        """
        wait_ms = _IDLE_MS
        oldest: dict[int, int] = {}
        for entry in self._store.entries():
            first = oldest.setdefault(entry.boot, entry.count)
            if entry.count - first >= WINDOW:
                continue
            if entry.due_ms <= now_ms:
                return entry, 0
            wait_ms = min(wait_ms, entry.due_ms - now_ms)
        return None, wait_ms

    async def _until_news(self, wait_ms: int) -> None:
        try:
            await asyncio.wait_for_ms(self._news.wait(), wait_ms)
        except asyncio.TimeoutError:  # noqa: UP041 (not a built-in of MicroPython)
            pass  # something is due

    def take(self, data: bytes) -> None:
        """A message came down: an acknowledgement, or nothing."""
        now_ms = self._clock.ms()
        try:
            _, ack = open_ack(self._keys, data)
            window = Window(ack.contiguous, ack.bitmap)
        except WireError as error:
            self.bad_acks += 1
            print(f"acknowledgement {self.bad_acks} refused: {error}")
            return
        released, sent_ms = self._store.release(ack.boot, window)
        if ack.boot == self.boot and sent_ms >= 0 and ack.utc_ms is not None and self.told_time is not None:
            round_trip_ms = now_ms - sent_ms  # it was written after the youngest of these frames had left
            self.told_time(now_ms, ack.utc_ms, ack.uncertainty_ms + round_trip_ms)
        if ack.boot == self.boot:
            self._compare(ack.contiguous, now_ms)
        if released:
            self._hurry(now_ms)
            self.wake()

    def _compare(self, held: int, now_ms: int) -> None:
        """Is it another gateway, or one with an empty disk? A replayed answer looks the same: so once an hour."""
        if held >= self._most_held:
            self._most_held = held
        elif self.forgotten is not None and now_ms - self._forgotten_ms >= _IDLE_MS:
            self._forgotten_ms = now_ms
            self._most_held = held
            print("link: the gateway has forgotten this boot")
            self.forgotten()
            self.wake()

    def _hurry(self, now_ms: int) -> None:
        """The gateway answers: what was sent more than once in vain has waited long enough."""
        for entry in self._store.entries():
            if entry.tries > 1:
                entry.tries = 1
                entry.due_ms = min(entry.due_ms, now_ms)

    def _random_below(self, limit: int) -> int:
        self._jitter = (self._jitter * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._jitter >> 8) % limit
