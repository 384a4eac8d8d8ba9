"""`balise badge table`, `place` and `lists`, as people type them."""

import dataclasses
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balise_gateway.badges.cards import keys
from balise_gateway.badges.federation.home_lists import Card, HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.register import Member, Register
from balise_tools.badge import app
from balise_wire.envelope import Signer
from balise_wire.places import sign_table
from gateway.badges.federation.places import FEDERATION, HOME, KEYS, PARIS, Cards, place, table

TOML = '[gateway]\ndata_dir = "data"\n[badge]\nplace = "{}"\nname = "Chez nous"\ntable_key = "{}"\n'


def run(*words: object) -> tuple[int, str]:
    found = CliRunner().invoke(app, [str(word) for word in words])
    return found.exit_code, found.output


def config(folder: Path, name: str = HOME, key: str = "00" * 32) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "gateway.toml"
    file.write_text(TOML.format(name, key), encoding="utf-8")
    return file


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    """A table of two places that handed in their cards, and the public key that it says."""
    told = [run("place", "card", "-c", config(tmp_path / name, name)) for name in (HOME, "host.example")]
    assert [code for code, _ in told] == [0, 0]
    (tmp_path / "places.toml").write_text("\n".join(text for _, text in told), encoding="utf-8")
    words = ("table", "make", tmp_path / "places.toml", "--key", tmp_path / "fed.key", "--out", tmp_path / "t.cose")
    code, said = run(*words)
    assert code == 0
    return tmp_path, said.rpartition(" = ")[2].strip()


def test_a_table_is_made_of_what_places_hand_in_and_is_brought_to_one(made: tuple[Path, str]) -> None:
    folder, key = made
    assert (folder / "fed.key").stat().st_mode & 0o777 == 0o600
    code, shown = run("table", "show", folder / "t.cose", "--key", key)
    assert code == 0
    assert "# number 1" in shown
    assert 'lists = "https://host.example/badge/v1/lists"' in shown
    there = config(folder / HOME, HOME, key)
    assert run("table", "import", folder / "t.cose", "-c", there) == (0, "taken: table 1 with 2 places\n")
    assert run("table", "import", folder / "t.cose", "-c", there)[1].startswith("held already")


def test_a_number_rises_by_itself_and_never_falls(made: tuple[Path, str]) -> None:
    folder, key = made
    words = ("table", "make", folder / "places.toml", "--key", folder / "fed.key", "--out", folder / "t.cose")
    assert run(*words)[1].startswith("table 2 ")
    code, said = run(*words, "--number", 2)
    assert code == 1
    assert "has number 2 already" in said
    assert "# number 2" in run("table", "show", folder / "t.cose", "--key", key)[1]


def test_a_table_of_another_key_is_not_shown_nor_brought(made: tuple[Path, str]) -> None:
    folder, _ = made
    other = Signer(bytes(32)).public_key.hex()
    code, said = run("table", "show", folder / "t.cose", "--key", other)
    assert (code, "unknown key" in said) == (1, True)
    code, said = run("table", "import", folder / "t.cose", "-c", config(folder / HOME, HOME, other))
    assert (code, "unknown key" in said) == (1, True)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("[[place]]\n", "place 1: the key"),
        ('x = 1\n[[place]]\nid = "a.b"\n', "write [[place]] once for each place"),
        ("[[place\n", "places.toml"),
    ],
)
def test_a_wrong_places_file_is_told_where(tmp_path: Path, wrong: str, told: str) -> None:
    (tmp_path / "places.toml").write_text(wrong, encoding="utf-8")
    words = ("table", "make", tmp_path / "places.toml", "--key", tmp_path / "k", "--out", tmp_path / "t.cose")
    code, said = run(*words)
    assert code == 1
    assert told in said
    assert not (tmp_path / "t.cose").exists()


