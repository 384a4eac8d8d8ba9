"""Every public name of an overlay, and every parameter, is one that the board's firmware has."""

import ast
from pathlib import Path
from sysconfig import get_path

import pytest

OVERLAYS = Path(__file__).parents[2] / "sim" / "balise_sim" / "overlays"
STUBS = Path(get_path("purelib"))
FILES = {
    "machine": ("machine", "_i2s", "_pins", "_ports", "_spi", "_timers"),
    "network": ("network",),
    "select": ("select",),
    "socket": ("socket",),
    "time": ("time",),
}
# What boards have and the stubs do not describe, or describe for one port only
UNDESCRIBED = {
    ("machine", "Timer", "fire"): "called by the bridge only",
    ("machine", "I2S", "fire"): "called by the bridge only",
    ("socket", "socket", "fileno"): "described without parameters",
    ("machine", "Pin", "init"): "described with its own order of keywords",
}
Signatures = dict[str, set[str]]


def parameters(function: ast.FunctionDef) -> set[str]:
    spec = function.args
    names = {argument.arg for argument in spec.posonlyargs + spec.args + spec.kwonlyargs} - {"self"}
    return names | ({"*"} if spec.vararg else set()) | ({"**"} if spec.kwarg else set())


def signatures(body: list[ast.stmt], known: dict[str, Signatures]) -> Signatures:
    """Name to parameters of all its overloads; classes are followed by `signatures_of`."""
    found: Signatures = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, set()).update(parameters(node))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            found.update({name: {"*"} for name in names if name not in found})
        elif isinstance(node, ast.ClassDef):
            inner = signatures(node.body, known)
            for base in node.bases:
                inner = known.get(ast.unparse(base), {}) | inner
            known[node.name] = inner
    return found


def described(path: Path) -> tuple[Signatures, dict[str, Signatures]]:
    classes: dict[str, Signatures] = {}
    functions = signatures(ast.parse(path.read_text(encoding="utf-8")).body, classes)
    return functions, classes


def strange(ours: Signatures, theirs: Signatures, where: tuple[str, ...]) -> list[str]:
    """Names and parameters of ours that are not theirs; parameters of theirs may be any when it says *args."""
    found = []
    for name, names in ours.items():
        if (name.startswith("_") and name != "__init__") or (*where, name) in UNDESCRIBED:
            continue
        if name not in theirs:
            found.append(".".join((*where, name)))
        elif not {"*", "**"} & (theirs[name] | names):
            found += [f"{'.'.join((*where, name))}({extra})" for extra in names - theirs[name]]
    return found


@pytest.mark.parametrize("module", FILES)
def test_names_and_parameters_are_the_boards(module: str) -> None:
    stub = STUBS / f"{module}.pyi"
    if not stub.exists():
        pytest.skip("micropython-esp32-stubs is not installed")
    functions, classes = described(stub)
    found = []
    for name in FILES[module]:
        our_functions, our_classes = described(OVERLAYS / f"{name}.py")
        found += strange(our_functions, functions, (module,)) if name == module else []
        for class_name, methods in our_classes.items():
            assert class_name in classes, f"{module} has no class {class_name}"
            found += strange(methods, classes[class_name], (module, class_name))
    assert not found


def test_both_ends_of_the_bridge_number_ops_alike() -> None:
    from balise_sim.bridge import Op

    tree = ast.parse((OVERLAYS / "_bridge.py").read_text(encoding="utf-8"))
    numbers = {
        node.targets[0].id: node.value.args[0].value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.args[0], ast.Constant)
    }
    assert {op.name: op.value for op in Op} == {name: numbers[name] for name in Op.__members__}
