"""Serial scanners: what a wrong speed looks like, lines that stop, ports that are taken. A PTY plays the port."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from balise_gateway import settings
from balise_gateway.badges.readers.serial_qr import Reader, Settings
from balise_gateway.badges.seen import Seen
from balise_gateway.errors import ConfigError
from gateway.badges.readers.code_benches import SerialBench
from gateway.support import played, until


def scanned(bench: SerialBench, scene: Callable[[list[Seen]], Awaitable[None]]) -> None:
    async def whole() -> None:
        seen: list[Seen] = []
        task = asyncio.create_task(bench.reader.run(lambda _, one: seen.append(one)))
        await until(lambda: bench.reader.status()["state"] == "up")
        await scene(seen)
        task.cancel()
        await asyncio.wait([task])

    bench.plug()
    played(whole)
    bench.close()


def test_a_wrong_speed_is_said_until_a_code_is_read(tmp_path: Path) -> None:
    bench = SerialBench(tmp_path)

    async def scene(seen: list[Seen]) -> None:
        for _ in range(3):
            os.write(bench.master, b"\xf8\x1e\x80\xfe\n")
        await until(lambda: "9600 baud" in str(bench.reader.status()["state"]))
        assert bench.counter("unreadable") == 3
        await bench.show(1)
        await until(lambda: seen)
        assert bench.reader.status()["state"] == "up"

    scanned(bench, scene)


def test_half_a_line_is_forgotten_after_a_pause(tmp_path: Path) -> None:
    bench = SerialBench(tmp_path)

    async def scene(seen: list[Seen]) -> None:
        os.write(bench.master, b"https://half")
        await until(lambda: bench.counter("cut off") == 1)
        await bench.show(1)
        await until(lambda: seen)
        assert bench.is_it(seen[0], 1)

    scanned(bench, scene)


def test_the_port_is_locked_against_a_second_program(tmp_path: Path) -> None:
    bench = SerialBench(tmp_path)

    async def scene(seen: list[Seen]) -> None:
        second = Reader(Settings(kind="serial_qr", path=bench.path))
        task = asyncio.create_task(second.run(lambda *_: None))
        await until(lambda: str(second.status()["state"]).startswith("away: cannot be opened"))
        task.cancel()
        await asyncio.wait([task])

    scanned(bench, scene)


@pytest.mark.parametrize("path", ["tty", "ttyUSB0", "usb", ""])
def test_a_port_is_named_whole_and_never_searched(path: str) -> None:
    with pytest.raises(ConfigError, match=r"gateway.toml: reader: path = .*nothing is searched"):
        settings.build(Settings, {"kind": "serial_qr", "path": path}, "reader", "gateway.toml")
