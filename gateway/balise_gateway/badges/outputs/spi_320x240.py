"""A colour display of 320 × 240 on SPI: ILI9341 or ST7789, as on most small boards that sit on a Pi's pins.

Promises what `_display.py` promises. Leaves the chip's commands to luma.lcd; pins by gpiozero, so that one library
owns them all.
"""

import importlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from balise_gateway.badges import needs
from balise_gateway.badges.outputs import _pins
from balise_gateway.badges.outputs._display import Display
from balise_gateway.badges.outputs._layout import COLOUR
from balise_gateway.badges.outputs._screen import ScreenSettings
from balise_gateway.badges.outputs._spi import MAX_BYTES, SpiFile
from balise_gateway.badges.outputs._worker import Worker
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

NEEDS = needs.SPI_AND_PINS

_HZ_PER_MHZ = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Settings(ScreenSettings):
    """[[output]] kind = "spi_320x240" """

    chip: Annotated[Literal["ili9341", "st7789"], Key("the display's controller")] = "ili9341"
    bus: Annotated[int, Key("the number of the SPI bus", least=0, most=9)] = 0
    select: Annotated[int, Key("its chip select", least=0, most=9)] = 0
    speed_mhz: Annotated[Literal[8, 16, 20, 24, 32, 40], Key("of the bus; less where the picture is torn")] = 24
    pin_dc: Annotated[int, Key("the GPIO number of data/command", least=0, most=27)] = 24
    pin_reset: Annotated[int, Key("of reset", least=0, most=27)] = 25
    pin_light: Annotated[int, Key("of the backlight", least=0, most=27)] = 18
    upside_down: Annotated[bool, Key("true: turned by 180°")] = False
    blue_first: Annotated[bool, Key("true, where red and blue are exchanged (ili9341)")] = False


class Output:
    """The display. `spi` is what luma writes to, `pins` gpiozero's pin factory; None: those of this machine."""

    def __init__(self, settings: Settings, spi: Any = None, pins: Any = None) -> None:
        self._settings, self._spi, self._factory = settings, spi, pins
        self._worker = Worker("spi_320x240", Display(settings, COLOUR, self._begin))

    def show(self, showing: Showing) -> None:
        self._worker.show(showing)

    def status(self) -> dict[str, object]:
        where = f"/dev/spidev{self._settings.bus}.{self._settings.select}"
        return {"kind": "spi_320x240", "state": self._worker.state, "where": where}

    def close(self) -> None:
        self._worker.close()

    def _begin(self) -> Any:
        try:
            serial = importlib.import_module("luma.core.interface.serial")
            chips = importlib.import_module("luma.lcd.device")
        except ImportError as missing:
            raise MissingExtra("a colour display", "luma.lcd", "badge") from missing
        told = self._settings
        with ExitStack() as undo:
            gpio = _Gpio(self._factory)
            undo.callback(gpio.cleanup)  # when the bus or the display is not there
            bus = serial.spi(
                spi=self._spi or SpiFile(),
                gpio=gpio,
                port=told.bus,
                device=told.select,
                bus_speed_hz=told.speed_mhz * _HZ_PER_MHZ,
                transfer_size=MAX_BYTES,
                gpio_DC=told.pin_dc,
                gpio_RST=told.pin_reset,
            )
            more = {"bgr": told.blue_first} if told.chip == "ili9341" else {}
            turned = {"width": 320, "height": 240, "rotate": 2 if told.upside_down else 0}
            device = getattr(chips, told.chip)(bus, gpio=gpio, gpio_LIGHT=told.pin_light, **turned, **more)
            undo.pop_all()
        return _Held(device, gpio)


class _Gpio:
    """What luma needs of RPi.GPIO, by gpiozero."""

    OUT, LOW, HIGH = 0, 0, 1

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._pins: dict[int, Any] = {}

    def setup(self, pin: int, direction: int) -> None:
        """An output."""
        if pin not in self._pins:
            with _pins.opening("a colour display") as zero:
                self._pins[pin] = zero.DigitalOutputDevice(pin, pin_factory=self._factory)

    def output(self, pin: int, value: int) -> None:
        """High or low."""
        self._pins[pin].value = bool(value)

    def cleanup(self, pins: "int | list[int] | None" = None) -> None:
        """These, or all of them, are inputs again."""
        asked = list(self._pins) if pins is None else [pins] if isinstance(pins, int) else pins
        for number in asked:
            pin = self._pins.pop(number, None)
            if pin is not None:
                pin.close()


class _Held:
    """luma's device with the pins that it was given, which it leaves to us."""

    def __init__(self, device: Any, gpio: _Gpio) -> None:
        self._device, self._gpio = device, gpio

    def display(self, image: Any) -> None:
        """The picture."""
        self._device.display(image)

    def show(self) -> None:
        """Display on."""
        self._device.show()

    def cleanup(self) -> None:
        """Dark, and everything let go."""
        try:
            self._device.cleanup()
        finally:
            self._gpio.cleanup()
