"""Where a 64-bit computer would hide what a board shows: numbers.

| matter | here | on a board | kept by |
|---|---|---|---|
| machine code (viper) | 64 bits | 32 bits | each viper function is played with words of 32 bits: test_machine_code... |
| floats | double | single | no float in what runs on a node: test_no_floats... |
| small integers | 63 bits | 31 bits | the vectors on a MicroPython of 32 bits: test_second_interpreter.py |
| memory for pointers | 8 bytes | 4 bytes | the heap gates: tests/boards, and the heap of every VM |
| period of ticks_ms | 2**62 | 2**30 | the overlay wraps: tests/sim/test_vm.py, and a fortnight in test_app_in_vm.py |
| fields of gmtime, epoch | 9, 1970 | 8, the port's | test_each_board_tells_what_it_is in tests/sim/test_vm.py |
"""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.interpreters import ROOT
from node.wrap32 import Word, cut

FIRMWARE, WIRE, TESTS = ROOT / "firmware" / "balise_node", ROOT / "wire" / "balise_wire", ROOT / "tests" / "node"


def imports_of_wire(path: Path) -> set[Path]:
    """The modules of wire that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("balise_wire"):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("balise_wire")}
    files = {WIRE.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    return {file for file in files if file.exists()}


def on_a_node() -> list[Path]:
    """The firmware, and what it imports of wire, and what that imports."""
    found = set(FIRMWARE.rglob("*.py"))
    ahead = list(found)
    while ahead:
        new = imports_of_wire(ahead.pop()) - found
        found |= new
        ahead += new
    return sorted(found)


def floats_in(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"line {line}: {node.value}")
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            found.append(f"line {line}: a division that gives a float")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("float", "round"):
            found.append(f"line {line}: {node.func.id}()")
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and "math" in ast.unparse(node).split():
            found.append(f"line {line}: math")
    return found


def machine_code(path: Path) -> list[str]:
    """The functions that viper or the native emitter compiles."""
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(name in ast.unparse(mark) for mark in node.decorator_list for name in ("viper", "native"))
    ]


def test_what_runs_on_a_node_is_found() -> None:
    names = {path.name for path in on_a_node()}
    assert {"app.py", "sds011.py", "frames.py", "cbor.py", "rice.py"} <= names
    assert "senml.py" not in names


@pytest.mark.parametrize("path", on_a_node(), ids=lambda path: path.stem)
def test_no_floats_on_a_node(path: Path) -> None:
    """Single floats have 24 bits: 1790000000 s is 64 s off. Scaled integers have no such surprises."""
    assert not floats_in(ast.parse(path.read_text(encoding="utf-8")))


def test_the_search_for_floats_finds_them() -> None:
    assert len(floats_in(ast.parse("import math\na = 0.5\nb = a / 2\nb /= 3\nc = float(a) + round(b)"))) == 6
    assert not floats_in(ast.parse("a = 5 // 2 * 3 >> 1"))


def test_machine_code_is_played_with_words_of_32_bits() -> None:
    """A file of tests/node that plays with Words names each module that holds machine code."""
    played = [text for path in TESTS.glob("test_*.py") if "Word(" in (text := path.read_text(encoding="utf-8"))]
    unplayed = [
        path.stem
        for path in FIRMWARE.rglob("*.py")
        if machine_code(path) and not any(path.stem in text for text in played)
    ]
    assert not unplayed


def test_words_are_a_boards() -> None:
    """The first is what an RP2040 gives; here a viper int would give 4900000000."""
    assert Word(70_000) * 70_000 == 605_032_704
    assert Word(2**31 - 1) + 1 == -(2**31)
    assert 1 - Word(-(2**31)) == -(2**31) + 1
    assert -Word(-(2**31)) == -(2**31)
    assert Word(1) << 31 == -(2**31)
    assert Word(-8) >> 1 == -4
    assert isinstance(3 + Word(4) * 2 - 1, Word)
    with pytest.raises(AssertionError, match="32 places"):
        Word(1) << 32


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_words_agree_with_bytes(a: int, b: int) -> None:
    """Another way to cut: through four bytes."""
    for exact, word in ((a + b, Word(a) + b), (a - b, Word(a) - b), (a * b, Word(a) * b), (a ^ b, Word(a) ^ b)):
        assert word == int.from_bytes((exact % 2**32).to_bytes(4, "little"), "little", signed=True) == cut(exact)
    assert (Word(a) & b, Word(a) | b) == (a & b, a | b)
