"""The same vectors on a second MicroPython, the 32-bit WebAssembly port: one vanished package does not stop us.

It has no `cryptolib`: cases/aes_stand_in.py takes its place, and is right when the sealed vectors are. It has no viper,
so microphones are not run there; a test says that this is the only reason.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from balise_node.drivers import load
from contracts.found import SENSORS, lines_of, vectors
from contracts.tape import play

ROOT = Path(__file__).parents[2]
LOADER = Path(sys.prefix) / "node/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"
WIRE_CHECKS = ("batches", "frames", "frames", "items", "columns", "cbor", "cbor")
Outcome = dict[str, Any]


def sources() -> dict[str, str]:
    """What is on the board: our packages and the vectors."""
    files = {
        f"/lib/{package}/{path.relative_to(folder).as_posix()}": path
        for package, folder in (
            ("balise_node", ROOT / "firmware/balise_node"),
            ("balise_wire", ROOT / "wire/balise_wire"),
        )
        for path in folder.rglob("*.py")
    }
    files |= {"/lib/tape.py": ROOT / "tests/contracts/tape.py"}
    files |= {"/lib/cryptolib.py": ROOT / "tests/node/cases/aes_stand_in.py"}
    files |= {"/lib/node_vectors.py": ROOT / "tests/wire/node_vectors.py"}
    files |= {f"/wire/{path.name}": path for path in (ROOT / "wire/vectors").glob("*.json")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    return texts | {f"/sensors/{model}": lines_of(model) for model in SENSORS}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What each script printed: one process for all, a VM of its own for each."""
    node = shutil.which("node")
    assert node, "no node program: `sh ./set-up programs` installs it"
    assert LOADER.exists(), f"{LOADER} is missing: `sh ./set-up programs` installs it"
    scripts = {"version": "import sys; print(sys.version)"}
    scripts |= {model: f"import tape; tape.main({model!r}, '/sensors/{model}')" for model in SENSORS}
    scripts |= {
        f"wire {check}": f"import node_vectors; print(node_vectors.main('/wire', {check}))"
        for check in range(len(WIRE_CHECKS))
    }
    jobs = tmp_path_factory.mktemp("wasm") / "jobs.json"
    jobs.write_text(json.dumps({"files": sources(), "scripts": list(scripts.values())}), encoding="utf-8")
    command = [node, str(ROOT / "tests/node/wasm.mjs"), str(LOADER), str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(scripts, map(json.loads, done.stdout.splitlines()), strict=True))


def test_it_is_another_micropython(outcomes: dict[str, Outcome]) -> None:
    assert "MicroPython" in outcomes["version"]["out"][0]


@pytest.mark.parametrize("model", SENSORS)
def test_drivers(outcomes: dict[str, Outcome], model: str) -> None:
    told = outcomes[model]
    if load(model).BUS == "i2s":  # sound is weighted in machine code, which this port cannot make
        assert "invalid micropython decorator" in told["error"]
        return
    assert told["error"] is None, outcomes["version"]
    ours = [json.loads(json.dumps(play(model, vectors(model), case))) for case in vectors(model)["cases"]]
    assert [json.loads(line) for line in told["out"]] == ours


@pytest.mark.parametrize("check", range(len(WIRE_CHECKS)))
def test_wire(outcomes: dict[str, Outcome], check: int) -> None:
    told = outcomes[f"wire {check}"]
    assert told["error"] is None, outcomes["version"]
    assert told["out"][0].startswith(f"{WIRE_CHECKS[check]}.json ")
    assert told["out"][-1] == "0", told["out"]
