"""`balise badge refused`: what the place's own software did not take, for the people of the place."""

import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from balise_gateway.badges.connector_outbox import Outbox
from balise_gateway.badges.connectors import Usage
from balise_tools.badge import app
from gateway.support import toml

TAKEN = Usage("a", "ada", "", "alder.example", "2026-03-02", 2)
LATE = Usage("b", "zoé", "", "birch.example", "2026-03-01", 1)
OTHER = Usage("c", "max", "", "alder.example", "2026-03-03", 1)
TWO = """
[[connector]]
kind = "credit_file"
name = "table"
file = "t.csv"
[[connector]]
kind = "credit_file"
file = "u.csv"
"""


def asked(folder: Path, *words: str, connectors: str = TWO) -> Result:
    path = folder / "gateway.toml"
    path.write_text(toml(folder, hubs=0, extra=f'[badge]\nplace = "alder.example"\n{connectors}'), encoding="utf-8")
    return CliRunner().invoke(app, ["refused", *words, "-c", str(path)])


def refused_two(folder: Path) -> None:
    box = Outbox(folder)
    box.open()
    for usage in (TAKEN, LATE, OTHER):
        box.put(["table", "credit_file"], usage)
    box.settle("table", [TAKEN, LATE, OTHER], {"b": "closed: the month is over", "c": "no such member"})
    box.again("table")  # they wait to be told again, and count as refused until they are taken
    box.close()


def test_each_is_told_with_its_member_its_day_and_the_reason(tmp_path: Path) -> None:
    refused_two(tmp_path)
    told = asked(tmp_path, "--lang", "en")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "2026-03-01  birch.example  zoé  1 half-day(s)  table: closed: the month is over",
        "2026-03-03  alder.example  max  1 half-day(s)  table: no such member",
        "2 refused; nothing is lost: the gateway tells them again each day and at each start",
    ]
    assert "1 demi-journée(s)  table : no such member" in asked(tmp_path).stdout


def test_for_programs_it_is_one_object_a_line_and_nothing_else(tmp_path: Path) -> None:
    refused_two(tmp_path)
    found = [json.loads(line) for line in asked(tmp_path, "--json").stdout.splitlines()]
    assert [(one["member"], one["half_days"], one["connector"]) for one in found] == [
        ("zoé", 1, "table"),
        ("max", 1, "table"),
    ]
    assert found[0]["reason"] == "closed: the month is over"
    assert asked(tmp_path, "--json", "--connector", "credit_file").stdout == ""


def test_where_nothing_was_refused_that_is_said_and_no_file_is_made(tmp_path: Path) -> None:
    assert asked(tmp_path).stdout == "rien n'a été refusé\n"
    assert asked(tmp_path, "--lang", "en", connectors="").stdout.startswith("no section [[connector]]")
    assert not (tmp_path / "connectors.db").exists()


def test_a_connector_that_there_is_not_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    told = asked(tmp_path, "--connector", "tabel")
    assert told.exit_code == 2
    assert "no connector 'tabel'; there are: table, credit_file" in told.stderr
