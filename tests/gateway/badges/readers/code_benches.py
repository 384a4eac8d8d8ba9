"""Benches of readers of codes. The fakes stand where the device would: a pseudo-terminal for a serial scanner, a FIFO
for an input device (there is no /dev/input where tests run), a program that writes pictures for a camera.
"""

import contextlib
import os
import pty
import struct
import sys
from pathlib import Path

from balise_gateway import plugins
from balise_gateway.badges import readers
from balise_gateway.badges.readers import _keys
from balise_gateway.badges.seen import Seen
from gateway.support import until


class Clock:
    """Time in seconds that moves when told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class CodeBench:
    """What benches of readers of codes have in common."""

    kind = ""
    writes = False

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.clock = folder, folder / "device", Clock()
        self.number = 0
        module = plugins.load(readers, self.kind)
        self.reader = module.Reader(module.Settings(**self.settings()), self.clock)

    def settings(self) -> dict[str, object]:
        return {"kind": self.kind, "name": "door", "path": self.path}

    def text(self, number: int) -> str:
        return f"https://b.coroutine.example/t?c={number:08X}&m=Ab-_.~"

    def is_it(self, seen: Seen, number: int) -> bool:
        return (seen.via, seen.reader, seen.uri, seen.uid) == ("qr", "door", self.text(number), b"")

    def secrets(self, number: int) -> list[str]:
        return [self.text(number), f"{number:08X}"]

    def rest(self) -> None: ...

    async def keep(self) -> None:
        before = self.counter("repeated")
        for _ in range(3):
            await self.show(self.number)
        await until(lambda: self.counter("repeated") >= before + 3)

    def counter(self, name: str) -> int:
        return int(self.reader.status()["counters"].get(name, 0))

    async def take_away(self) -> None:
        self.clock.now_s += 4.0


class SerialBench(CodeBench):
    kind = "serial_qr"
    master = -1

    def plug(self) -> None:
        self.master, slave = pty.openpty()
        self.path.symlink_to(os.ttyname(slave))
        self._slave = slave

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self.master)
        os.close(self._slave)
        self.master = -1

    async def show(self, number: int) -> None:
        self.number = number
        os.write(self.master, self.text(number).encode() + b"\r\n")

    async def disturb(self) -> None:
        for noise in (
            b"\xff\x00\xfe\r",
            b"\n\n\r\n",
            b"\x80" * 200 + b"\n",
            b"A" * 1500 + b"\n",
            bytes(range(256)),
            b"\r\n",
        ):
            os.write(self.master, noise)

    def close(self) -> None:
        if self.master >= 0:
            self.unplug()


_KEY_PAD = {55, *range(71, 84), 98}


def events(text: str, layout: str = "us", long_bytes: int = struct.calcsize("l"), end: int = 28) -> bytes:
    """What a scanner types: `struct input_event`s, each key down and up, Shift and AltGr around where needed."""
    plain, shift, altgr = _keys.LAYOUTS[layout]
    typed: list[tuple[int, int]] = []
    for char in text:
        tables = ((plain, 0), (shift, 42), (altgr, 100))
        table, with_key = next((t, k) for t, k in tables if char in [t[n] for n in t if n not in _KEY_PAD])
        key = next(code for code, known in table.items() if known == char and code not in _KEY_PAD)
        keys = [(key, 1), (key, 0)]
        typed += [(with_key, 1), *keys, (with_key, 0)] if with_key else keys
    typed += [(end, 1), (end, 0)]
    pack = struct.Struct({4: "=iiHHi", 8: "=qqHHi"}[long_bytes]).pack
    return b"".join(pack(1, 2, 1, key, value) + pack(1, 2, 0, 0, 0) for key, value in typed)


class WedgeBench(CodeBench):
    kind = "keyboard_wedge"
    fd = -1

    def plug(self) -> None:
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self.fd)
        self.fd = -1

    async def show(self, number: int) -> None:
        self.number = number
        await self._write(events(self.text(number)))

    async def disturb(self) -> None:
        event = struct.Struct("llHHi").pack
        noise = [(0, 3, 0), (1, 900, 1), (4, 4, 30), (1, 30, 2), (65535, 65535, -1), (1, 42, 1), (1, 28, 0), (1, 28, 1)]
        await self._write(b"".join(event(0, 0, *one) for one in noise))
        await self._write(b"".join(event(0, 0, 1, 30, 1) for _ in range(1500)) + event(0, 0, 1, 28, 1))
        await self._write(event(0, 0, 1, 42, 0))

    def close(self) -> None:
        if self.fd >= 0:
            self.unplug()

    async def _write(self, data: bytes) -> None:
        """A pipe holds 64 kB; the reader makes room."""
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self.fd, data[:4096]) :]
                continue
            await until(lambda: self._room())

    def _room(self) -> bool:
        import select

        return bool(select.select([], [self.fd], [], 0)[1])


CAMERA = """
import os, sys, time
folder = sys.argv[1]
while os.path.exists(folder + "/plugged"):
    with open(folder + "/current") as file:
        name = file.read()
    with open(folder + "/" + name, "rb") as file:
        os.write(1, b"") if not (data := file.read()) else sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    with open(folder + "/written.new", "w") as file:
        file.write(name)
    os.replace(folder + "/written.new", folder + "/written")
    time.sleep(0.02)
