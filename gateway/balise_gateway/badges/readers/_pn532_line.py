"""The serial line of a PN532 as nfcpy wants a transport to be, and the chip woken on it.

Promises that the line stays at 115,200 baud; that a chip which was left at another speed is brought back; and that a
frame of one to three bytes, at which nfcpy's own transport raises IndexError, is an OSError. Source: NXP UM0701-02
(PN532 user manual), 6.2 (frames), 7.2.2, 7.2.7, 7.2.10 and 7.2.11.
"""

import errno
import os
import termios
import time
from collections import Counter

from balise_gateway.badges.readers._base import DeviceAway
from balise_gateway.errors import MissingExtra

BAUD = 115_200
HIGH_BAUDS = (921_600, 460_800, 230_400)  # at which nfcpy may have left the chip
ACK = bytes.fromhex("0000ff00ff00")
_START = b"\x00\x00\xff"
_WAKE = bytes(10)  # five rising edges wake the chip (7.2.11); each zero byte has one
_GET_VERSION, _VERSION = bytes.fromhex("0000ff02fed4022a00"), bytes.fromhex("d50332")
_SAM_NORMAL, _SAM_DONE = bytes.fromhex("0000ff05fbd4140100001700"), bytes.fromhex("d515")
_TO_115200, _SPEED_DONE = bytes.fromhex("0000ff03fdd410041800"), bytes.fromhex("d511")
_ACK_MS, _SLOW_ACK_MS, _ANSWER_MS = 150, 1500, 200  # a USB adapter on a Pi may keep its first bytes for a second


class Line:
    """An open port, as a transport of nfcpy."""

    TYPE = "TTY"

    def __init__(self, path: str) -> None:
        try:
            import serial  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtra("a reader of kind pn532", "pyserial", "badge") from error
        self.port, self.is_gone = path, False
        self._lost: tuple[type[Exception], ...] = (serial.SerialException, termios.error, OSError)
        try:
            self._tty = serial.Serial(path, BAUD, timeout=0.05, write_timeout=1.0, exclusive=True)
        except serial.SerialException as error:
            raise _not_opened(error, path) from error

    @property
    def baudrate(self) -> int:
        return int(self._tty.baudrate)

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        try:
            self._tty.baudrate = baud
        except self._lost as error:
            raise self._pulled_out() from error

    def read(self, timeout: int) -> bytearray:
        """One frame as it came, after at most `timeout` ms of silence."""
        frame = self._bytes(6, timeout)
        if not frame:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if len(frame) < 6 or not frame.startswith(_START):
            raise OSError(errno.EIO, "no frame of a PN532")
        if frame == ACK:
            return frame
        length = frame[3]
        if frame[3:5] == b"\xff\xff":  # an extended frame (6.2.1.2)
            frame += self._bytes(3, _ANSWER_MS)
            length = int.from_bytes(frame[5:7], "big") if len(frame) == 9 else 0
        return frame + self._bytes(length + 1, _ANSWER_MS)

    def write(self, frame: bytes) -> None:
        try:
            self._tty.reset_input_buffer()
            self._tty.write(frame)
            self._tty.flush()
        except self._lost as error:
            raise self._pulled_out() from error

    def close(self) -> None:
        self._tty.close()

    def _bytes(self, count: int, timeout_ms: int) -> bytearray:
        try:
            self._tty.timeout = max(timeout_ms / 1000, 0.05)
            return bytearray(self._tty.read(count))
        except self._lost as error:
            raise self._pulled_out() from error

    def _pulled_out(self) -> OSError:
        self.is_gone = True
        return OSError(errno.ENODEV, os.strerror(errno.ENODEV))


def wake(line: Line, counters: Counter[str]) -> None:
    """The chip awake, configured, and at 115,200 baud. Raises DeviceAway."""
    for attempt_ms in (_ACK_MS, _ACK_MS):
        if _answers(line, attempt_ms):
            return
    if _brought_back(line) and _answers(line, _ACK_MS):
        counters["speed brought back"] += 1
        return
    if _answers(line, _SLOW_ACK_MS):
        return
    raise DeviceAway(
        "no answer",
        "no PN532 answers: TX to RX and RX to TX? its switches at HSU? the console off this port? If it was, unplug it",
    )


def _answers(line: Line, ack_ms: int) -> bool:
    """Whether GetFirmwareVersion and SAMConfiguration are answered. An ACK before them ends what still runs."""
    return _asked(line, ACK + _WAKE + _GET_VERSION, _VERSION, ack_ms) and _asked(
        line, _WAKE + _SAM_NORMAL, _SAM_DONE, ack_ms
    )


def _brought_back(line: Line) -> bool:
    """SetSerialBaudRate at each speed at which the chip may be; it changes after our ACK (7.2.7)."""
    for baud in HIGH_BAUDS:
        line.baudrate = baud
        if _asked(line, _WAKE + _TO_115200, _SPEED_DONE, _ACK_MS):
            line.write(ACK)
            time.sleep(0.02)
            line.baudrate = BAUD
            return True
    line.baudrate = BAUD
    return False


def _asked(line: Line, command: bytes, answer: bytes, ack_ms: int) -> bool:
    try:
        line.write(command)
        return line.read(ack_ms) == ACK and line.read(_ANSWER_MS)[5:].startswith(answer)
    except OSError as error:
        if line.is_gone:
            raise unplugged() from error
        return False  # silence or noise, which is what was asked


def unplugged() -> DeviceAway:
    return DeviceAway("unplugged", "the port is gone; plug the reader in again")


def _not_opened(error: OSError, path: str) -> DeviceAway:
    if error.errno == errno.ENOENT:
        return DeviceAway("no such device", f"is the reader plugged in, or the UART switched on? ls -l {path}")
    if error.errno == errno.EACCES:
        return DeviceAway("not allowed", f"may this user read {path}? It belongs into the group dialout")
    holder = "does another program use the port? The gateway, while it runs, or a login console on it"
    return DeviceAway("cannot be opened", holder)
