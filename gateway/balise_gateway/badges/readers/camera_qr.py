"""A camera and QR codes: pictures from any program that writes MJPEG, decoded by zxing-cpp (extra `camera`).

Promises that the newest picture is looked at first and never more than `per_s` of them, that a program that ends or
freezes is started again, and that a code held before the camera is one sighting until it was away. Pictures stay in
memory and are forgotten at once. Leaves the camera to the program, and what a code proves to whoever takes it.
Tested with a program that writes pictures of codes, on no camera.
"""

import io
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from balise_gateway.badges.needs import Need
from balise_gateway.badges.readers._base import BaseReader, Device, DeviceAway, Hand, ReaderSettings, Stop
from balise_gateway.badges.readers._codes import Sightings, checked, seen_code
from balise_gateway.badges.readers._mjpeg import Pictures
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

# A Pi's camera is a chain of video and media devices, with memory of dma_heap; a program of its own reads it.
_DEVICES = ("char-video4linux rw", "char-media rw", "char-dma_heap rw")
NEEDS = Need(_DEVICES, ("video",), memory_mib=256, tasks=64, proc=True, notice="camera")

_PI_CAMERA: tuple[str, ...] = ("rpicam-vid", "-t", "0", "-n", "--codec", "mjpeg", "--width", "1280")
_PI_CAMERA += ("--height", "720", "--framerate", "10", "-o", "-")
MOST_PIXELS = 20_000_000  # a picture that says it is larger is not decoded: it may be made to fill the memory
_READ_BYTES = 65_536
_READS_A_TURN = 128
_PATIENCE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Settings(ReaderSettings):
    """[[reader]] with kind = "camera_qr"."""

    command: Annotated[tuple[str, ...], Key("the program and its words; it writes MJPEG to its standard output")] = (
        field(default=_PI_CAMERA, repr=False)
    )
    per_s: Annotated[float, Key("how many pictures a second are looked at, at most", 0.2, 30.0)] = 4.0
    away_s: Annotated[float, Key("a code is new again after it was away for so long", 0.0, 60.0)] = 3.0
    freeze_s: Annotated[float, Key("the program is started again after so long without a picture", 1.0, 600.0)] = 20.0

    def problem(self) -> str | None:
        return (
            None if self.command else 'command is empty: try ["rpicam-vid", "-t", "0", "--codec", "mjpeg", "-o", "-"]'
        )


class Reader(BaseReader):
    """One camera."""

    def __init__(self, settings: Settings, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings, settings.command[0])  # its other words may hold a password: rtsp://user:…
        self._settings = settings
        self._sightings = Sightings(settings.away_s, now_s, self._counters)

    def _open(self) -> Device:
        decode = _decoder(self._counters)
        command = self._settings.command
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # it names its input, password and all
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise DeviceAway(
                "cannot be started", f"is {command[0]} installed? Run the reader's command by hand"
            ) from error
        return _Camera(self, process, decode)

    def _take(self, code: str, hand: Hand) -> None:
        if self._sightings.is_new(code):
            hand(seen_code(self._name, code))


class _Camera:
    """The program while it runs."""

    def __init__(
        self, reader: Reader, process: "subprocess.Popen[bytes]", decode: Callable[[bytes], Iterator[str]]
    ) -> None:
        assert process.stdout is not None
        self._reader, self._process, self._decode = reader, process, decode
        self._fd = process.stdout.fileno()
        self._pictures = Pictures()
        os.set_blocking(self._fd, False)

    def read(self, stop: Stop, hand: Hand) -> None:
        settings, newest = self._reader._settings, None
        next_s, last_s = 0.0, time.monotonic()
        while not stop:
            now_s = time.monotonic()
            wait_s = max(0.0, next_s - now_s) if newest else settings.freeze_s
            if stop.wait(wait_s, self._fd):
                newest = self._arrived() or newest
            now_s = time.monotonic()
            if newest is not None and now_s >= next_s:
                self._reader._counters["pictures"] += 1
                for code in self._decode(newest):
                    self._reader._take(code, hand)
                newest, next_s, last_s = None, now_s + 1 / settings.per_s, now_s
            elif newest is None and now_s - last_s >= settings.freeze_s:
                raise DeviceAway("no picture", "is the camera connected, and is what the command writes MJPEG?")

    def close(self) -> None:
        """Ends the program and whatever it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended by itself, which is what is wanted
            self._process.poll()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _arrived(self) -> bytes | None:
        """The newest whole picture of all that has arrived."""
        newest = None
        for _ in range(_READS_A_TURN):
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                raise self._ended()
            newest = self._pictures.feed(data) or newest
        self._reader._counters["torn pictures"] += self._pictures.dropped
        self._pictures.dropped = 0
        return newest

    def _ended(self) -> DeviceAway:
        try:
            how = f"with code {self._process.wait(_PATIENCE_S)}"
        except subprocess.TimeoutExpired:
            how = "its output"
        program = self._process.args[0] if isinstance(self._process.args, tuple) else "it"
        return DeviceAway("ended", f"{program} ended {how}: run the reader's command by hand to see why")


def _decoder(counters: Counter[str]) -> Callable[[bytes], Iterator[str]]:
    """A function that finds the codes in a picture. A picture that is none is counted."""
    try:
        import zxingcpp
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("a reader of kind camera_qr", "Pillow and zxing-cpp", "camera") from error

    kind: Any = zxingcpp.BarcodeFormat.QRCode  # the type of this argument differs from version to version

    def decode(data: bytes) -> Iterator[str]:
        try:
            picture = Image.open(io.BytesIO(data), formats=("JPEG",))
            if picture.width * picture.height > MOST_PIXELS:
                counters["too large"] += 1
                return
            grey = picture.convert("L")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises at broken files
            counters["torn pictures"] += 1
            return
        for found in zxingcpp.read_barcodes(grey, formats=kind):
            code = checked(found.text)
            if code is None:
                counters["unreadable"] += 1
            else:
                yield code

    return decode
