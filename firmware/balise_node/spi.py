"""One part on an SPI bus: its own settings, its chip select, and pauses between bytes for parts that need them.

Drivers are handed a Line. Leaves to them what the bytes mean.
"""

import time

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

    from machine import SPI, Pin


class Line:
    """`settings` are arguments of machine.SPI.init: another part on the bus may need other ones."""

    def __init__(self, spi: "SPI", cs: "Pin", settings: "dict[str, Any]") -> None:
        self._spi, self._cs, self._settings = spi, cs, settings

    def select(self) -> None:
        """The part listens from now on."""
        self._spi.init(**self._settings)
        self._cs(0)

    def deselect(self) -> None:
        self._cs(1)

    def exchange(self, data: bytes, gap_us: int = 0) -> bytes:
        """Sends bytes and returns as many that came meanwhile; with a gap, each byte comes that much after the last."""
        answer = bytearray(len(data))
        if not gap_us:
            self._spi.write_readinto(data, answer)
            return bytes(answer)
        sent, came = memoryview(data), memoryview(answer)
        for at in range(len(data)):
            time.sleep_us(gap_us)
            self._spi.write_readinto(sent[at : at + 1], came[at : at + 1])
        return bytes(answer)
