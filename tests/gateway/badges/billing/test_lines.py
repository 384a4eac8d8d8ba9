"""Billing lines: a month drawn up again replaces itself, and after ten years they go."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.billing.settlement import sessions_in
from balise_wire.visits import VisitRecord
from gateway.badges.billing.billing_support import HOME, HOST, agreed, inputs_of, visit

NOV, DAY = 1_793_520_000, 86_400
TODAY = date(2026, 12, 1)


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    made = Lines(tmp_path)
    yield made
    made.close()


def keep(lines: Lines, *records: VisitRecord, today: date = TODAY) -> int:
    return lines.keep(sessions_in(inputs_of(*records), agreed()), agreed(), today)


def test_a_month_that_is_drawn_up_again_replaces_itself_and_no_other(lines: Lines) -> None:
    keep(lines, visit(NOV - DAY), visit(NOV, who=b"p" * 16))
    keep(lines, visit(NOV, client="MEL"), visit(NOV + DAY, 2))
    assert [(line.day, line.who[:2], line.client) for line in lines.all()] == [
        ("2026-10-31", "00", ""),
        ("2026-11-01", "00", "MEL"),
        ("2026-11-02", "00", ""),
    ]
    assert lines.all()[1].flags == ("no_exit", "unverified")


def test_a_month_whose_visits_are_being_forgotten_keeps_the_lines_that_it_has(lines: Lines) -> None:
    first = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp())
    keep(lines, visit(first), visit(first + DAY, 2))
    keep(lines, visit(first + DAY, 2), today=date(2027, 1, 29))  # 89 days after the first: all of it is still there
    assert [line.day for line in lines.all()] == ["2026-11-02"]
    keep(lines, visit(first), visit(first + DAY, 2), today=date(2027, 1, 29))
    keep(lines, visit(first + DAY, 2), today=date(2027, 1, 30))
    assert [line.day for line in lines.all()] == ["2026-11-01", "2026-11-02"]


def test_home_members_at_home_are_not_kept(lines: Lines) -> None:
    assert keep(lines, visit(NOV, home=HOST), visit(NOV, home="far.example")) == 0
    assert lines.all() == []


def test_what_is_over_ten_years_old_goes(lines: Lines) -> None:
    keep(lines, visit(NOV), visit(NOV + DAY, 2))
    keep(lines, today=date(2036, 11, 1))
    assert len(lines.all()) == 2
    keep(lines, today=date(2036, 11, 2))
    assert [line.day for line in lines.all()] == ["2026-11-02"]
    assert (lines.forget(date(2036, 11, 2)), lines.forget(date(2036, 11, 3)), lines.all()) == (0, 1, [])


def test_counts_are_of_one_client_of_one_home(lines: Lines) -> None:
    keep(
        lines, visit(NOV, client="MEL"), visit(NOV, who=b"x" * 16, client="MEL"), visit(NOV, who=b"y" * 16, client="B")
    )
    assert [(one.month, one.host, one.half_days) for one in lines.counts("MEL", HOME)] == [("2026-11", HOST, 2)]
    assert lines.counts("MEL", HOST) == []
