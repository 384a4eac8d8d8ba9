"""The Debian package, built, unpacked and run on the system's own Python and Debian's own compiled libraries."""

import json
import os
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from balise_sim.processes import free_ports
from gateway.support import PATIENCE_S, program, toml

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run([sys.executable, "packaging/build_deb.py", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder / f"balise_{VERSION}_all.deb"


@pytest.fixture(scope="module")
def home(package: Path) -> Path:
    """Where its environment lies, unpacked elsewhere than it will be."""
    subprocess.run(["dpkg-deb", "-x", str(package), str(package.parent / "root")], check=True)
    return package.parent / "root/usr/lib/balise"


def told(*words: str | Path) -> str:
    return subprocess.run([str(word) for word in words], env=ALONE, check=True, capture_output=True, text=True).stdout


def test_it_is_for_every_architecture(package: Path) -> None:
    assert told("dpkg-deb", "-f", package, "Architecture").strip() == "all"
    depends = told("dpkg-deb", "-f", package, "Depends")
    assert "python3 (>= 3.11)" in depends
    assert "python3-cryptography" in depends
    assert ".cpython-" not in told("dpkg-deb", "-c", package)


def test_its_command_runs_on_debians_python(home: Path) -> None:
    python = home / "bin/python3"
    assert told(python, home / "bin/balise", "--version") == f"balise {VERSION}\n"
    where = told(
        python, "-c", "import cryptography, starlette; print(cryptography.__file__); print(starlette.__file__)"
    )
    compiled, bundled = where.splitlines()
    assert compiled.startswith("/usr/lib/python3")
    assert bundled.startswith(str(home))


def test_its_gateway_runs_on_debians_libraries(home: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = tmp_path / "gateway.toml"
    config.write_text(toml(tmp_path / "data", extra=f"[page]\nport = {port}"), encoding="utf-8")
    words = [str(home / "bin/python3"), "-m", "balise_gateway", str(config)]
    with subprocess.Popen(words, env=ALONE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if "page is served" in line:
                break
        assert process.poll() is None, heard
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=PATIENCE_S) as answer:
            assert json.load(answer)["running"] is True
        process.terminate()
        process.stderr.read()
        assert process.wait(PATIENCE_S) == 0


def test_lintian_finds_no_error(package: Path) -> None:
    words = [program("lintian"), "--fail-on", "error", "--allow-root", str(package)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_each_bundled_library_is_named_with_its_licence(home: Path) -> None:
    text = (home.parents[1] / "share/doc/balise/copyright").read_text(encoding="utf-8")
    for about in (home / "lib/python3/site-packages").glob("*.dist-info"):
        name = about.name.split("-")[0]
        assert name == "balise" or f"/{name.lower()}*" in text.lower(), name
