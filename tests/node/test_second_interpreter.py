"""Drivers and wire under another MicroPython: of 32 bits, from another package, so that no single one is needed.

Its integers are those of a board: beyond 31 bits they are big ones, as there and not as on a 64-bit computer.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.found import SENSORS, vectors
from contracts.test_driver import differences
from node.interpreters import ROOT

RUN = Path(__file__).parent / "second" / "run.mjs"
PACKAGE = Path(sys.prefix) / "node" / "node_modules" / "@micropython" / "micropython-webassembly-pyscript"
PLACES = {
    "firmware": "/firmware",
    "wire/balise_wire": "/wire/balise_wire",
    "wire/vectors": "/vectors/wire",
    "tests/wire": "/tests/wire",
    "tests/contracts": "/tests/contracts",
    "tests/node/vectors": "/vectors/drivers",
    "tests/node/second": "/second",
}
PATHS = ["/firmware", "/wire", "/tests/wire", "/tests/contracts", "/second", ".frozen"]


ALL_DRIVERS = """
import tape
for model in {models!r}:
    print(model)
    try:
        tape.main(model, "/vectors/drivers/" + model + ".json")
    except SyntaxError as error:
        assert "decorator" in str(error), error
"""


def second(code: str) -> str:
    """What the code prints there."""
    node = shutil.which("node")
    if node is None or not (PACKAGE / "micropython.mjs").exists():
        pytest.fail("the second MicroPython is not installed: run `sh ./set-up programs`")
    mounts = [f"{ROOT / folder}={place}" for folder, place in PLACES.items()]
    whole = f"import sys\nsys.path[:] = {PATHS!r}\n{code}"
    done = subprocess.run(
        [node, str(RUN), str(PACKAGE), whole, *mounts], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_a_micropython_of_32_bits() -> None:
    assert "MicroPython v1." in second("print(sys.version)")
    assert second("print(sys.maxsize, sys.implementation.name)") == f"{2**31 - 1} micropython\n"


def test_what_goes_wrong_there_is_told() -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        second("1 / 0")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[dict[str, Any]]]:
    """What each case of each sensor's vectors gives, from one run."""
    told = second(ALL_DRIVERS.format(models=SENSORS))
    found: dict[str, list[dict[str, Any]]] = {}
    model = ""
    for line in told.splitlines():
        if line.startswith("{"):
            found[model].append(json.loads(line))
        else:
            model = line
            found[model] = []
    return found


@pytest.mark.parametrize("model", SENSORS)
def test_drivers(model: str, outcomes: dict[str, list[dict[str, Any]]]) -> None:
    cases = vectors(model)["cases"]
    if not outcomes[model]:
        pytest.skip("it is made of machine code (viper), which this build has not")
    assert [outcome["why"] for outcome in outcomes[model]] == [case["why"] for case in cases]
    for case, outcome in zip(cases, outcomes[model], strict=True):
        assert not differences(case, outcome), case["why"]


def test_the_wire() -> None:
    code = (
        "import node_vectors\nfor n in range(len(node_vectors.CHECKS)):\n"
        "    print(node_vectors.main('/vectors/wire', n))\n"
    )
    lines = second(code).splitlines()
    assert lines[1::2] == ["0"] * (len(lines) // 2), lines
    assert len(lines) >= 14


def test_its_cipher_is_that_of_the_standard() -> None:
    """FIPS 197, appendix C.1: it stands in for what this build lacks."""
    code = "import cryptolib\nprint(cryptolib.aes(bytes(range(16)), 1).encrypt(bytes(17 * n for n in range(16))).hex())"
    assert second(code) == "69c4e0d86a7b0430d8cdb78070b4c55a\n"
