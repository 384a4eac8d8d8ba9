"""An SPI device of Linux, as luma wants one: opened, set to a speed, written to.

Promises whole writes or OSError. A plain write to /dev/spidevB.C sends its bytes (Documentation/spi/spidev.rst of the
kernel, "half-duplex"), at most `bufsiz` of them, 4096 unless set otherwise. Leaves what is sent to luma.
"""

import fcntl
import os
import struct

MAX_BYTES = 4_096
_SET_SPEED = 0x40046B04  # SPI_IOC_WR_MAX_SPEED_HZ, linux/spi/spidev.h


class SpiFile:
    """One chip select of one bus."""

    def __init__(self) -> None:
        self._fd = -1
        self._speed_hz = 0

    def open(self, port: int, device: int) -> None:
        """Raises OSError when there is no such device."""
        self._fd = os.open(f"/dev/spidev{port}.{device}", os.O_WRONLY | os.O_CLOEXEC)

    @property
    def max_speed_hz(self) -> int:
        """As it was set."""
        return self._speed_hz

    @max_speed_hz.setter
    def max_speed_hz(self, speed_hz: int) -> None:
        fcntl.ioctl(self._fd, _SET_SPEED, struct.pack("=I", speed_hz))
        self._speed_hz = speed_hz

    def writebytes(self, data: "list[int] | bytes") -> None:
        """All of them."""
        if os.write(self._fd, bytes(data)) != len(data):
            raise OSError(f"SPI took a part of {len(data)} bytes only")

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
