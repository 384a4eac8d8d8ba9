"""A Python in which only `pip install balise` was run: no library of any extra can be imported, and who tried is told.

Used by the contract suites: a part whose library is missing says what brings it, and everything else goes on.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 120
# What `dependencies` in pyproject.toml brings, and what these bring themselves.
BASE = ("cbor2", "_cbor2", "cryptography", "cffi", "_cffi_backend", "typer", "rich", "click", "shellingham")
BASE += ("markdown_it", "mdurl", "pygments", "typing_extensions", "annotated_doc")
PREAMBLE = f"""
import json, sys
wanted = []  # what was looked for and is not there
class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top.startswith(("balise_", "_sysconfigdata")) or top in {BASE!r}:
            return None
        if top != "org":  # what `copy` of the standard library looks for, in case it is Java's
            wanted.append(top)
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Bare())
"""


@dataclass(frozen=True)
class Told:
    """What a script has printed, as JSON on its last line, and which libraries it missed."""

    said: Any
    wanted: list[str]


def program(script: str) -> list[str]:
    """The command that runs this script there; arguments may follow."""
    return [sys.executable, "-c", PREAMBLE + script]


def told(script: str, *words: str | Path) -> Told:
    """Runs a script that calls `tell(something)` at its end."""
    tell = "def tell(said): print(json.dumps([said, wanted]))\n"
    command = [*program(tell + script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return Told(*json.loads(done.stdout.splitlines()[-1]))
