"""Runs node code under a real MicroPython, beside the same code under CPython."""

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
sys.path.append(str(CASES))  # cases import each other by their plain names, as they do on MicroPython
MICROPYTHON = Path(sys.executable).parent / "micropython"
BOTH = ("cpython", "micropython")


def micropython(script: str, *arguments: str, heap: str = "100wK") -> str:
    """Run a script under MicroPython with our code on its path and a board's heap; returns what it printed."""
    path = ":".join(str(folder) for folder in (CASES, ROOT / "firmware", ROOT / "wire"))
    command = [str(MICROPYTHON), "-X", f"heapsize={heap}", "-c", textwrap.dedent(script), *arguments]
    done = subprocess.run(
        command, env={**os.environ, "MICROPYPATH": path + ":.frozen"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_case(interpreter: str, module: str, case: str, folder: Path) -> None:
    """Run cases/<module>.py's function, which takes a folder to write in and asserts."""
    if interpreter == "cpython":
        getattr(importlib.import_module(module), case)(str(folder))
    else:
        micropython(f"import {module}\n{module}.{case}({str(folder)!r})")


def names_of_cases(module: str) -> list[str]:
    """The functions of cases/<module>.py that are cases."""
    found = importlib.import_module(module)
    return [name for name in vars(found) if name.startswith("case_")]
