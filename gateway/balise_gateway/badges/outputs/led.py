"""Lights at the reader: one RGB LED, or three lamps (red, yellow, green). Each state has a rhythm of its own.

Promises that the rhythm alone says the state, that the lamp is dark when the gateway has ended, and that no verdict
waits for it. Leaves the rhythms to `_patterns.py`. Pins by gpiozero, with lgpio on a Raspberry Pi.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from balise_gateway.badges import needs
from balise_gateway.badges.outputs import _pins
from balise_gateway.badges.outputs._patterns import LIGHTS, RGB, Light
from balise_gateway.badges.outputs._worker import Pause, Worker
from balise_gateway.badges.showing import Showing
from balise_gateway.settings import Key

NEEDS = needs.PINS


@dataclass(frozen=True, kw_only=True)
class Settings:
    """[[output]] kind = "led" """

    kind: Annotated[str, Key("what shows, sounds or opens")]
    red: Annotated[int, Key("the GPIO number of the red pin", least=0, most=27)]
    green: Annotated[int, Key("of the green pin", least=0, most=27)]
    blue: Annotated[int | None, Key("of the blue pin of an RGB LED", least=0, most=27)] = None
    yellow: Annotated[int | None, Key("of the yellow lamp, where three lamps stand side by side", least=0, most=27)] = (
        None
    )
    active_high: Annotated[bool, Key("false: lit when the pin is low (common anode)")] = True

    def problem(self) -> str | None:
        if (self.blue is None) == (self.yellow is None):
            return "give blue for an RGB LED, or yellow for three lamps"
        pins = [pin for pin in (self.red, self.green, self.blue, self.yellow) if pin is not None]
        return None if len(set(pins)) == 3 else "each colour needs a pin of its own"


class Output:
    """The lamp. `pins` is gpiozero's pin factory; None: what this machine has."""

    def __init__(self, settings: Settings, pins: Any = None) -> None:
        self._worker = Worker("led", _Lamp(settings, pins))

    def show(self, showing: Showing) -> None:
        self._worker.show(showing)

    def status(self) -> dict[str, object]:
        return {"kind": "led", "state": self._worker.state}

    def close(self) -> None:
        self._worker.close()


class _Lamp:
    def __init__(self, settings: Settings, pins: Any) -> None:
        self._settings, self._factory = settings, pins
        self._lamps: dict[str, Any] = {}
        self.faults: tuple[type[Exception], ...] = ()

    def open(self) -> None:
        self.faults = _pins.faults()
        told = self._settings
        third = {"blue": told.blue} if told.blue is not None else {"yellow": told.yellow}
        with _pins.opening("lamps") as zero:
            for name, pin in {"red": told.red, "green": told.green, **third}.items():
                self._lamps[name] = zero.LED(pin, active_high=told.active_high, pin_factory=self._factory)

    def play(self, showing: Showing, pause: Pause) -> None:
        light = LIGHTS[showing.state]
        wanted = self._wanted(light)

        def switch(is_on: bool) -> None:
            for name, lamp in self._lamps.items():
                lamp.value = is_on and name in wanted

        _pins.keep(light.rhythm, switch, pause)

    def shut(self) -> None:
        while self._lamps:
            _, lamp = self._lamps.popitem()
            lamp.close()  # the pin becomes an input: dark

    def _wanted(self, light: Light) -> set[str]:
        if self._settings.blue is None:
            return {light.lamp}
        return {name for name, part in zip(("red", "green", "blue"), RGB[light.colour], strict=True) if part}
