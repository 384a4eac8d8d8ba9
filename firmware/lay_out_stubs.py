"""Lays out the installed MicroPython stubs as mypy wants them: one folder that is typeshed and module path at once.

The two stub packages install into site-packages, where mypy accepts neither a typeshed nor top-level stub modules.
Usage: python firmware/lay_out_stubs.py FOLDER (made anew, links only).
"""

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

PACKAGES = ("micropython-esp32-stubs", "micropython-stdlib-stubs")


def lay_out(folder: Path) -> int:
    """Link every stub of the two packages into the folder; returns how many."""
    shutil.rmtree(folder, ignore_errors=True)
    links = 0
    for package in PACKAGES:
        for file in importlib.metadata.files(package) or ():
            link = folder / file
            if (file.suffix != ".pyi" and file.name != "VERSIONS") or link.exists():
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(Path(str(file.locate())).resolve(), link)
            links += 1
    return links


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python firmware/lay_out_stubs.py FOLDER")
    if not lay_out(Path(sys.argv[1])):
        sys.exit("No MicroPython stubs are installed here. Try: pip install -e '.[dev]'")
