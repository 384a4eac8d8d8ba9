"""A pin of gpiozero's own mock."""

from pathlib import Path

from balise_gateway.badges.outputs.buzzer import Output, Settings
from gateway.badges.outputs.edges import Pins

SETTINGS: dict[str, object] = {"pin": 18}


class FarEnd:
    """A buzzer."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._pins = Pins()
        self.output = Output(settings, self._pins.factory)

    def is_safe(self) -> bool:
        """Silent."""
        return self._pins.is_free(18)

    def close(self) -> None:
        self.output.close()
