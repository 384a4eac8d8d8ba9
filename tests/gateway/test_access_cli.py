"""`balise gateway access`, as a host types it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway.api import access
from balise_tools.gateway import app
from gateway.support import toml

ADD = ["access", "add", "Mairie", "--channels", "pm*,temperature", "--purpose", "public-policy"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "gateway.toml"
    file.write_text(toml(tmp_path), encoding="utf-8")
    return str(file)


def run(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, list(words))
    return found.exit_code, found.output


def test_a_key_is_given_listed_and_revoked(config: str, tmp_path: Path) -> None:
    assert run("access", "list", "-c", config) == (0, "no keys: nobody reads through the API\n")
    code, said = run(*ADD, "--licence", "CC-BY-4.0", "-c", config)
    assert code == 0
    token = said.splitlines()[-1]
    (key,) = access.read(tmp_path / "data") if (tmp_path / "data").exists() else access.read(tmp_path)
    assert token.startswith(f"balise_{key.id}_")
    code, said = run("access", "list", "-c", config)
    assert f"{key.id}  Mairie: */pm*,temperature, windows of 3600 s, public-policy, CC-BY-4.0, until" in said
    assert run("access", "revoke", key.id, "-c", config) == (0, f"key {key.id} is revoked\n")
    code, said = run("access", "revoke", key.id, "-c", config)
    assert code == 2
    assert "there is none" in said


def test_a_wrong_scope_is_told_with_its_choices(config: str) -> None:
    code, said = run(*ADD, "--licence", "MIT", "-c", config)
    assert code == 2
    assert "CC-BY-4.0" in said
    code, said = run("access", "add", "x", "--channels", "*", "--purpose", "fun", "--licence", "CC0-1.0", "-c", config)
    assert code == 2
    assert "public-information" in said
