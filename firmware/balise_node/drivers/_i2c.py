"""The registers of one chip on an I2C bus; a bus that fails becomes a SensorError with a name.

Leaves to the drivers what the registers mean.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C

_ETIMEDOUT = (110, 116)  # MicroPython's own number, and the one that ESP-IDF's newlib gives


class Registers:
    """Reads and writes runs of 8-bit registers: one bus transaction each."""

    def __init__(self, model: str, bus: "I2C", address: int) -> None:
        self._model = model
        self._bus = bus
        self._address = address

    def read(self, register: int, count: int) -> bytes:
        try:
            return self._bus.readfrom_mem(self._address, register, count)
        except OSError as error:
            errno = error.errno
        raise self._told(errno, register)  # here, for MicroPython prints a warning at each "raise from"

    def write(self, register: int, values: "bytes | bytearray") -> None:
        errno: int | None = 0
        try:
            self._bus.writeto_mem(self._address, register, values)
        except OSError as error:
            errno = error.errno
        if errno != 0:
            raise self._told(errno, register)

    def _told(self, errno: "int | None", register: int) -> SensorError:
        what = "bus stuck" if errno in _ETIMEDOUT else "nack"
        return SensorError(self._model, what, bytes((self._address, register)))
