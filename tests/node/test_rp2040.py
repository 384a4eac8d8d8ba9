"""Optional: the drivers' vectors on a real Cortex-M0+ MicroPython, emulated by rp2040py, when an image is at hand.

BALISE_RP2040_UF2 names a MicroPython image for the Pico; no registry has one. One self-contained script carries driver,
tape and vectors onto a RAM disk, so nothing of the board's flash is needed. The script itself is tried on the unix port
in any case, within a Pico's heap.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.found import SENSORS, lines_of, vectors
from contracts.tape import play
from node.interpreters import MICROPYTHON

ROOT = Path(__file__).parents[2]
ROOMS = {"balise_node": ROOT / "firmware/balise_node", "balise_wire": ROOT / "wire/balise_wire"}
IMAGE = "BALISE_RP2040_UF2"
PICO_HEAP = "187k"  # bytes that a Pico has free: the same number here is the stricter limit, since pointers are wider
PATIENCE_S = 1800  # the emulator runs at about a twenty-fifth of real time
MODELS = ("sht4x", "sds011", "bme280")  # commands, a UART, registers with the longest formula
DISK = """
import os, sys
class Disk:
    def __init__(self, blocks):
        self.data = bytearray(512 * blocks)
    def readblocks(self, number, buf, offset=0):
        at = 512 * number + offset
        buf[:] = self.data[at : at + len(buf)]
    def writeblocks(self, number, buf, offset=0):
        at = 512 * number + offset
        self.data[at : at + len(buf)] = buf
    def ioctl(self, op, argument):
        return {4: len(self.data) // 512, 5: 512}.get(op, 0)
disk = Disk(128)
os.VfsLfs2.mkfs(disk)
os.mount(os.VfsLfs2(disk), "/ram")
def put(path, text):
    at = ""
    for folder in path.split("/")[:-1]:
        at += "/" + folder
        try:
            os.mkdir("/ram" + at)
        except OSError:
            pass
    with open("/ram/" + path, "w") as file:
        file.write(text)
"""


def imported(path: Path) -> set[Path]:
    """A module of ours and all modules of ours that it imports."""
    found, left = set(), {path}
    while left:
        here = left.pop()
        found.add(here)
        for node in ast.walk(ast.parse(here.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{alias.name}" for alias in node.names]
            for package, _, rest in (name.partition(".") for name in names):
                file = ROOMS.get(package, ROOT) / (rest.replace(".", "/") + ".py")
                folder = ROOMS.get(package, ROOT) / rest.replace(".", "/") / "__init__.py"
                left |= {each for each in (file, folder) if package in ROOMS and each.exists()} - found
    return found


def script(model: str) -> str:
    """Everything that the vectors of one driver need, and their play."""
    files = {"tape.py": (ROOT / "tests/contracts/tape.py").read_text(encoding="utf-8"), "cases": lines_of(model)}
    for path in imported(ROOMS["balise_node"] / f"drivers/{model}.py"):
        room = next(name for name, folder in ROOMS.items() if path.is_relative_to(folder))
        files[f"{room}/{path.relative_to(ROOMS[room]).as_posix()}"] = path.read_text(encoding="utf-8")
    puts = "".join(f"put({name!r}, {text!r})\n" for name, text in files.items())
    play_it = f"sys.path.insert(0, '/ram')\nimport tape\ntape.main({model!r}, '/ram/cases')\n"
    return DISK + puts + play_it


def assert_outcomes(model: str, printed: str) -> None:
    told = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert told == [json.loads(json.dumps(play(model, vectors(model), case))) for case in vectors(model)["cases"]]


@pytest.mark.parametrize("model", MODELS)
def test_the_script_is_right_on_the_unix_port(model: str, tmp_path: Path) -> None:
    assert model in SENSORS
    file = tmp_path / "script.py"
    file.write_text(script(model), encoding="utf-8")
    command = [str(MICROPYTHON), "-X", f"heapsize={PICO_HEAP}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_outcomes(model, done.stdout)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.timeout(PATIENCE_S + 60)
def test_on_an_emulated_pico(model: str, tmp_path: Path) -> None:
    image = os.environ.get(IMAGE)
    if not image:
        pytest.skip(f"{IMAGE} names no image: the emulated Pico is an optional job")
    program = Path(sys.executable).parent / "rp2040py"
    found = str(program) if program.exists() else shutil.which("rp2040py")
    assert found, "the emulator is missing: pip install rp2040py"
    file = tmp_path / "script.py"
    file.write_text(script(model), encoding="utf-8")
    command = [found, "micropython", "--image", image, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_outcomes(model, done.stdout)
