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


def test_a_place_with_badges_runs_without_the_libraries_of_its_extras(home: Path, tmp_path: Path) -> None:
    """Which Debian does not bring: a reader that needs one says so, the place runs all the same."""
    (port,) = free_ports(1)
    config = tmp_path / "gateway.toml"
    reader = '[[reader]]\nkind = "keyboard_wedge"\npath = "/dev/input/nothing"\n[[output]]\nkind = "screen_page"\n'
    text = f'[gateway]\ndata_dir = "{tmp_path / "data"}"\n[page]\nport = {port}\n'
    config.write_text(f'{text}[badge]\nplace = "coroutine.example"\n{reader}', encoding="utf-8")
    words = [str(home / "bin/python3"), "-m", "balise_gateway", str(config)]
    with subprocess.Popen(words, env=ALONE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if "page is served" in line:
                break
        assert process.poll() is None, heard
        badge: object = None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=PATIENCE_S) as answer:
            badge = json.load(answer)["badge"]
        process.terminate()
        process.stderr.read()
        assert process.wait(PATIENCE_S) == 0
    assert isinstance(badge, dict)
    assert badge["place"] == "coroutine.example"


def test_what_the_package_does_at_an_upgrade_works_with_badges_configured(home: Path, tmp_path: Path) -> None:
    (tmp_path / "etc/balise").mkdir(parents=True)
    kinds = '[[reader]]\nkind = "pcsc"\n[[reader]]\nkind = "pn532"\npath = "/dev/serial0"\n'
    config = f'[gateway]\ndata_dir = "/var/lib/balise"\n[badge]\nplace = "coroutine.example"\n{kinds}'
    (tmp_path / "etc/balise/gateway.toml").write_text(config, encoding="utf-8")
    said = told(home / "bin/python3", home / "bin/balise", "gateway", "install", "--root", tmp_path)
    assert "let balise ask pcscd for cards" in said
    assert (tmp_path / "etc/systemd/system/balise-gateway.service").exists()


def test_it_suggests_what_debian_has_for_badges(package: Path) -> None:
    suggested = told("dpkg-deb", "-f", package, "Suggests")
    assert {"pcscd", "python3-pyscard", "python3-serial"} <= {name.strip() for name in suggested.split(",")}


def test_pip_puts_more_into_its_environment_and_not_into_debians(home: Path) -> None:
    where = told(home / "bin/python3", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    assert where.startswith(str(home))


def test_lintian_finds_no_error(package: Path) -> None:
    words = [program("lintian"), "--fail-on", "error", "--allow-root", str(package)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_each_bundled_library_is_named_with_its_licence(home: Path) -> None:
    text = (home.parents[1] / "share/doc/balise/copyright").read_text(encoding="utf-8")
    for about in (home / "lib/python3/site-packages").glob("*.dist-info"):
        name = about.name.split("-")[0]
        assert name == "balise" or f"/{name.lower()}*" in text.lower(), name
