"""The edges of outputs: mock pins of gpiozero, our model of a chip on I2C, a screen's memory on SPI."""

import time
from collections.abc import Callable
from typing import Any

from gpiozero.pins.mock import MockFactory

from balise_sim.devices import ssd1306

PATIENCE_S = 30.0


def until(what: Callable[[], Any]) -> None:
    """Waits until this is true."""
    limit = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < limit, "never came true"
        time.sleep(0.005)


class Pins:
    """The pins of a Raspberry Pi, by number."""

    def __init__(self) -> None:
        self.factory = MockFactory()

    def level(self, number: int) -> bool:
        return bool(self.factory.pin(number).state)

    def is_free(self, number: int) -> bool:
        """An input again: the relay, lamp or buzzer on it has no power."""
        pin = self.factory.pin(number)
        return pin.function == "input" and not pin.state

    def levels(self, number: int) -> list[bool]:
        """All that it was made, in order; it began as an input, low."""
        return [bool(each.state) for each in self.factory.pin(number).states[1:]]


class OledBus:
    """An SMBus with our SSD1306 on it; `is_there` says whether it is plugged in."""

    def __init__(self, address: int = 0x3C) -> None:
        self.chip = ssd1306.Model(address)
        self.address, self.is_there = address, True

    def write_i2c_block_data(self, address: int, first: int, data: list[int]) -> None:
        if address != self.address or not self.is_there:
            raise OSError(121, "Remote I/O error")
        self.chip.on_write(bytes([first, *data]), 0)

    def lit(self) -> list[list[bool]]:
        return self.chip.picture()


class LcdSpi:
    """An SPI bus with a colour display: what ILI9341 and ST7789 have in common (CASET, RASET, RAMWR, DISPON).

    ILI9341 data sheet 8.2.20-22, ST7789V data sheet 9.1.20-22. Three bytes a dot (COLMOD, 18 bits).
    """

    WIDTH, HEIGHT = 320, 240

    def __init__(self, pins: Pins, pin_dc: int) -> None:
        self._pins, self._pin_dc = pins, pin_dc
        self.is_there, self.is_on, self.max_speed_hz, self.is_open = True, False, 0, False
        self.dots = bytearray(self.WIDTH * self.HEIGHT * 3)
        self._command, self._args = 0, bytearray()
        self._window = [0, 0, 0, 0]
        self._at = 0

    def open(self, port: int, device: int) -> None:
        if not self.is_there:
            raise OSError(2, "No such file or directory")
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def writebytes(self, data: list[int]) -> None:
        assert len(data) <= 4096
        if not self.is_there:
            raise OSError(5, "Input/output error")
        if self._pins.level(self._pin_dc):
            self._take(bytes(data))
        else:
            self._order(data[0])

    def _order(self, code: int) -> None:
        self._command, self._args, self._at = code, bytearray(), 0
        if code in (0x28, 0x29):
            self.is_on = code == 0x29

    def _take(self, data: bytes) -> None:
        if self._command == 0x2C:
            self._draw(data)
            return
        self._args += data
        if self._command in (0x2A, 0x2B) and len(self._args) == 4:
            first, last = self._args[0] << 8 | self._args[1], self._args[2] << 8 | self._args[3]
            at = 0 if self._command == 0x2A else 2
            self._window[at : at + 2] = [first, last]

    def _draw(self, data: bytes) -> None:
        left, right, top, _ = self._window
        wide = (right - left + 1) * 3
        while data:
            row, column = divmod(self._at, wide)
            part, data = data[: wide - column], data[wide - column :]
            start = ((top + row) * self.WIDTH + left) * 3 + column
            self.dots[start : start + len(part)] = part
            self._at += len(part)
