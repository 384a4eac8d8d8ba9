"""The board's side of a running node: its watchdog, its restart. With buses.py the only module that knows `machine`."""

import time

import machine


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
