"""No audio sample leaves a node's memory: no code for it, and none of it in flash, on the air or on the console."""

import ast
from array import array
from collections.abc import Iterable
from pathlib import Path

import pytest

from balise_sim.devices.inmp441 import Model
from node.interpreters import ROOT
from node.test_noise import listening

NODE = ROOT / "firmware/balise_node"
LISTENERS = [*sorted((NODE / "sound").glob("*.py")), NODE / "drivers/_microphone.py"]
MAY_IMPORT = {"array", "micropython", "asyncio.StreamReader", "asyncio.sleep_ms", "balise_node.drivers.SensorError"}
MAY_IMPORT_FROM = "balise_node.sound"
FORBIDDEN = {
    *("open", "print", "exec", "eval", "input", "__import__", "getattr", "globals", "vars", "compile"),
    *("write", "send", "sendto", "sendall", "connect", "publish", "append", "extend", "tobytes", "hex", "drain"),
}
SOUND = {"words", "_sums", "_filters"}  # what holds samples, or sums of few of them


def trees(paths: Iterable[Path]) -> list[tuple[str, ast.Module]]:
    return [(path.relative_to(NODE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def imported(tree: ast.Module) -> set[str]:
    """What a module imports when it runs (not for type checkers)."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def names(tree: ast.AST) -> set[str]:
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return named | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(("where", "tree"), trees(LISTENERS))
def test_who_hears_has_no_way_out(where: str, tree: ast.Module) -> None:
    """No module that writes, stores or sends is imported, and nothing is called that could."""
    for name in imported(tree):
        allowed = name in MAY_IMPORT or name.startswith((MAY_IMPORT_FROM, "micropython.", "array."))
        assert allowed, f"{where} imports {name}"
    assert not names(tree) & FORBIDDEN, where


@pytest.mark.parametrize(("where", "tree"), trees(LISTENERS))
def test_nothing_gives_samples_back(where: str, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None:
            assert not names(node.value) & SOUND, f"{where}:{node.lineno}"


def test_nobody_else_touches_what_holds_samples() -> None:
    """The buffer belongs to the meter, and the driver that fills it; the rest of the node does not know the meter."""
    others = [path for path in NODE.rglob("*.py") if path not in LISTENERS]
    for where, tree in trees(others):
        touched = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {
            "words",
            "_filters",
            "_meter",
        }
        assert not touched, f"{where} uses {touched}"
        assert not any(name.startswith(MAY_IMPORT_FROM) for name in imported(tree)), where


def forms(words: "array[int]") -> set[bytes]:
    """Runs of samples as they could be kept: 32, 24 and 16 bits, both byte orders; eight bytes of each."""
    found: set[bytes] = set()
    for step, start in ((4, 0), (3, 1), (2, 2)):
        little = b"".join(word.to_bytes(4, "little", signed=True)[start:] for word in words)
        big = b"".join(word.to_bytes(4, "big", signed=True)[:step] for word in words)
        for data in (little, big):
            found |= {data[at : at + 8] for at in range(0, len(data) - 8, step)}
    return {run for run in found if len(set(run)) > 3}  # a run of zeros is no sound


def leaks(haystack: bytes, needles: set[bytes]) -> list[int]:
    return [at for at in range(len(haystack) - 7) if haystack[at : at + 8] in needles]


def test_the_search_finds_what_it_looks_for() -> None:
    words = array("i", Model().words(0, (0, 48_000), 9600, 4800))
    needles = forms(words)
    raw = words.tobytes()
    assert leaks(b"x" * 7 + raw[400:420] + b"y" * 9, needles)
    assert leaks(b"".join(raw[at + 2 : at + 4] for at in range(800, 840, 4)), needles)
    assert not leaks(bytes(range(256)) * 10 + bytes(100), needles)


def test_no_run_of_samples_is_in_flash_or_on_the_air(tmp_path: Path) -> None:
    """A known street; frames are opened first, for sealed they would hide anything."""
    with listening(tmp_path, 70.0, period_s=20) as yard:
        yard.run(0.8)
        yard.node.link.down("wifi")  # rows wait in flash
        yard.run(0.5)
        files = b"\0".join(p.read_bytes() for p in sorted(yard.root.rglob("*")) if p.is_file() and "lib" not in p.parts)
        air = b"\0".join(payload for _, payload in yard.peer.received)
        opened = b"\0".join(repr(frame).encode() for frame in yard.peer.frames.values())
        console = "\n".join(line for _, line in yard.node.console.lines).encode()
        assert len(yard.kept()) >= 2
        device = yard.node.bench.devices["inmp441"]
        assert isinstance(device, Model)
        needles = forms(array("i", device.words(0, (0, 48_000), 9600, 4800)))
        for haystack in (files, air, opened, console):
            assert haystack
            assert not leaks(haystack, needles)
        integers = [value for row in yard.peer.rows() for value in row.values if value is not None]
        heard = {word >> 8 for word in array("i", device.words(0, (0, 48_000), 9600, 4800))} - set(range(-2000, 2000))
        assert not heard & set(integers)
