"""What tests do with a board at the end of a serial line."""

import time
from typing import Any

CHUNK_BYTES, CHUNK_PAUSE_S = 128, 0.01  # a board's receive buffer has no more room
LONGEST_S = 60


class Board:
    """What tests do with a board: text that comes, and code that runs."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut

    def interrupt(self) -> None:
        """Ends what runs; the friendly prompt follows."""
        self._dut.write(b"\r\x03\x02")
        self.expect(b">>> ")

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK_BYTES):
            self._dut.write(data[at : at + CHUNK_BYTES])
            time.sleep(CHUNK_PAUSE_S)

    def expect(self, pattern: bytes) -> Any:
        """The match of a regular expression in what comes next."""
        return self._dut.expect(pattern, timeout=LONGEST_S)

    def run(self, code: str) -> str:
        """What the code prints. Its exception fails the test."""
        self.write(b"\x01")
        self.expect(rb"raw REPL; CTRL-B to exit\r\n>")
        self.write(code.encode() + b"\x04")
        found = self.expect(rb"OK([^\x04]*)\x04([^\x04]*)\x04>")
        self.write(b"\x02")
        self.expect(b">>> ")
        assert not found.group(2), found.group(2).decode()
        return str(found.group(1).decode().replace("\r\n", "\n"))
