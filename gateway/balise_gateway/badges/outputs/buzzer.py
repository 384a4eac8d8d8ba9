"""A sound at the reader: short for who is noted, long for a badge that is not known; silent in quiet hours.

Promises that each verdict sounds different, that nothing sounds while nobody shows a card, and that it is silent when
the gateway has ended. Leaves the rhythms to `_patterns.py`. For an active buzzer, which has one tone and one loudness.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from balise_gateway.badges import needs
from balise_gateway.badges.outputs import _hours, _pins
from balise_gateway.badges.outputs._patterns import SOUNDS
from balise_gateway.badges.outputs._worker import Pause, Worker
from balise_gateway.badges.showing import Showing
from balise_gateway.settings import Key

NEEDS = needs.PINS


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[output]] kind = "buzzer" """

    kind: Annotated[str, Key("what shows, sounds or opens")]
    pin: Annotated[int, Key("the GPIO number of its pin", least=0, most=27)]
    active_high: Annotated[bool, Key("false: it sounds when the pin is low")] = True
    sound: Annotated[bool, Key("false: silent")] = True
    quiet: Annotated[tuple[str, ...], Key('hours in which it is silent, such as "mon-sun 21:00-08:00"')] = ()
    time_zone: Annotated[str, Key("of these hours; empty: as [gateway] says")] = ""

    def problem(self) -> str | None:
        return _hours.problem(self.quiet, "quiet")


class Output:
    """The buzzer. `pins` is gpiozero's pin factory; `now` the clock on the wall."""

    def __init__(self, settings: Settings, pins: Any = None, now: Callable[[], datetime] | None = None) -> None:
        self._device = _Buzzer(settings, pins, now)
        self._worker = Worker("buzzer", self._device)

    def show(self, showing: Showing) -> None:
        self._worker.show(showing)

    def status(self) -> dict[str, object]:
        return {"kind": "buzzer", "state": self._worker.state, "silent": self._device.is_silent()}

    def close(self) -> None:
        self._worker.close()


class _Buzzer:
    def __init__(self, settings: Settings, pins: Any, now: Callable[[], datetime] | None) -> None:
        self._settings, self._factory = settings, pins
        self._now = now or (lambda: datetime.now(ZoneInfo(settings.time_zone) if settings.time_zone else UTC))
        self._pin: Any = None
        self.faults: tuple[type[Exception], ...] = ()

    def is_silent(self) -> bool:
        """Switched off, or in quiet hours."""
        return not self._settings.sound or _hours.inside(self._settings.quiet, self._now())

    def open(self) -> None:
        self.faults = _pins.faults()
        told = self._settings
        with _pins.opening("a buzzer") as zero:
            self._pin = zero.Buzzer(told.pin, active_high=told.active_high, pin_factory=self._factory)

    def play(self, showing: Showing, pause: Pause) -> None:
        rhythm = SOUNDS.get(showing.state)
        if rhythm is not None and not self.is_silent():
            _pins.keep(rhythm, self._switch, pause)

    def shut(self) -> None:
        pin, self._pin = self._pin, None
        if pin is not None:
            pin.close()

    def _switch(self, is_on: bool) -> None:
        self._pin.value = is_on
