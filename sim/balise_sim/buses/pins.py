"""Digital levels: what firmware drives, what the world drives, and edges that firmware watches."""

from collections import deque
from collections.abc import Callable

from balise_boards import Board
from balise_sim.buses.port import EINVAL


class Pins:
    """Digital levels: what firmware drives, what the world drives, and edges that firmware watches."""

    def __init__(self, board: Board, on_edge: Callable[[], None]) -> None:
        self._known, self._on_edge = set(board.gpio), on_edge
        self.outputs: dict[int, int] = {}
        self._driven: dict[int, int] = {}
        self._pulls: dict[int, int] = {}
        self._watched: dict[int, int] = {}
        self.modulated: dict[int, tuple[int, int]] = {}  # pin to frequency and duty of 65535
        self.pulses: dict[int, deque[tuple[int, int, int]]] = {}  # pin to (level, microseconds until it, and of it)
        self.on_write: list[Callable[[int, int], None]] = []  # who hears of levels that firmware drives
        self.edges = bytearray()  # (pin, edge) pairs that the VM has not taken yet

    def forget(self) -> None:
        """A reset: every pin is an input again; what the world drives stays."""
        self.outputs.clear()
        self.modulated.clear()
        self._pulls.clear()
        self._watched.clear()
        self.edges.clear()

    def drive(self, pin: int, level: int) -> None:
        """The world sets a pin, as a button or a sensor's output does."""
        before = self.level(pin)
        self._driven[pin] = level
        edge = 1 if level > before else 2 if level < before else 0
        if edge & self._watched.get(pin, 0):
            self.edges += bytes((pin, edge))
            self._on_edge()

    def release(self, pin: int) -> None:
        """The world no longer drives the pin."""
        self._driven.pop(pin, None)

    def modulate(self, pin: int, setting: tuple[int, int] | None) -> int:
        """Firmware drives the pin with a frequency and a duty, or ends it (None)."""
        if pin not in self._known:
            return -EINVAL
        if setting is None:
            self.modulated.pop(pin, None)
        else:
            self.modulated[pin] = setting
        return 0

    def pulse(self, pin: int, level: int, timeout_us: int) -> tuple[int, int]:
        """What firmware measures of the next of `pulses` with that level, and how long that takes."""
        waiting = self.pulses.get(pin, deque())
        while waiting:
            came_level, until_us, length_us = waiting.popleft()
            if came_level == level:
                if until_us >= timeout_us:
                    break
                whole = length_us < timeout_us
                return (length_us, until_us + length_us) if whole else (timeout_us, until_us + timeout_us)
        return timeout_us + 1, timeout_us

    def level(self, pin: int) -> int:
        pulled = 1 if self._pulls.get(pin) == 2 else 0
        return self._driven.get(pin, self.outputs.get(pin, pulled))

    def request(self, pin: int, action: int, value: int) -> int:
        """configure, read, write, watch, as overlays/_pins.py numbers them; the level read, or -errno."""
        if pin not in self._known:
            return -EINVAL
        if action == 0:
            self._pulls[pin] = value >> 8
            if value & 255 == 1:
                self.outputs.pop(pin, None)
        elif action == 1:
            return self.level(pin)
        elif action == 2:
            self.outputs[pin] = value
            for hear in self.on_write:
                hear(pin, value)
        else:
            self._watched[pin] = value
        return 0
