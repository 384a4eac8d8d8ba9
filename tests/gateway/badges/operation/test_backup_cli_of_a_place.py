"""`balise gateway backup` and `restore` at a place: what people are asked, and told."""

import asyncio
import shutil
from pathlib import Path

from typer.testing import CliRunner, Result

from balise_gateway import backup
from balise_gateway.badges.register import Register
from balise_tools.gateway import app
from gateway.badges.places import places

HERE = "coroutine.example"
PASSPHRASE = "correct horse battery\n"


def run(folder: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, [*words, "-c", str(folder / "gateway.toml")], input=typed)


def test_a_place_is_saved_and_restored_by_two_commands(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE) as made:
            (here,) = made.values()
            here.member("anne")

    asyncio.run(scene())
    data_dir, file = tmp_path / HERE, tmp_path / "b.zip"
    text = f'[gateway]\ndata_dir = "{data_dir}"\nclock_uncertainty_ms = 20\n[badge]\nplace = "{HERE}"\n'
    (tmp_path / "gateway.toml").write_text(text, encoding="utf-8")
    done = run(tmp_path, "backup", str(file), "--with-key", typed=PASSPHRASE * 2)
    assert done.exit_code == 0, done.output
    assert "with signing.key, place.key, home.key" in done.output
    assert "register.db" in done.output
    assert "it holds members and cards" in done.output
    assert backup.last_with_key_ms(data_dir) is not None
    shutil.rmtree(data_dir)
    done = run(tmp_path, "restore", str(file), typed="wrong horse battery\n")
    assert done.exit_code == 1
    assert not list(data_dir.glob("*.db"))
    done = run(tmp_path, "restore", str(file), typed=PASSPHRASE)
    assert done.exit_code == 0, done.output
    assert "cards that were ended after the backup count again" in done.output
    assert "anne" not in done.output
    with Register(data_dir, lambda uid: uid) as register:
        assert [member.id for member in register.members()] == ["anne"]
    assert run(tmp_path, "restore", str(file)).exit_code == 1  # never over what is there
    done = run(tmp_path, "restore", str(file), "--replace")  # no passphrase: the keys are there
    assert done.exit_code == 0, done.output
    assert f"{data_dir / 'register.db.replaced-1'}: set aside" in done.output


def test_without_the_keys_it_says_which_must_be_kept_elsewhere(tmp_path: Path) -> None:
    async def scene() -> None:
        async with places(tmp_path, HERE):
            pass

    asyncio.run(scene())
    text = f'[gateway]\ndata_dir = "{tmp_path / HERE}"\n[badge]\nplace = "{HERE}"\n'
    (tmp_path / "gateway.toml").write_text(text, encoding="utf-8")
    done = run(tmp_path, "backup", str(tmp_path / "b.zip"))
    assert "without signing.key, place.key, home.key: keep a copy of that elsewhere" in done.output
    assert backup.last_with_key_ms(tmp_path / HERE) is None
