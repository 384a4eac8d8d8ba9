"""The table that somebody keeps by hand: what spreadsheets write, and what people mistype."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.connectors import Balance, Tapped, Usage, credit_file
from balise_gateway.badges.connectors.credit_file import Connector, Settings
from balise_gateway.errors import ConnectorError

NOON_S = 1_772_366_400  # 2026-03-01T12:00:00Z


def table(folder: Path, text: str) -> Connector:
    path = folder / "credit.csv"
    path.write_text(text, encoding="utf-8")
    return Connector(Settings(kind="credit_file", file=path), None)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("comma", [";", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_a_spreadsheet_writes_is_read(tmp_path: Path, mark: str, comma: str, end: str) -> None:
    lines = [["member", "half_days", "as_of"], ["zoe", " 3", "2026-03-01 "], ["max", "-2", "2026-03-01"]]
    connector = table(tmp_path, mark + end.join(comma.join(line) for line in lines) + end)
    assert asyncio.run(connector.balance("zoe")) == Balance(3, NOON_S)
    assert asyncio.run(connector.balance("max")) == Balance(-2, NOON_S)
    assert connector.status()["state"] == "up"


def test_a_line_that_cannot_be_read_is_named_and_costs_no_other(tmp_path: Path) -> None:
    connector = table(tmp_path, "member;half_days;as_of\nzoe;three;2026-03-01\nmax;2;2026-03-01\n")
    assert asyncio.run(connector.balance("zoe")) is None
    assert asyncio.run(connector.balance("max")) == Balance(2, NOON_S)
    assert "line 2" in str(connector.status()["state"])
    assert "zoe" not in str(connector.status())


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    connector = table(tmp_path, "member;half_days;as_of\nzoe;3;2026-03-01\n")
    assert asyncio.run(connector.balance("zoe")) == Balance(3, NOON_S)
    (tmp_path / "credit.csv").write_text("member;half_days;as_of\nzoe;12;2026-03-01\n", encoding="utf-8")
    assert asyncio.run(connector.balance("zoe")) == Balance(12, NOON_S)


def test_whoever_is_taken_out_of_the_table_has_no_balance_any_more(tmp_path: Path) -> None:
    connector = table(tmp_path, "member;half_days;as_of\nzoe;3;2026-03-01\nmax;2;2026-03-01\n")
    assert asyncio.run(connector.balance("max")) == Balance(2, NOON_S)
    (tmp_path / "credit.csv").write_text("member;half_days;as_of\nzoe;3;2026-03-01\n", encoding="utf-8")
    assert asyncio.run(connector.balance("max")) is None


def test_nothing_is_written_into_the_table(tmp_path: Path) -> None:
    text = "member;half_days;as_of\nzoe;3;2026-03-01\n"
    connector = table(tmp_path, text)
    (tmp_path / "credit.csv").chmod(0o400)

    async def scene() -> None:
        await connector.balance("zoe")
        assert await connector.record([Usage("k", "zoe", "", "here.example", "2026-03-01", 1)]) != {}
        await connector.tapped(Tapped("t", NOON_S, "door", "accepted", "in"))
        await connector.close()

    asyncio.run(scene())
    assert (tmp_path / "credit.csv").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["credit.csv"]


def test_a_table_that_was_away_is_up_again_with_the_same_bytes(tmp_path: Path) -> None:
    """A stick that was pulled out, a shared folder that did not answer: the file is as it was."""
    connector, path = table(tmp_path, "member;half_days;as_of\nzoe;3;2026-03-01\n"), tmp_path / "credit.csv"
    assert asyncio.run(connector.balance("zoe")) == Balance(3, NOON_S)
    path.rename(tmp_path / "away.csv")
    with pytest.raises(ConnectorError, match="cannot be read"):
        asyncio.run(connector.balance("zoe"))
    (tmp_path / "away.csv").rename(path)
    assert asyncio.run(connector.balance("zoe")) == Balance(3, NOON_S)
    assert connector.status()["state"] == "up"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f"member;half_days;as_of\n{text}"):
        balances, wrong = credit_file._read(whole)
        assert len(balances) + len(wrong) <= whole.count("\n") + whole.count("\r") + 2


def test_a_table_without_a_line_says_what_its_head_must_be(tmp_path: Path) -> None:
    connector = table(tmp_path, "nom;crédit\nzoe;3\n")
    with pytest.raises(ConnectorError, match="member;half_days;as_of"):
        asyncio.run(connector.balance("zoe"))
