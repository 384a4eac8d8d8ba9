"""Commands to a Sensirion chip on an I2C bus: out goes a command, back come words, each with its checksum.

Promises: no word whose checksum is wrong, and an error with a name: "nack" (nobody took the command), "not ready" (the
command was taken, but there is no answer to read), "checksum", "bus stuck". Leaves to the drivers what words mean.
The checksum is the same in all data sheets of the maker: polynomial 31, start FF, nothing reflected, one per word.
"""

from balise_node.drivers import SensorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from balise_node.drivers._shapes import I2C, SleepMs

ETIMEDOUT = (110, 116)  # MicroPython's own number, and the one that ESP-IDF's newlib gives
_MOST_WAITS = 2  # in a row: what is deaf more often does not boot, and waiting would add up


def crc8(data: bytes) -> int:
    """The checksum of some bytes; of BE EF it is 92."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x131) if crc & 0x80 else crc << 1
    return crc


class Commands:
    """One chip; `boot_ms` is how long it is deaf after power on: who does not acknowledge is asked once more then."""

    WIDTH = 2  # bytes of a command

    def __init__(self, model: str, bus: "I2C", sleep_ms: "SleepMs", address: int, boot_ms: int) -> None:
        self._model = model
        self._bus = bus
        self._sleep_ms = sleep_ms
        self._address = address
        self._boot_ms = boot_ms
        self._waits = 0  # so many commands in a row were taken only after boot_ms

    def tell(self, command: int, wait_ms: int, words: "tuple[int, ...]" = (), nack: str = "nack") -> None:
        """Sends a command with its arguments, and waits while the chip obeys; `nack` names a chip that does not."""
        order = command.to_bytes(self.WIDTH, "big")
        for word in words:
            pair = word.to_bytes(2, "big")
            order += pair + bytes((crc8(pair),))
        errno = self._write(order)
        if errno == 0:
            self._waits = 0
        elif errno not in ETIMEDOUT and self._waits < _MOST_WAITS:
            self._sleep_ms(self._boot_ms)
            errno = self._write(order)
            self._waits += 1
        if errno:
            raise SensorError(self._model, "bus stuck" if errno in ETIMEDOUT else nack, order)
        self._sleep_ms(wait_ms)

    def takes(self, command: int) -> bool:
        """Sends a command, and says whether it was acknowledged."""
        order = command.to_bytes(self.WIDTH, "big")
        errno = self._write(order)
        if errno in ETIMEDOUT:
            raise SensorError(self._model, "bus stuck", order)
        return errno == 0

    def fetch(self, count: int) -> list[int]:
        """So many words of the answer that the chip holds ready."""
        data, errno = b"", 0
        try:
            data = self._bus.readfrom(self._address, 3 * count)
        except OSError as error:
            errno = error.errno or 1
        if errno:
            raise SensorError(self._model, "bus stuck" if errno in ETIMEDOUT else "not ready")
        for at in range(0, 3 * count, 3):
            if crc8(data[at : at + 2]) != data[at + 2]:
                raise SensorError(self._model, "checksum", data)
        return [data[at] << 8 | data[at + 1] for at in range(0, 3 * count, 3)]

    def ask(self, command: int, count: int, wait_ms: int, words: "tuple[int, ...]" = ()) -> list[int]:
        """So many words that the chip answers to a command, after wait_ms."""
        self.tell(command, wait_ms, words)
        return self.fetch(count)

    def _write(self, order: bytes) -> int:
        """0, or the errno that the bus gave."""
        try:
            self._bus.writeto(self._address, order)
        except OSError as error:
            return error.errno or 1
        return 0