def test_a_list_is_brought_on_a_stick_and_its_age_shown(tmp_path: Path) -> None:
    here = config(tmp_path / "host", "host.example", FEDERATION.public_key.hex())
    run("place", "card", "-c", here)  # makes the keys
    own = keys.load(tmp_path / "host" / "data")
    host = dataclasses.replace(place("host.example"), box=own.box_public)
    places = TableCache(tmp_path / "home", FEDERATION.public_key)
    places.take(sign_table(FEDERATION, table(1, [place(HOME), host])))
    (tmp_path / "t.cose").write_bytes(places.signed())
    run("table", "import", tmp_path / "t.cose", "-c", here)
    home = HomeLists(tmp_path / "home", HOME, KEYS[HOME], Cards(Card("0000000001", "anne")), lambda: places.table)
    old_s = int(time.time()) - 8 * 86_400
    (tmp_path / "stick.list").write_bytes(home.message("host.example", 0, old_s, PARIS))
    assert run("lists", "show", "-c", here) == (0, f"{HOME}: no list\n")
    assert run("lists", "import", tmp_path / "stick.list", "-c", here) == (0, "stick.list: taken\n")
    assert run("lists", "show", "-c", here) == (0, f"{HOME}: list 1000, 8 days old, OLD\n")
    code, said = run("lists", "import", tmp_path / "t.cose", "-c", here)
    assert code == 1
    assert "malformed" in said


def test_lists_are_written_for_every_host_and_read_there(tmp_path: Path) -> None:
    cards = []
    for name in (HOME, "host.example"):
        cards.append(run("place", "card", "-c", config(tmp_path / name, name))[1])
    (tmp_path / "places.toml").write_text("\n".join(cards), encoding="utf-8")
    words = ("table", "make", tmp_path / "places.toml", "--key", tmp_path / "fed.key", "--out", tmp_path / "t.cose")
    key = run(*words)[1].rpartition(" = ")[2].strip()
    for name in (HOME, "host.example"):
        run("table", "import", tmp_path / "t.cose", "-c", config(tmp_path / name, name, key))
    data = tmp_path / HOME / "data"
    with Register(data, keys.load(data).uid_token) as register:
        register.put_member(Member("anne"))
        register.issue("0000000000", "anne", 20_000)
    stick = tmp_path / f"{HOME}--host.example.list"
    assert run("lists", "write", tmp_path, "-c", tmp_path / HOME / "gateway.toml") == (0, f"{stick}\n")
    there = tmp_path / "host.example" / "gateway.toml"
    other = tmp_path / "other.list"
    assert run("lists", "write", tmp_path, "-c", there)[0] == 0
    (tmp_path / f"host.example--{HOME}.list").rename(other)
    broken = tmp_path / "broken.list"
    broken.write_bytes(b"no list")
    code, said = run("lists", "import", other, broken, stick, "-c", there)
    assert code == 1
    assert said.splitlines()[0] == f"other.list: for {HOME}, left alone"
    assert said.splitlines()[1].startswith("balise badge: broken.list: malformed")
    assert said.splitlines()[2] == f"{stick.name}: taken"
    assert run("lists", "import", stick, "-c", there) == (0, f"{stick.name}: held already\n")
    assert run("lists", "show", "-c", there) == (0, f"{HOME}: list 1000, 0 hours old\n")
    host = tmp_path / "host.example" / "data"
    places = TableCache(host, bytes.fromhex(key))
    places.load()
    lists = CardLists(host, "host.example", keys.load(host), lambda: places.table)
    assert lists.by_number(HOME, "0000000000") is not None


def test_a_gateway_without_badges_is_told_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(
        '[gateway]\ndata_dir = "data"\n[[ingest]]\nkind = "mqtt_listener"\nanonymous = true\n', encoding="utf-8"
    )
    code, said = run("place", "card", "-c", tmp_path / "gateway.toml")
    assert code == 2
    assert "no [badge]" in said


def test_a_key_that_is_none_and_a_file_that_is_no_table_are_told_so(made: tuple[Path, str]) -> None:
    folder, key = made
    code, said = run("table", "show", folder / "t.cose", "--key", "zz")
    assert (code, said) == (2, "balise badge: --key 'zz': the public key of the federation is 64 hex digits\n")
    code, said = run("table", "show", folder / "places.toml", "--key", key)
    assert code == 1
    assert "is it what `balise badge table make` wrote?" in said
