"""Parts that are found by name: one module in a folder is one kind, its file's stem is the name.

Promises that adding a kind edits no existing line. A module whose name begins with _ is a folder's own, and no kind.
Leaves each contract to its folder's `__init__`.
"""

import importlib
import pkgutil
from types import ModuleType


def kinds(package: ModuleType) -> list[str]:
    """The names of all parts in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))


def load(package: ModuleType, kind: str) -> ModuleType:
    """The module of one kind; ask `kinds` first."""
    return importlib.import_module(f"{package.__name__}.{kind}")
