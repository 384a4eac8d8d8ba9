"""The wheel, in an environment of its own, as pipx makes one; what it needs comes from this one, not from an index."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def told(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*words, "--wheel-dir", str(folder), str(ROOT)], check=True, env=ALONE)
    (made,) = folder.glob("balise-*.whl")
    return made


def test_it_holds_what_is_not_python_too(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in ("journal/schema_1.sql", "journal/schema_2.sql", "py.typed"):
        assert f"balise_gateway/{needed}" in names


def test_its_command_runs_where_it_was_installed_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "home", with_pip=False, symlinks=True)
    python = tmp_path / "home/bin/python"
    (packages,) = (tmp_path / "home").glob("lib/*/site-packages")
    words = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    told(*words)
    (packages / "needed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    found = told(python, "-c", "import balise_gateway; print(balise_gateway.__file__)")
    assert found.startswith(str(packages))
    assert told(tmp_path / "home/bin/balise", "--version") == f"balise {VERSION}\n"
    planned = told(tmp_path / "home/bin/balise", "gateway", "install", "--dry-run", "--root", tmp_path / "card")
    assert "would write the unit" in planned
