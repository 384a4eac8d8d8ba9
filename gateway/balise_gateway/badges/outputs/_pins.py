"""What all kinds with pins need of gpiozero: found when it is needed, and its errors by name."""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from balise_gateway.badges.outputs._patterns import Rhythm
from balise_gateway.badges.outputs._worker import Pause
from balise_gateway.errors import BadgeError, MissingExtra

_FIRST = threading.Lock()


def gpiozero(part: str) -> Any:
    """The library."""
    try:
        return importlib.import_module("gpiozero")
    except ImportError as error:
        raise MissingExtra(part, "gpiozero", "badge") from error


@contextmanager
def opening(part: str) -> Iterator[Any]:
    """The library, for making pins: one thread at a time, since the first one looks for a way to them for all.

    Raises BadgeError where this machine has no pins.
    """
    zero = gpiozero(part)
    with _FIRST:
        try:
            yield zero
        except zero.BadPinFactory as error:
            tried = "on a Raspberry Pi: is lgpio installed, and the gateway's user in the group gpio?"
            raise BadgeError(f"no GPIO pins can be used here; {tried} ({error})") from error


def faults() -> tuple[type[Exception], ...]:
    """What it raises for a pin that is taken, or a machine that has none; lgpio has an error of its own."""
    found: list[type[Exception]] = [gpiozero("an output with pins").GPIOZeroError]
    try:
        found.append(importlib.import_module("lgpio").error)
    except ImportError:
        return tuple(found)  # another library drives the pins here
    return tuple(found)


def keep(rhythm: Rhythm, switch: Callable[[bool], None], pause: Pause) -> None:
    """Plays a rhythm until it is over, or something newer comes; it is off then."""
    again = True
    while again:
        for number, step_s in enumerate(rhythm.steps_s):
            switch(number % 2 == 0)
            if not pause(step_s):
                switch(False)
                return
        switch(False)
        again = rhythm.again_s is not None and pause(rhythm.again_s)
