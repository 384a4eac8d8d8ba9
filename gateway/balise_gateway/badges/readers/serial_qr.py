"""QR scanners on a serial port or USB-CDC: one line per scan. Needs pyserial (extra `badge`).

Promises one sighting per code held before the scanner, that a line that is cut off or too long is dropped and counted,
and that garbage (a wrong speed, mostly) is said in the state. Leaves what a code proves to whoever takes it.
Tested on a pseudo-terminal, on no scanner.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from balise_gateway.badges import needs
from balise_gateway.badges.readers._base import BaseReader, Device, DeviceAway, Hand, ReaderSettings, Stop
from balise_gateway.badges.readers._codes import Lines, Sightings, seen_code, text_of
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

if TYPE_CHECKING:
    import serial  # type: ignore[import-untyped]

NEEDS = needs.SERIAL

REST_OF_LINE_S = 1.0  # at 9,600 baud a second is 960 characters: a line that stops for so long has ended badly
GARBAGE_LINES = 3


@dataclass(frozen=True, kw_only=True)
class Settings(ReaderSettings):
    """[[reader]] with kind = "serial_qr"."""

    path: Annotated[Path, Key("the scanner's port, such as /dev/serial/by-id/usb-…, which stays when others come")]
    baud: Annotated[int, Key("the speed that the scanner is set to; USB-CDC does not care", 1200, 921600)] = 9600
    away_s: Annotated[float, Key("a code is new again after it was away for so long", 0.0, 60.0)] = 3.0

    def problem(self) -> str | None:
        if not self.path.is_absolute():
            return (
                f"path = {str(self.path)!r}: give one whole path, such as /dev/serial/by-id/usb-…; nothing is searched"
            )
        return None


class Reader(BaseReader):
    """One scanner."""

    def __init__(self, settings: Settings, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings, str(settings.path))
        self._settings = settings
        self._sightings = Sightings(settings.away_s, now_s, self._counters)
        self._garbage = 0

    def _open(self) -> Device:
        try:
            import serial
        except ImportError as error:
            raise MissingExtra("a reader of kind serial_qr", "pyserial", "badge") from error
        path = str(self._settings.path)
        try:
            return _Scanner(self, serial.Serial(path, self._settings.baud, timeout=0, exclusive=True))
        except serial.SerialException as error:
            raise _not_opened(error, path) from error

    def _take(self, line: bytes, hand: Hand) -> None:
        code = text_of(line)
        if code is None:
            self._counters["unreadable"] += 1
            self._garbage += 1
        else:
            self._garbage = 0
            if self._sightings.is_new(code):
                hand(seen_code(self._name, code))
        self._state = "up" if self._garbage < GARBAGE_LINES else self._garbled()

    def _garbled(self) -> str:
        return f"garbled: what comes is no text; is the scanner set to {self._settings.baud} baud, 8N1?"


class _Scanner:
    """The open port."""

    def __init__(self, reader: Reader, port: "serial.Serial") -> None:
        self._reader, self._port = reader, port
        self._lines = Lines(reader._counters)

    def read(self, stop: Stop, hand: Hand) -> None:
        while not stop:
            ready = stop.wait(REST_OF_LINE_S if self._lines.begun else None, self._port.fileno())
            if not ready:
                self._lines.expire()
                continue
            for line in self._lines.feed(self._bytes()):
                self._reader._take(line, hand)

    def close(self) -> None:
        self._port.close()

    def _bytes(self) -> bytes:
        try:
            data: bytes = self._port.read(4096)
        except OSError as error:  # SerialException is one
            raise _unplugged() from error
        if not data:
            raise _unplugged()
        return data


def _unplugged() -> DeviceAway:
    return DeviceAway("unplugged", "the port is gone; plug the scanner in again")


def _not_opened(error: OSError, path: str) -> DeviceAway:
    """What pyserial says when it opens, in our words: its own differ from version to version."""
    if error.errno == 2:
        return DeviceAway("no such device", f"is the scanner plugged in? ls -l {path}")
    if error.errno == 13:
        return DeviceAway("not allowed", f"may this user read {path}? It belongs into the group dialout")
    return DeviceAway(
        "cannot be opened", "does another program use the port (the gateway, while it runs)? Else replug the scanner"
    )
