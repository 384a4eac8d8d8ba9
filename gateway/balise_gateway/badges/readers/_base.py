"""What every reader shares: a thread that opens the device, reads, and opens it again after whatever went wrong.

Promises that a kind only says how its device is opened (`_open`) and read (`Device.read`); that `run` and `with_card`
leave no thread and no file descriptor behind; and that `status` tells in words what is wrong. Leaves the bytes, and
what counts as the same card or code shown again, to the kinds.
"""

import asyncio
import concurrent.futures
import importlib
import os
import select
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

from balise_gateway.badges.readers import Chip, Take
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import BadgeError, CardRefused, MissingExtra
from balise_gateway.log import event
from balise_gateway.settings import Key

T = TypeVar("T")
Hand = Callable[[Seen], None]
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0  # between two attempts: who replugs a reader waits in front of it
MISSING_PAUSE_S = 60.0  # what is not installed comes with a command, and is looked for on the disk
_WELL_AFTER_S = 10.0  # a device that was read for so long was well: the next pause is short again
_TOLD_AGAIN_AFTER_S = 600.0
_CLOSE_PATIENCE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ReaderSettings:
    """What every [[reader]] has."""

    kind: Annotated[str, Key("what is held before it, and how it is read")]
    name: Annotated[str, Key("what to call this reader in the status and in messages")] = "reader"


class DeviceAway(BadgeError):
    """The device is not there, or does not answer. `fault` is short, to count by; the text says what to try."""

    def __init__(self, fault: str, advice: str) -> None:
        super().__init__(f"{fault}: {advice}")
        self.fault = fault


class Stop:
    """Tells a reader's thread to end, also while it waits for bytes."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            os.write(self._write, b"\0")

    def __bool__(self) -> bool:
        return self._set

    def wait(self, seconds: float | None, fd: int | None = None) -> bool:
        """Waits for something to read at `fd`, for the time to be over, or for the end. Whether `fd` is ready."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if fd is not None:
            poll.register(fd, select.POLLIN)
        ready = poll.poll(None if seconds is None else max(0, round(1000 * seconds)))
        return any(one == fd for one, _ in ready)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class Device(Protocol):
    """A device that is open. One thread uses it."""

    def read(self, stop: Stop, hand: Hand) -> None:
        """Reads until `stop`, and hands over what was seen. Raises DeviceAway when it must be opened again."""
        ...

    def close(self) -> None: ...


class BaseReader:
    """A `Reader` but for its device. A kind inherits, and has `_open`; if it can write to cards, `_card_work` too."""

    def __init__(self, settings: ReaderSettings, where: str) -> None:
        self._kind, self._name, self._where = settings.kind, settings.name, where
        self._state = "starting"
        self._counters: Counter[str] = Counter(seen=0, unreadable=0, reconnects=0)
        self._stop: Stop | None = None
        self._working: concurrent.futures.Future[object] | None = None
        self._was_up = False
        self._told: dict[tuple[str, str], float] = {}

    async def run(self, take: Take) -> None:
        loop = asyncio.get_running_loop()

        def hand(seen: Seen) -> None:
            self._counters["seen"] += 1
            loop.call_soon_threadsafe(take, self, seen)

        try:
            await self._in_thread(lambda stop: self._keep_reading(stop, hand))
        finally:
            self._state = "stopped"

    def status(self) -> dict[str, object]:
        return {
            "kind": self._kind,
            "name": self._name,
            "state": self._state,
            "where": self._where,
            "counters": dict(self._counters),
        }

    async def with_card(self, job: Callable[[Chip], T], timeout_s: float) -> T:
        return await self._in_thread(lambda stop: self._card_work(stop, job, timeout_s))

    def close(self) -> None:
        if self._stop is not None:
            self._stop.set()
        if self._working is not None:
            concurrent.futures.wait([self._working], _CLOSE_PATIENCE_S)

    def _open(self) -> Device:
        """Opens the device, or raises DeviceAway; MissingExtra where its library is not installed."""
        raise NotImplementedError

    def _card_work(self, stop: Stop, job: Callable[[Chip], T], timeout_s: float) -> T:
        raise CardRefused(f"reader {self._name!r} ({self._kind}) only sees codes: write cards with a pn532 or pcsc")

    async def _in_thread(self, work: Callable[[Stop], T]) -> T:
        """Runs `work` in a thread of its own, ends it when cancelled, and waits for its end."""
        if self._stop is not None:
            raise BadgeError(f"reader {self._name!r} is in use: end what it does first")
        stop = self._stop = Stop()
        pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=f"reader {self._name}")
        working = pool.submit(work, stop)
        self._working = working  # type: ignore[assignment]
        future = asyncio.wrap_future(working)
        try:
            return await asyncio.shield(future)
        finally:
            stop.set()
            try:
                await asyncio.wait([future])
            finally:
                pool.shutdown()  # waits; a second cancellation does not leave the thread behind either
                self._stop = self._working = None
                stop.close()

    def _keep_reading(self, stop: Stop, hand: Hand) -> None:
        pause_s = FIRST_PAUSE_S
        while not stop:
            started_s = time.monotonic()
            try:
                self._read_once(stop, hand)
            except DeviceAway as away:
                self._tell_away(away)
            except MissingExtra as missing:
                self._tell_away(DeviceAway("not installed", str(missing)))
                pause_s = MISSING_PAUSE_S
                importlib.invalidate_caches()  # so that it is found once it is installed
            if time.monotonic() - started_s > _WELL_AFTER_S:
                pause_s = FIRST_PAUSE_S
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _read_once(self, stop: Stop, hand: Hand) -> None:
        device = self._open()
        try:
            self._tell_up()
            device.read(stop, hand)
        finally:
            device.close()

    def _tell_up(self) -> None:
        if self._was_up:
            self._counters["reconnects"] += 1
        self._was_up = True
        self._state = "up"
        self._tell("reader up")

    def _tell_away(self, away: DeviceAway) -> None:
        self._counters[away.fault] += 1
        self._state = f"away: {away}"
        self._tell("reader away", str(away))

    def _tell(self, what: str, why: str = "") -> None:
        """Told once in ten minutes: a reader that comes and goes for a weekend fills no log."""
        now_s = time.monotonic()
        if now_s - self._told.get((what, why), -_TOLD_AGAIN_AFTER_S) < _TOLD_AGAIN_AFTER_S:
            return
        self._told[what, why] = now_s
        if why:
            event("reader away", reader=self._name, where=self._where, why=why)
        else:
            event("reader up", reader=self._name, where=self._where)
