"""`balise badge member`, `issue`, `revoke`, `found`, `list`, `batch`, `check-chip`."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from balise_gateway.badges.cards import keys
from balise_gateway.badges.register import Register
from balise_tools.badge import app
from balise_wire import card

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A command of a place with one reader, which only sees codes."""
    (tmp_path / "gateway.toml").write_text(
        '[gateway]\ndata_dir = "data"\n[badge]\nplace = "coroutine.example"\nname = "La Coroutine"\n'
        '[[reader]]\nkind = "keyboard_wedge"\nname = "scanner"\npath = "/dev/input/none"\n',
        encoding="utf-8",
    )

    def command(*words: str) -> Result:
        return CliRunner().invoke(app, [*words, "-c", str(tmp_path / "gateway.toml")])

    return command


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def listed(run: Run, *words: str) -> dict[str, dict[str, object]]:
    rows = [json.loads(line) for line in done(run("list", "--json", *words)).splitlines()]
    return {str(row["number"]): row for row in rows}


def test_a_batch_is_printed_and_given_out_on_the_day(run: Run, tmp_path: Path) -> None:
    done(run("batch", "3", "--out", str(tmp_path / "cards.html")))
    with (tmp_path / "cards.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["state"] for row in listed(run).values()} == {"blank"}
    done(run("member", "ada", "--client", "MEL"))
    typed = rows[1]["number"].lower().replace("-", " ")
    assert rows[1]["url"] in done(run("issue", "ada", "--number", typed))
    found = listed(run)[card.parse_number(typed)]
    assert (found["state"], found["member"], found["client"], found["grade"]) == ("active", "ada", "MEL", 0)
    assert [row["state"] for row in listed(run).values()].count("blank") == 2


def test_a_lost_card_is_replaced_and_the_old_one_found(run: Run) -> None:
    done(run("member", "ada"))
    done(run("issue", "ada"))
    (first,) = listed(run)
    assert done(run("revoke", first, "--reason", "lost")).endswith("is lost\n")
    done(run("issue", "ada", "--replaces", first, "--until", "2099-12-31"))
    assert sorted(str(row["state"]) for row in listed(run, "--member", "ada").values()) == ["active", "lost"]
    assert "2099-12-31" in done(run("list"))
    assert "good again" in done(run("found", card.printed(first)))


def test_a_member_who_ends_is_told_apart_and_forgotten(run: Run) -> None:
    done(run("member", "ada", "--name", "Ada"))
    done(run("issue", "ada"))
    assert "ended too: 1" in done(run("member", "ada", "--end"))
    assert [row["state"] for row in listed(run).values()] == ["ended"]
    done(run("member", "ada", "--forget"))
    assert [row["member"] for row in listed(run).values()] == [None]


def test_what_is_known_of_a_member_stays_when_something_else_changes(run: Run, tmp_path: Path) -> None:
    done(run("member", "ada", "--client", "MEL"))
    done(run("member", "ada", "--name", "Ada"))
    with Register(tmp_path / "data", keys.load(tmp_path / "data").uid_token) as register:
        known = register.member("ada")
    assert known is not None
    assert (known.client, known.name) == ("MEL", "Ada")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("issue", "carl"), 1, "no member 'carl'"),
        (("issue", "ada", "--number", "12345-67890"), 1, "last character does not fit"),
        (("issue", "ada", "--grade", "1"), 2, "add --write READER"),
        (("issue", "ada", "--grade", "3"), 2, "3"),
        (("issue", "ada", "--write", "scanner", "--read", "scanner"), 2, "not both"),
        (("issue", "ada", "--write", "door"), 1, "no reader 'door'; there are: scanner"),
        (("issue", "ada", "--write", "scanner"), 1, "only sees codes"),
        (("issue", "ada", "--until", "soon"), 2, "not a day"),
        (("issue", "ada", "--replaces", "00000-00000"), 1, "none of 'ada'"),
        (("revoke", "00000-00000", "--reason", "lost"), 1, "no card with this number"),
        (("revoke", "00000-00000", "--reason", "broken"), 2, "broken"),
        (("found", "00000-00000"), 1, "no card with this number"),
        (("member", "bob", "--end"), 1, "no member 'bob'"),
        (("check-chip", "scanner"), 1, "only sees codes"),
        (("batch", "2", "--out", "cards.txt"), 1, ".html or .pdf"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_no_card(run: Run, words: tuple[str, ...], code: int, told: str) -> None:
    done(run("member", "ada"))
    refused = run(*words)
    assert refused.exit_code == code, refused.output
    assert told in refused.output.replace("\n", " ")
    assert listed(run) == {}


def test_a_gateway_without_badges_is_told(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(
        '[gateway]\ndata_dir = "data"\n[[ingest]]\nkind = "http"\nanonymous = true\n', encoding="utf-8"
    )
    refused = CliRunner().invoke(app, ["list", "-c", str(tmp_path / "gateway.toml")])
    assert refused.exit_code == 2
    assert "[badge]" in refused.output


def test_a_list_says_who_each_card_is_and_when_there_is_none(run: Run) -> None:
    empty = run("list")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "no cards; give one with: balise badge issue MEMBER" in empty.stderr
    done(run("member", "861d1f59", "--name", "Tom"))
    assert "no cards of '861d1f59'" in run("list", "--member", "861d1f59").stderr
    done(run("issue", "861d1f59"))
    assert "861d1f59 (Tom)" in done(run("list"))


def test_whose_card_it_is_not_is_told_with_the_command_that_ends_it(run: Run) -> None:
    done(run("member", "ada"))
    done(run("member", "max"))
    number = done(run("issue", "ada")).partition(" ")[0]
    told = run("issue", "max", "--number", number)
    assert told.exit_code == 1
    assert f"balise badge revoke {number} --reason ended" in told.stderr
