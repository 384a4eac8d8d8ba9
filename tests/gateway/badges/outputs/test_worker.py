"""The thread behind a device: only the newest counts, faults are told and survived, and the end is the end."""

import logging
import threading

import pytest

from balise_gateway.badges.front import Front
from balise_gateway.badges.outputs import led
from balise_gateway.badges.outputs._worker import Pause, Worker
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import BadgeError
from gateway.badges.outputs.edges import Pins, until

FOREVER_S = 3_600.0


class Gone(Exception):
    """What the library of a device raises."""


class Device:
    """The edge: a device that does what it is told, and writes down what was done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.faults: tuple[type[Exception], ...] = ()
        self.fails: Exception | None = None
        self.keeps_s = FOREVER_S

    def open(self) -> None:
        self.done.append("open")
        self.faults = (Gone,)

    def play(self, showing: Showing, pause: Pause) -> None:
        self.done.append(showing.state)
        if self.fails is not None:
            raise self.fails
        pause(self.keeps_s)

    def shut(self) -> None:
        self.done.append("shut")


def test_a_newer_showing_ends_an_older_one_and_an_end_ends_all() -> None:
    """Each would be shown for an hour."""
    device = Device()
    worker = Worker("test", device)
    for state in ("ready", "accepted", "unknown"):
        worker.show(Showing(state))  # type: ignore[arg-type]
        until(lambda state=state: device.done[-1:] == [state])
    worker.close()
    until(lambda: device.done == ["open", "ready", "accepted", "unknown", "shut"])
    assert worker.state == "closed"


def test_what_came_meanwhile_is_left_out() -> None:
    device, is_opening, go_on = Device(), threading.Event(), threading.Event()

    def opened() -> None:
        is_opening.set()
        if go_on.wait(30):
            device.done.append("open")

    device.open = opened  # type: ignore[method-assign]
    worker = Worker("test", device)
    worker.show(Showing("ready"))
    assert is_opening.wait(30)  # else the thread may begin with any of those that follow
    for state in ("accepted", "unknown", "desk"):
        worker.show(Showing(state))  # type: ignore[arg-type]
    go_on.set()
    until(lambda: device.done[-1:] == ["desk"])
    assert "accepted" not in device.done
    worker.close()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BadgeError("no pins"), Gone("torn off")])
def test_a_fault_is_told_once_the_device_shut_and_begun_anew(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="balise.gateway")
    device = Device()
    device.fails = error
    worker = Worker("test", device)
    worker.show(Showing("ready"))
    until(lambda: worker.state == f"away: {error}")
    worker.show(Showing("accepted"))
    until(lambda: device.done == ["open", "ready", "shut", "open", "accepted", "shut"])
    device.fails = None
    worker.show(Showing("desk"))
    until(lambda: device.done[-2:] == ["open", "desk"])
    until(lambda: worker.state == "up")
    worker.close()
    told = [record.getMessage().split()[:2] for record in caplog.records]
    assert told.count(["output", "away"]) >= 1
    assert told[-1] == ["output", "up"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_nobody_thought_of_is_not_hidden() -> None:
    device = Device()
    device.fails = KeyError("ours")
    worker = Worker("test", device)
    worker.show(Showing("ready"))
    until(lambda: worker.state.startswith("broken: "))
    until(lambda: device.done[-1] == "shut")


def test_the_first_thing_shown_is_shown_although_nothing_has_changed() -> None:
    """A lamp waits for a showing to begin; "ready" is one."""
    pins = Pins()
    front = Front([led.Output(led.Settings(kind="led", red=17, green=27, blue=22), pins.factory)])
    front.rest([], 0, False, 0.0)
    until(lambda: pins.levels(17).count(True) >= 1)
    front.close()
