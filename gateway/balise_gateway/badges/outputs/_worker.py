"""A thread for a device that takes its time: it shows the newest showing, and comes back after every fault.

Promises that `show` returns at once and that only the newest showing counts; that a device which is unplugged, or was
never there, is tried again and told in words; and that `close` leaves it shut. Leaves what a device does to its kind.
"""

import importlib
import threading
from collections.abc import Callable
from typing import Protocol

from balise_gateway.badges.showing import Showing
from balise_gateway.errors import GatewayError, MissingExtra
from balise_gateway.log import event

RETRY_S = 10.0
CLOSE_S = 5.0  # a device that hangs does not keep the gateway from ending

Pause = Callable[[float], bool]  # waits so many seconds; False: something newer is to be shown, or this is the end


class Device(Protocol):
    """What a worker works with. All is called in its thread."""

    faults: tuple[type[Exception], ...]  # what its library raises beside OSError, once `open` has imported it

    def open(self) -> None:
        """Finds the device. Raises MissingExtra, BadgeError or one of `faults`."""
        ...

    def play(self, showing: Showing, pause: Pause) -> None:
        """Shows this; returns when it is shown, and at once when `pause` says False."""
        ...

    def shut(self) -> None:
        """Dark, silent, without power, and let go. Called also when `open` failed."""
        ...


class Worker:
    """One device's thread; it begins with the first showing."""

    def __init__(self, kind: str, device: Device) -> None:
        self._kind, self._device = kind, device
        self._news = threading.Condition()
        self._latest: Showing | None = None
        self._count = 0  # of showings
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self.state = "not used yet"

    def show(self, showing: Showing) -> None:
        """This, from now on."""
        with self._news:
            if self._is_closed:
                return
            self._latest, self._count = showing, self._count + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"balise {self._kind}", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def close(self) -> None:
        """Ends the thread; the device is shut then."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        self.state = "closed"

    def _run(self) -> None:
        try:
            self._work()
        finally:
            if not self._is_closed:  # an error that nobody thought of is on its way to the log
                self.state = "broken: see the gateway's log, tell us, and restart the gateway"
            self._shut()

    def _work(self) -> None:
        is_open, done = False, 0
        while True:
            with self._news:
                while self._count == done and not self._is_closed:
                    self._news.wait()
                done, showing = self._count, self._latest
                if self._is_closed or showing is None:
                    break
            is_open = self._played(showing, is_open, done)
            if not is_open and self._waited(done, RETRY_S):
                done -= 1  # nothing newer has come: the same once more

    def _played(self, showing: Showing, is_open: bool, count: int) -> bool:
        """Whether the device is open and well afterwards."""
        try:
            if not is_open:
                self._device.open()
                self._say("up")
            self._device.play(showing, lambda limit_s: self._waited(count, limit_s))
        except MissingExtra as error:
            self._say(f"away: not installed: {error}")
            importlib.invalidate_caches()  # so that it is found once it is installed
            self._shut()
            return False
        except self._faults() as error:
            self._say(f"away: {str(error) or type(error).__name__}")
            self._shut()
            return False
        return True

    def _shut(self) -> None:
        try:
            self._device.shut()
        except self._faults() as error:  # it went away: there is nothing to shut any more
            self._say(f"away: {str(error) or type(error).__name__}")

    def _faults(self) -> tuple[type[Exception], ...]:
        return OSError, GatewayError, *self._device.faults

    def _waited(self, count: int, limit_s: float) -> bool:
        with self._news:
            return not self._news.wait_for(lambda: self._is_closed or self._count > count, limit_s)

    def _say(self, state: str) -> None:
        """Once for each change."""
        if state == self.state:
            return
        self.state = state
        if state == "up":
            event("output up", kind=self._kind)
        else:
            event("output away", kind=self._kind, why=state.removeprefix("away: "))
