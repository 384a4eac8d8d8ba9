"""A small OLED of 128 × 64 dots on I2C: SSD1306 or SH1106, as sold for a few euros.

Promises what `_display.py` promises. Leaves the chip's commands to luma.oled.
"""

import importlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from balise_gateway.badges import needs
from balise_gateway.badges.outputs._display import Display
from balise_gateway.badges.outputs._layout import MONO
from balise_gateway.badges.outputs._screen import ScreenSettings
from balise_gateway.badges.outputs._worker import Worker
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

NEEDS = needs.I2C


@dataclass(frozen=True, kw_only=True)
class Settings(ScreenSettings):
    """[[output]] kind = "oled_128x64" """

    chip: Annotated[Literal["ssd1306", "sh1106"], Key("sh1106 where the picture stands two dots to the side")] = (
        "ssd1306"
    )
    bus: Annotated[int, Key("the number of the I2C bus: 1 is that of the Pi's pins 3 and 5", least=0, most=99)] = 1
    address: Annotated[int, Key("its I2C address: 60 (0x3c) or 61 (0x3d)", least=8, most=119)] = 0x3C
    upside_down: Annotated[bool, Key("true: turned by 180°")] = False


class Output:
    """The display. `bus` is an open SMBus; None: that of this machine."""

    def __init__(self, settings: Settings, bus: Any = None) -> None:
        self._settings, self._bus = settings, bus
        self._worker = Worker("oled_128x64", Display(settings, MONO, self._begin))

    def show(self, showing: Showing) -> None:
        self._worker.show(showing)

    def status(self) -> dict[str, object]:
        where = f"bus {self._settings.bus}, address {self._settings.address:#x}"
        return {"kind": "oled_128x64", "state": self._worker.state, "where": where}

    def close(self) -> None:
        self._worker.close()

    def _begin(self) -> Any:
        try:
            serial = importlib.import_module("luma.core.interface.serial")
            chips = importlib.import_module("luma.oled.device")
        except ImportError as missing:
            raise MissingExtra("an OLED", "luma.oled", "badge") from missing
        told = self._settings
        bus = serial.i2c(bus=self._bus, port=told.bus, address=told.address)
        return getattr(chips, told.chip)(bus, rotate=2 if told.upside_down else 0)
