"""Pins of gpiozero's own mock."""

from pathlib import Path

from balise_gateway.badges.outputs.led import Output, Settings
from gateway.badges.outputs.edges import Pins

SETTINGS: dict[str, object] = {"red": 17, "green": 27, "blue": 22}


class FarEnd:
    """An RGB LED."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._pins = Pins()
        self.output = Output(settings, self._pins.factory)

    def is_safe(self) -> bool:
        """Dark."""
        return all(self._pins.is_free(pin) for pin in (17, 27, 22))

    def close(self) -> None:
        self.output.close()
