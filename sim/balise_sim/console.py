"""A node's console: what its firmware prints, line by line, with the time of the world.

Promises: a line bears the virtual time at which the VM next waited, so it is the same in every run. Leaves to others:
reading meaning into lines.
"""

import os
from collections.abc import Callable

CHUNK_BYTES = 65536


class Console:
    """`lines` are (utc_ms, text); `on_line` hears each one as it is cut."""

    def __init__(self, start_utc_ms: int) -> None:
        self._start_utc_ms = start_utc_ms
        self._bytes = bytearray()
        self.lines: list[tuple[int, str]] = []
        self.on_line: Callable[[int, str], None] | None = None

    def take(self, data: bytes) -> None:
        """Bytes that somebody else has read."""
        self._bytes += data

    def drain(self, descriptor: int) -> None:
        """Takes what is in the pipe, without waiting."""
        while True:
            try:
                got = os.read(descriptor, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not got:
                return
            self._bytes += got

    def cut(self, now_us: int, end_of_boot: bool = False) -> None:
        """Makes lines of what was taken, at that time; the last one may be open unless the boot has ended."""
        if not self._bytes:
            return
        *whole, rest = self._bytes.split(b"\n")
        if end_of_boot and rest:
            whole.append(rest)
            rest = bytearray()
        self._bytes = rest
        utc_ms = self._start_utc_ms + now_us // 1000
        for line in whole:
            text = line.decode(errors="replace").rstrip("\r")
            self.lines.append((utc_ms, text))
            if self.on_line is not None:
                self.on_line(utc_ms, text)

    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)