sys.exit(3)
"""


class CameraBench(CodeBench):
    kind = "camera_qr"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "camera.py").write_text(CAMERA, encoding="utf-8")
        from PIL import Image

        Image.new("RGB", (320, 240), "white").save(folder / "blank.jpg")
        (folder / "written").touch()
        self._set("blank.jpg")

    def settings(self) -> dict[str, object]:
        command = (sys.executable, str(self.folder / "camera.py"), str(self.folder))
        return {"kind": self.kind, "name": "door", "command": command, "per_s": 30.0}

    def plug(self) -> None:
        (self.folder / "plugged").touch()

    def unplug(self) -> None:
        (self.folder / "plugged").unlink()

    async def show(self, number: int) -> None:
        picture(self.text(number), self.folder / f"{number}.jpg")
        self._set(f"{number}.jpg")

    async def keep(self) -> None:
        await self._looked_at(4)

    async def take_away(self) -> None:
        await self._switch("blank.jpg")
        self.clock.now_s += 4.0

    async def disturb(self) -> None:
        whole = (self.folder / "blank.jpg").read_bytes()
        spoilt = [
            b"no picture at all",
            whole[: len(whole) // 2],
            b"\xff\xd8\xff\xd9",
            whole[:20] + bytes(200) + whole[-2:],
        ]
        for number, noise in enumerate(spoilt):
            (self.folder / f"noise{number}").write_bytes(noise)
            await self._switch(f"noise{number}", looks=0)
        await self._switch("blank.jpg")

    def close(self) -> None:
        pass

    async def _switch(self, name: str, looks: int = 2) -> None:
        """Returns when pictures that were written before are looked at no more: the newest comes first."""
        self._set(name)
        await until(lambda: (self.folder / "written").read_text() == name)
        await self._looked_at(looks)

    async def _looked_at(self, pictures: int) -> None:
        wanted = self.counter("pictures") + pictures
        await until(lambda: self.counter("pictures") >= wanted)

    def _set(self, name: str) -> None:
        (self.folder / "current.new").write_text(name)
        (self.folder / "current.new").replace(self.folder / "current")


def picture(text: str, path: Path) -> None:
    """A JPEG picture of a QR code, made by segno."""
    import io

    import segno
    from PIL import Image

    png = io.BytesIO()
    segno.make(text, micro=False).save(png, kind="png", scale=4, border=6)
    Image.open(png).convert("RGB").save(path, quality=80)
