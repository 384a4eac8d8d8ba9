"""Memory outside Python's heap, from which a board's Wi-Fi, sockets, TLS and Bluetooth live.

On an ESP32 all of it and the growth of Python's heap come from one pool, and gc.mem_free() says nothing about it: TLS
can fail with 80 KB free in Python. Promises: what does not fit is refused here first, and `refused` says what, when how
much was left. Leaves to others: the figures (the board files), and what an error is called (the overlays).
"""

from collections.abc import Mapping

ONCE = ("wifi", "wifi_active", "ble")  # drivers: asked for again, they are there already


class NativeHeap:
    """One boot's account. `sizes` is the board's `native_heap`; where that is empty everything fits."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._taken: dict[str, int] = {}
        self.lowest_bytes = sizes.get("free", 0)
        self.refused: list[tuple[str, int]] = []

    def clear(self) -> None:
        """The boot is over, and its memory with it; what was refused is remembered."""
        self._taken.clear()

    def free_bytes(self, python_bytes: int) -> int:
        """What is left when Python's objects take so much (of a 32-bit heap)."""
        grown = max(0, python_bytes - self._sizes["python_first"])
        return self._sizes["free"] - grown - sum(self._sizes[kind] * n for kind, n in self._taken.items())

    def take(self, kind: str, python_bytes: int) -> bool:
        """Whether there was room for one more of this kind; it stays until `give`."""
        if not self._sizes or (kind in ONCE and self._taken.get(kind)):
            return True
        left_bytes = self.free_bytes(python_bytes) - self._sizes[kind]
        if left_bytes < 0:
            self.refused.append((kind, left_bytes + self._sizes[kind]))
            return False
        self._taken[kind] = self._taken.get(kind, 0) + 1
        self.lowest_bytes = min(self.lowest_bytes, left_bytes)
        return True

    def give(self, kind: str) -> None:
        if self._taken.get(kind):
            self._taken[kind] -= 1
