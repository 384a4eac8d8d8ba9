"""What all kinds with pins need of gpiozero: found when it is needed, and its errors by name."""

import importlib
from collections.abc import Callable
from typing import Any

from balise_gateway.badges.outputs._patterns import Rhythm
from balise_gateway.badges.outputs._worker import Pause
from balise_gateway.errors import MissingExtra


def gpiozero(part: str) -> Any:
    """The library."""
    try:
        return importlib.import_module("gpiozero")
    except ImportError as error:
        raise MissingExtra(part, "gpiozero", "badge") from error


def faults() -> tuple[type[Exception], ...]:
    """What it raises for a pin that is taken, or a machine that has none; lgpio has an error of its own."""
    found: list[type[Exception]] = [gpiozero("pins").GPIOZeroError]
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
