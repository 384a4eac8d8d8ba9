"""Every module of the links folder keeps the contract that links/__init__.py describes."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "firmware" / "balise_node" / "links"
MODULES = sorted(path for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
METHODS = {"connect": ["self"], "send": ["self", "frame"], "receive": ["self"], "close": ["self"]}


def link_class(path: Path) -> ast.ClassDef:
    classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    (link,) = [node for node in classes if node.name == "Link"]
    return link


def test_there_are_links() -> None:
    assert [path.stem for path in MODULES] == ["ble", "wifi_mqtt"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_link_has_the_contracts_methods_and_no_others(path: Path) -> None:
    methods = [node for node in link_class(path).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    arguments = {node.name: [argument.arg for argument in node.args.args] for node in methods}
    assert arguments.pop("__init__") == ["self", "config", "kid"]
    assert {name: names for name, names in arguments.items() if not name.startswith("_")} == METHODS
    assert all(isinstance(node, ast.AsyncFunctionDef) for node in methods if node.name in METHODS)
