"""What a reader and a command that writes cards say, one library after the other not being installed."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
from pathlib import Path
for name in sys.argv[3:]:
    sys.modules[name] = None  # as if it were not installed
from balise_gateway import plugins
from balise_gateway.badges import readers
from balise_gateway.errors import CardRefused, MissingExtra
module = plugins.load(readers, sys.argv[1])
path = {"path": Path("/dev/null")} if sys.argv[1] in ("pn532", "serial_qr") else {}
reader = module.Reader(module.Settings(kind=sys.argv[1], **path))
async def reads():
    task = asyncio.create_task(reader.run(lambda *_: None))
    while reader.status()["state"] == "starting":
        await asyncio.sleep(0.01)
    print(reader.status()["state"].removeprefix("away: not installed: "))
    task.cancel()
    await asyncio.wait([task])
asyncio.run(reads())
try:
    asyncio.run(reader.with_card(lambda _: None, 1.0))
except (MissingExtra, CardRefused) as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("kind", "extra", "libraries"),
    [
        ("pn532", "badge", ["nfc"]),
        ("pn532", "badge", ["serial"]),
        ("serial_qr", "badge", ["serial"]),
        ("pcsc", "pcsc", ["smartcard"]),
        ("camera_qr", "camera", ["zxingcpp"]),
        ("camera_qr", "camera", ["PIL"]),
    ],
)
def test_a_missing_library_is_told_with_the_extra_that_brings_it(kind: str, extra: str, libraries: list[str]) -> None:
    command = [sys.executable, "-c", PROGRAM, kind, extra, *libraries]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    state, error = done.stdout.splitlines()
    assert state.startswith(f"a reader of kind {kind} needs "), done.stderr
    assert state.endswith(f"pip install 'balise[{extra}]'")
    assert error == state or "only sees codes" in error
