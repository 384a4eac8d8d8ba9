"""A 64-bit host is not a board: each way in which it lies is brought back by the simulator, or kept out of our code.

One test for each: integers of viper (firmware's fixed-point kernels have a 32-bit reference of their own), floats,
pointers, ticks, dates, epochs. Small integers of 31 bits are no lie: wider ones are right on a board too, only slower.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balise_boards import HEAP_GATES, board_names, load_board
from balise_sim.node import Node

ROOT = Path(__file__).parents[2]
ON_A_NODE = sorted((ROOT / "firmware/balise_node").rglob("*.py")) + [
    ROOT / "wire/balise_wire" / f"{name}.py"
    for name in ("errors", "cbor", "checks", "rice", "readings", "items", "channels", "hkdf", "ccm", "frames", "window")
]
Run = Callable[..., Node]


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def floats(tree: ast.AST) -> list[str]:
    """Float literals, true divisions and calls of float()."""
    found = []
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        division = isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div)
        call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
        if literal or division or call:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def is_viper(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("viper" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_every_viper_kernel_runs_against_a_32_bit_reference() -> None:
    """There, products wrap at 32 bits; here they have 63. A test file that says wrap32 names each kernel."""
    kernels = {function.name for path in ON_A_NODE for function in functions(path) if is_viper(function)}
    references = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    covered = "".join(text for text in references if "wrap32" in text)
    assert not {name for name in kernels if name not in covered}


@pytest.mark.parametrize("path", ON_A_NODE, ids=where)
def test_no_float_on_a_node(path: Path) -> None:
    """A board's float has 24 bits: a time or a pressure would lose its last digits there and not here."""
    assert not floats(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", board_names())
def test_pointers_are_twice_as_wide_so_each_board_says_how_its_heap_is_converted(name: str) -> None:
    board = load_board(name)
    assert board.heap_bytes == int(board.free_heap_bytes * HEAP_GATES[board.heap_gate])


@pytest.mark.parametrize("board", ["esp32", "pico_w"])
def test_ticks_wrap_at_30_bits(run: Run, board: str) -> None:
    node = run(
        "import time\ntime.sleep_ms((1 << 30) - 1500)\na = time.ticks_ms()\ntime.sleep_ms(2000)\nb = time.ticks_ms()\n"
        "print(a > b, time.ticks_diff(b, a))\n",
        board=board,
        for_s=(1 << 30) / 1000 + 10,
    )
    assert node.console.lines[-1][1] == "True 2000"


@pytest.mark.parametrize(("board", "epoch"), [("esp32", 2000), ("pico_w", 1970)])
def test_dates_have_eight_fields_and_the_boards_epoch(run: Run, board: str, epoch: int) -> None:
    node = run("import time\nprint(len(time.gmtime()), time.gmtime(0))\n", board=board)
    weekday = {2000: 5, 1970: 3}[epoch]
    assert node.console.lines[-1][1] == f"8 ({epoch}, 1, 1, 0, 0, 0, {weekday}, 1)"
