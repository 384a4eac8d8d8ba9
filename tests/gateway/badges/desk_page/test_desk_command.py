"""`balise badge desk`: opened, listed, closed, handed in."""

from pathlib import Path

from typer.testing import CliRunner

from balise_gateway.badges.desk_page.places import folder_of
from balise_gateway.badges.federation.table_cache import TableCache
from balise_tools.badge import app as commands
from balise_wire.places import sign_table
from gateway.badges.federation.places import FEDERATION, HOST, table
from gateway.badges.federation.test_federation_cli import config

GUEST, SITE = "guest.example", "https://host.example"


def test_a_desk_is_opened_listed_closed_and_handed_in(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        found = CliRunner().invoke(commands, ["desk", *words, "-c", str(config(tmp_path))])
        return found.exit_code, found.output

    assert run("list") == (0, "no desks\n")
    code, said = run("add", GUEST, "--name", "Le Hangar")
    assert code == 0
    assert said.splitlines()[-1].startswith("balise_desk_")
    assert run("list") == (0, f"{GUEST}  Le Hangar: open\n")
    assert (folder_of(tmp_path / "data", GUEST) / "home.key").stat().st_mode & 0o777 == 0o600
    code, said = run("card", GUEST, "--url", SITE)
    assert code == 0
    assert f'lists = "{SITE}/badge/v1/of/{GUEST}/lists"' in said
    assert run("close", GUEST) == (0, f"the desk of {GUEST} is closed\n")
    assert run("close", GUEST)[0] == 1
    assert run("card", "nobody.example")[0] == 1
    assert run("add", "../etc")[0] == 2


def test_a_place_that_has_a_gateway_of_its_own_gets_no_desk_here(tmp_path: Path) -> None:
    file = config(tmp_path, key=FEDERATION.public_key.hex())
    cache = TableCache(tmp_path / "data", FEDERATION.public_key)
    cache.take(sign_table(FEDERATION, table(1)))
    words = ["desk", "add", HOST, "-c", str(file)]
    told = CliRunner().invoke(commands, words)
    assert told.exit_code == 1
    assert f"{HOST} has a gateway of its own" in told.output
    assert not (folder_of(tmp_path / "data", HOST)).exists()
