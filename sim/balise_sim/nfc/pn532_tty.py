"""A PN532 on a pseudo-terminal, which any serial program opens at a path of your choice, without root.

Promises the chip of pn532.py with the time that bytes and air take (`pace` 1.0: as on a real line; 0: at once), cards
laid and taken while it runs, and its cable pulled: the path is gone, and who has it open gets an end of file. Runs in a
thread of its own; all methods may be called from any thread. Leaves the bytes to the chip.

Where a pseudo-terminal is not a line: it tells a host's speed when bytes are read, not when they were written. So an
ACK that is due after SetSerialBaudRate counts at the old speed and at the new one. And when a host throws away
what it has not sent yet, a pseudo-terminal takes back bytes that a UART would have had on the wire; nfcpy does that
right after its ACK (`TTY.close`). So when the host throws output away while that ACK is due, it counts as sent. A
host that sends this ACK at the wrong speed is not found out here.
"""

import contextlib
import fcntl
import os
import select
import struct
import termios
import threading
import time
import tty
from collections import deque
from pathlib import Path
from types import TracebackType

from balise_sim.nfc import frames
from balise_sim.nfc.cards import Card
from balise_sim.nfc.faults import Faults
from balise_sim.nfc.field import Field
from balise_sim.nfc.pn532 import SPEEDS_BAUD, Pn532, Sent

BITS_PER_BYTE = 10  # a start and a stop bit
CHUNK_BYTES = 4096
PACKET_DATA, OUTPUT_THROWN_AWAY = 0x00, 0x02  # tty_ioctl(4), TIOCPKT
BAUD_OF = {getattr(termios, f"B{baud}"): baud for baud in SPEEDS_BAUD if hasattr(termios, f"B{baud}")}
GARBLE = 0xA5


class Pn532Tty:
    """`with Pn532Tty(folder / "reader") as reader:` a chip that is plugged in; the path is a symbolic link.

    `cards` and `faults` may be used at any time. `modelled_s` is how long the line and the air were busy so far.
    """

    def __init__(self, path: Path, pace: float = 1.0) -> None:
        self.path, self.pace = path, pace
        self.faults = Faults()
        self._field = Field()
        self._chip = Pn532(self._field, self.faults)
        self._lock = threading.RLock()
        self._due: deque[tuple[float, bytes]] = deque()
        self._line: tuple[int, int] | None = None  # the chip's end, and the host's kept open so that it stays
        self._wake_out, self._wake_in = -1, -1
        self._thread: threading.Thread | None = None
        self.modelled_s = 0.0

    def __enter__(self) -> "Pn532Tty":
        self.replug()
        self._wake_out, self._wake_in = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"PN532 at {self.path.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.unplug()
        thread, self._thread = self._thread, None
        self._wake()
        if thread is not None:
            thread.join()
        os.close(self._wake_out)
        os.close(self._wake_in)

    # What a person does

    @property
    def cards(self) -> list[Card]:
        with self._lock:
            return self._field.cards

    @property
    def baud(self) -> int:
        """The chip's speed."""
        with self._lock:
            return self._chip.baud

    @property
    def exchanges(self) -> int:
        """Commands that have reached cards, selections not counted."""
        with self._lock:
            return self._field.exchanges

    @property
    def commands(self) -> int:
        """Whole commands that the chip has heard."""
        with self._lock:
            return self._chip.commands

    def lay(self, card: Card) -> None:
        with self._lock:
            self._field.lay(card)
        self._wake()

    def take_away(self, card: Card | None = None) -> None:
        """This card, or all of them."""
        with self._lock:
            self._field.take_away(card)

    def tear_away_after(self, exchanges: int) -> None:
        """The cards that lie here answer this many commands more, then they are gone."""
        with self._lock:
            self._field.tear_away_after(exchanges)

    def leave_at(self, baud: int) -> None:
        """As a host leaves the chip that crashed at this speed: it stays there until power is cut."""
        with self._lock:
            self._chip.take(frames.ACK, self._chip.baud)
            self._chip.baud = baud

    def cut_power(self) -> None:
        """The chip loses its power and gets it back; the line stays open."""
        with self._lock:
            self._due.clear()
            self._chip.cut_power()

    def unplug(self) -> None:
        """The cable is pulled: no power, no path; who reads from the line gets its end. May be called twice."""
        with self._lock:
            self.cut_power()
            line, self._line = self._line, None
            if line is not None:
                self.path.unlink(missing_ok=True)  # the caller's folder may have gone first
                for end in line:
                    os.close(end)
        self._wake()

    def replug(self) -> None:
        """The cable is back, at the same path. Raises FileExistsError when something else has it."""
        with self._lock:
            if self._line is not None:
                return
            chip_end, host_end = os.openpty()
            tty.setraw(host_end)
            fcntl.ioctl(chip_end, termios.TIOCPKT, struct.pack("i", 1))
            os.set_blocking(chip_end, False)
            try:
                self.path.symlink_to(os.ttyname(host_end))
            except OSError:
                os.close(chip_end)
                os.close(host_end)
                raise
            self._line = chip_end, host_end
        self._wake()

    # The line

    def _wake(self) -> None:
        if self._wake_in >= 0:
            os.write(self._wake_in, b".")

    def _run(self) -> None:
        while self._thread is not None:
            with self._lock:
                line = self._line
                wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            try:
                ready, _, _ = select.select([self._wake_out, *(line or ())[:1]], [], [], wait_s)
            except OSError:  # EBADF: the cable was pulled since the lock was let go
                continue
            with self._lock:
                self._turn(line is not None and line is self._line and line[0] in ready)
            if self._wake_out in ready:
                os.read(self._wake_out, CHUNK_BYTES)

    def _turn(self, readable: bool) -> None:
        if self._line is None:
            return
        if readable:
            self._hear(self._line[0])
        elif not self._due:
            self._queue(self._chip.look_again(), 0)
        while self._due and self._due[0][0] <= time.monotonic():
            self._say(self._line[0], self._due.popleft()[1])

    def _host_baud(self, chip_end: int) -> int:
        """What the host's end is set to; 0 for a speed that the chip does not have."""
        return BAUD_OF.get(termios.tcgetattr(chip_end)[5], 0)

    def _hear(self, chip_end: int) -> None:
        try:
            packet = os.read(chip_end, CHUNK_BYTES)
        except BlockingIOError:  # the host took its bytes back in the meantime
            return
        if packet[0] != PACKET_DATA:
            if packet[0] & OUTPUT_THROWN_AWAY and self._chip.next_baud:
                self._chip.take(frames.ACK, self._chip.baud)
            return
        data = packet[1:]
        sent = self._chip.take(data, self._host_baud(chip_end))
        self._due.clear()
        self._queue(sent, len(data))

    def _queue(self, sent: list[Sent], heard_bytes: int) -> None:
        at_s, byte_s = time.monotonic(), BITS_PER_BYTE / self._chip.baud
        took_s = heard_bytes * byte_s
        for each in sent:
            took_s += each.after_s + len(each.data) * byte_s
            self._due.append((at_s + took_s * self.pace, each.data))
        self.modelled_s += took_s

    def _say(self, chip_end: int, data: bytes) -> None:
        if self._host_baud(chip_end) != self._chip.baud:
            data = bytes(byte ^ GARBLE for byte in data)
        with contextlib.suppress(BlockingIOError):  # nobody reads: a line loses what is not read
            os.write(chip_end, data)
