"""Our model of the SSD1306 on an I2C bus."""

from pathlib import Path

from balise_gateway.badges.outputs.oled_128x64 import Output, Settings
from gateway.badges.outputs.edges import OledBus

SETTINGS: dict[str, object] = {}


class FarEnd:
    """An OLED."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._bus = OledBus()
        self.output = Output(settings, self._bus)

    def is_safe(self) -> bool:
        """Dark: off, or never begun."""
        return not any(map(any, self._bus.lit()))

    def close(self) -> None:
        self.output.close()
