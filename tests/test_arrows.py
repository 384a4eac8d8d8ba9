"""Who may import whom: the table of rooms in ARCHITECTURE.md, read from the code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALL = {"balise_wire", "balise_node", "balise_gateway", "balise_boards", "balise_sim", "balise_tools"}
ROOMS = {
    "wire/balise_wire": set(),
    "firmware/balise_node": {"balise_wire"},
    "gateway/balise_gateway": {"balise_wire"},
    "boards/balise_boards": set(),
    "sim/balise_sim": {"balise_wire", "balise_boards"},
    "tools/balise_tools": ALL,
}
GUESTS = {"sim/balise_sim/street.py": {"balise_gateway"}}  # the one module that hosts the gateway


def ours_imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return {name.split(".")[0] for name in names} & ALL


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_row_allows(room: str) -> None:
    own = room.split("/")[1]
    for path in sorted((ROOT / room).rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        allowed = ROOMS[room] | {own} | GUESTS.get(where, set())
        wrong = ours_imported_by(path) - allowed
        assert not wrong, f"{where} imports {sorted(wrong)}; {own} may import {sorted(ROOMS[room])}"


def test_every_package_is_a_room() -> None:
    packages = {p.parent.relative_to(ROOT).as_posix() for p in ROOT.glob("*/balise_*/__init__.py")}
    assert packages == set(ROOMS)
