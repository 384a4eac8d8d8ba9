"""A display's memory behind an SPI bus, and pins of gpiozero's own mock."""

from pathlib import Path

from balise_gateway.badges.outputs.spi_320x240 import Output, Settings
from gateway.badges.outputs.edges import LcdSpi, Pins

SETTINGS: dict[str, object] = {}


class FarEnd:
    """A colour display."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._pins = Pins()
        self._spi = LcdSpi(self._pins, settings.pin_dc)
        self.output = Output(settings, self._spi, self._pins.factory)

    def is_safe(self) -> bool:
        """Dark: no backlight, and the bus let go."""
        return self._pins.is_free(18) and not self._spi.is_on and not self._spi.is_open

    def close(self) -> None:
        self.output.close()
