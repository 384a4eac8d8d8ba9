"""What can go wrong on the line to a PN532, by name, switched on and off while it runs.

Promises that a fault strikes exactly as often as was asked. Leaves striking to pn532.py and pn532_tty.py.
"""

from threading import Lock

NAMES = {
    "no_ack": "the chip misses a command: neither ACK nor answer",
    "lost_ack": "the chip executes a command and answers it, its ACK is lost",
    "lost_answer": "the command is acknowledged, its answer never comes",
    "bad_checksum": "the answer's checksum is wrong",
    "short_frame": "the first bytes of an answer come, one to three, then nothing",
    "lost_speed_ack": "the host's ACK after SetSerialBaudRate does not reach the chip: it keeps its speed",
    "crowded": "two cards or more disturb each other: none is found while both lie there",
}
ALWAYS = -1


class Faults:
    """`switch_on("no_ack", times=1)`; `switch_off` with no name ends all."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._lock = Lock()
        self.struck = dict.fromkeys(NAMES, 0)

    def switch_on(self, name: str, times: int = ALWAYS) -> None:
        """For so many times, or until it is switched off. Raises KeyError with the names there are."""
        if name not in NAMES:
            raise KeyError(f"no fault {name!r}; there are {', '.join(NAMES)}")
        with self._lock:
            self._left[name] = times

    def switch_off(self, name: str = "") -> None:
        with self._lock:
            for each in [name] if name else list(self._left):
                self._left.pop(each, None)

    def strikes(self, name: str) -> bool:
        """Whether it happens now; this counts as one of its times."""
        with self._lock:
            left = self._left.get(name, 0)
            if not left:
                return False
            self._left[name] = left if left == ALWAYS else left - 1
            self.struck[name] += 1
            return True
