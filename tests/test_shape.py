"""Small enough to read standing up: limits on modules, functions, nesting and arguments."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_NESTING, MAX_ARGUMENTS = 400, 60, 3, 6
TABLES: set[str] = set()  # generated files and tables that may be longer, by name
NESTERS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def sources() -> list[Path]:
    rooms = [p for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted(p for room in rooms for p in room.rglob("*.py"))


def nesting(node: ast.AST, depth: int = 0) -> int:
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        elif_branch = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        step = 1 if isinstance(child, NESTERS) and not elif_branch else 0
        deepest = max(deepest, nesting(child, depth + step))
    return deepest


def faults_of(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    where, faults = path.relative_to(ROOT).as_posix(), []
    lines = text.count("\n")
    if lines > MAX_MODULE_LINES and where not in TABLES:
        faults.append(f"{where}: {lines} lines")
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > MAX_FUNCTION_LINES:
            faults.append(f"{where}:{node.lineno} {node.name}: {length} lines")
        if nesting(node) > MAX_NESTING:
            faults.append(f"{where}:{node.lineno} {node.name}: nested {nesting(node)} deep")
        count = len(node.args.posonlyargs + node.args.args) - (
            node.args.args[:1] != [] and node.args.args[0].arg == "self"
        )
        if count > MAX_ARGUMENTS:
            faults.append(f"{where}:{node.lineno} {node.name}: {count} arguments")
    return faults


@pytest.mark.parametrize("path", sources(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_shape(path: Path) -> None:
    assert not faults_of(path)
