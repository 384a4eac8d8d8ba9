"""What the tests of this room share: the vector files, a test signer, the MicroPython program, the fuzz settings."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from balise_wire.envelope import Signer

ROOT = Path(__file__).parents[2]

# The same examples in every run, and no limit on time: a slow machine must not fail a correct decoder.
settings.register_profile(
    "steady", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Reads a file of wire/vectors."""

    def load(name: str) -> Any:
        return json.loads((ROOT / "wire" / "vectors" / name).read_text(encoding="utf-8"))

    return load


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer(bytes(range(32)))


@pytest.fixture(scope="session")
def micropython() -> str:
    """The program of the [dev] extra, beside this Python or on the path."""
    found = shutil.which("micropython", path=str(Path(sys.executable).parent)) or shutil.which("micropython")
    if found is None:
        pytest.fail("no micropython program: pip install -e '.[dev]'")
    return found
