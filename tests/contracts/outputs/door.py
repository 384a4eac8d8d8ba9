"""A relay on a pin of gpiozero's own mock."""

from dataclasses import replace
from pathlib import Path

from balise_gateway.badges.outputs.door import Output, Settings
from gateway.badges.outputs.edges import Pins

SETTINGS: dict[str, object] = {"pin": 23, "lock": "fail-secure"}


class FarEnd:
    """A door."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._pins = Pins()
        self.output = Output(replace(settings, data_dir=folder), self._pins.factory)

    def is_safe(self) -> bool:
        """The relay has no power."""
        return self._pins.is_free(23)

    def close(self) -> None:
        self.output.close()
