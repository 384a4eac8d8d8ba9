"""What a reader says whose library is not installed."""

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
from balise_gateway.errors import MissingExtra
module = plugins.load(readers, sys.argv[1])
path = {"path": Path("/dev/null")} if sys.argv[1] in ("pn532", "serial_qr") else {}
reader = module.Reader(module.Settings(kind=sys.argv[1], **path))
try:
    asyncio.run(reader.run(lambda *_: None))
except MissingExtra as error:
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
    assert done.stdout.strip().startswith(f"a reader of kind {kind} needs "), done.stderr
    assert done.stdout.strip().endswith(f"pip install 'balise[{extra}]'")
