"""The board's side of a node: its buses as config.json wires them, its watchdog, its restart.

The only module that knows `machine`. Leaves to others what goes over the buses.
"""

import time

import machine

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import Any

_BAUD_HZ = 9600  # of all our serial sensors
_RXBUF_BYTES = 512  # half a second of it: a sensor that talks unasked must not push an answer out


class Buses:
    """Opens each bus once."""

    def __init__(self) -> None:
        self._i2c: dict[int, machine.I2C] = {}

    def open(self, sensor: "dict[str, Any]") -> "machine.I2C | machine.UART":
        """The bus that a sensor of config.json hangs on."""
        if "uart" in sensor:
            tx, rx = machine.Pin(sensor["tx"]), machine.Pin(sensor["rx"])
            return machine.UART(sensor["uart"], baudrate=_BAUD_HZ, tx=tx, rx=rx, timeout=0, rxbuf=_RXBUF_BYTES)
        number = sensor["i2c"]
        if number not in self._i2c:
            scl, sda = machine.Pin(sensor["scl"]), machine.Pin(sensor["sda"])
            self._i2c[number] = machine.I2C(number, scl=scl, sda=sda, freq=sensor["freq_hz"])
        return self._i2c[number]


class Watchdog:
    """Restarts a board that hangs for timeout_s; none when that is 0."""

    def __init__(self, timeout_s: int) -> None:
        self.patience_ms = timeout_s * 1000 // 3
        self._wdt = machine.WDT(timeout=timeout_s * 1000) if timeout_s else None

    def feed(self) -> None:
        """All is well."""
        if self._wdt is not None:
            self._wdt.feed()


def restart(after_s: int, watchdog: "Watchdog | None") -> None:
    """Waits, so that a fault that comes at each start does not wear out the flash, then starts the board again."""
    for _ in range(after_s):
        if watchdog is not None:
            watchdog.feed()  # it would not wait so long
        time.sleep(1)
    machine.reset()
