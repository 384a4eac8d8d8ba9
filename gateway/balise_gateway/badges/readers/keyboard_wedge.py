"""Scanners that type: most USB QR scanners are keyboards, and end a code with Enter. Needs no library.

Promises that what is scanned reaches us and nobody else (the device is grabbed: no code is typed into a console), in
the layout that the scanner is set to, whatever the keymap of the Pi. Leaves the keys to `_keys.py` and what a code
proves to whoever takes it. Tested with a FIFO in place of the device, on no scanner.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from balise_gateway.badges.needs import Need
from balise_gateway.badges.readers._base import BaseReader, Device, DeviceAway, Hand, ReaderSettings, Stop
from balise_gateway.badges.readers._codes import Sightings, seen_code
from balise_gateway.badges.readers._keys import Events, Typing
from balise_gateway.settings import Key

NEEDS = Need(("char-input r",), ("input",))

EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int), include/uapi/linux/input.h
REST_OF_CODE_S = 1.0  # scanners type 30 to 1,000 characters a second
_READ_EVENTS = 256


@dataclass(frozen=True, kw_only=True)
class Settings(ReaderSettings):
    """[[reader]] with kind = "keyboard_wedge"."""

    path: Annotated[Path, Key("the scanner, /dev/input/by-id/…-event-kbd; never a keyboard on which people type")]
    layout: Annotated[
        Literal["us", "fr"], Key("the keyboard that the scanner plays (it is set with a code in its leaflet)")
    ] = "us"
    away_s: Annotated[float, Key("a code is new again after it was away for so long", 0.0, 60.0)] = 3.0

    def problem(self) -> str | None:
        if not self.path.is_absolute():
            return f"path = {str(self.path)!r}: give one whole path, such as /dev/input/by-id/…-event-kbd"
        return None


class Reader(BaseReader):
    """One scanner."""

    def __init__(self, settings: Settings, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings, str(settings.path))
        self._settings = settings
        self._sightings = Sightings(settings.away_s, now_s, self._counters)

    def _open(self) -> Device:
        path = self._settings.path
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _not_opened(error, path) from error
        try:
            _grab(fd)
        except OSError as error:
            os.close(fd)
            raise DeviceAway("taken", "another program has grabbed it, or it is no input device") from error
        return _Scanner(self, fd)

    def _take(self, code: str, hand: Hand) -> None:
        if self._sightings.is_new(code):
            hand(seen_code(self._name, code))


class _Scanner:
    """The open device."""

    def __init__(self, reader: Reader, fd: int) -> None:
        self._reader, self._fd = reader, fd
        self._events = Events()
        self._typing = Typing(reader._settings.layout, reader._counters)

    def read(self, stop: Stop, hand: Hand) -> None:
        while not stop:
            ready = stop.wait(REST_OF_CODE_S if self._typing.begun else None, self._fd)
            if not ready:
                self._typing.expire()
                continue
            for event in self._events.feed(self._bytes()):
                code = self._typing.feed(event)
                if code is not None:
                    self._reader._take(code, hand)

    def close(self) -> None:
        os.close(self._fd)  # gives the device back too

    def _bytes(self) -> bytes:
        try:
            data = os.read(self._fd, _READ_EVENTS * self._events.size_bytes)
        except OSError as error:  # ENODEV when it is pulled out
            raise _unplugged() from error
        if not data:
            raise _unplugged()
        return data


def _grab(fd: int) -> None:
    """Only what is an input device can be grabbed; a FIFO has nobody else who reads it."""
    if stat.S_ISCHR(os.fstat(fd).st_mode):
        fcntl.ioctl(fd, EVIOCGRAB, 1)


def _unplugged() -> DeviceAway:
    return DeviceAway("unplugged", "the scanner is gone; plug it in again")


def _not_opened(error: OSError, path: Path) -> DeviceAway:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return DeviceAway("no such device", f"is the scanner plugged in, and set to be a keyboard? ls -l {path}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceAway("not allowed", f"may this user read {path}? It belongs into the group input")
    return DeviceAway("cannot be opened", "unplug the scanner and replug it")
