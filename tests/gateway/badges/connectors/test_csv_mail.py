"""What only the mail does: when it goes, what stands in it, that it goes once, and never in the clear."""

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balise_gateway.badges.connectors import Usage, csv_mail
from balise_gateway.badges.connectors._mail_book import FILE_NAME, Line
from balise_gateway.errors import ConnectorError
from contracts.connector_ends import MEMBER, NOW_UTC_S, OTHER, StandingClock, secret, usage
from contracts.connector_ends.csv_mail import PASSWORD, SENDER, TO, USER, End, table
from gateway.support import played

DAY_S = 86_400


@pytest.fixture
def there(tmp_path: Path) -> Iterator[End]:
    found = End(tmp_path, StandingClock())
    yield found
    found.close()


def recorded(there: End, usages: Sequence[Usage] = (), after_days: float = 0, **settings: Any) -> dict[str, Any]:
    """One telling, that long after 2026-03-01 at noon; the status afterwards."""
    found: dict[str, Any] = {}

    async def scene() -> None:
        there.clock = StandingClock(NOW_UTC_S + round(after_days * DAY_S))
        connector = there.connector(**settings)
        try:
            found["refused"] = await connector.record(usages)
        finally:
            found.update(connector.status())
            await connector.close()

    played(scene)
    return found


def test_a_month_is_mailed_when_it_is_over_and_late_visits_had_their_time(there: End) -> None:
    recorded(there, [usage(1)], -2, grace_days=3)
    recorded(there, [usage(2, 2, OTHER)], 1, grace_days=3)
    assert there.mails == []
    recorded(there, (), 3, grace_days=3)
    assert len(there.mails) == 1
    assert there.rows() == [
        {"day": "2026-02-27", "place": "mappemonde.example", "member": MEMBER, "half_days": "1"},
        {"day": "2026-02-27", "place": "mappemonde.example", "member": OTHER, "half_days": "2"},
    ]


def test_the_mail_is_in_french_and_in_english_with_one_table(there: End) -> None:
    recorded(there, [usage(1, 2)], place="La Coroutine")
    (mail,) = there.mails
    assert mail["Subject"] == "Demi-journées / half-days 2026-02 La Coroutine"
    assert (mail["From"], mail["To"]) == (SENDER, ", ".join(TO))
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_body()
    assert body is not None
    text = body.get_content()
    assert text.index("Bonjour") < text.index("Hello")
    assert "2026-02 (1 lignes, 2 demi-journées)" in text
    (part,) = mail.iter_attachments()
    assert part.get_filename() == "balise-2026-02.csv"
    assert part.get_content_type() == "text/csv"


def test_nothing_in_the_table_is_a_time_of_day(there: End) -> None:
    recorded(there, [usage(1)])
    assert list(table(there.mails[0])[0]) == ["day", "place", "member", "half_days"]
    assert ":" not in "".join(table(there.mails[0])[0].values())


def test_a_week_is_mailed_when_it_is_over(there: End) -> None:
    recorded(there, [usage(1, day="2026-02-23"), usage(2, day="2026-03-01")], 0, every="week")
    assert there.mails == [], "Sunday is of the same week"
    recorded(there, (), 0.5, every="week")
    assert [str(mail["Subject"]) for mail in there.mails] == ["Demi-journées / half-days 2026-W09"]


def test_the_same_lines_are_mailed_once(there: End) -> None:
    for day in range(40):
        recorded(there, [usage(1)], day)
    assert len(there.mails) == 1


def test_a_later_figure_is_a_correction_that_holds_the_whole_period(there: End) -> None:
    recorded(there, [usage(1), usage(2, 1, OTHER)])
    recorded(there, [usage(2, 2, OTHER)], 1)
    assert [str(mail["Subject"]) for mail in there.mails] == [
        "Demi-journées / half-days 2026-02",
        "Demi-journées / half-days 2026-02 correction 1",
    ]
    body = there.mails[1].get_body()
    assert body is not None
    assert "remplace" in body.get_content()
    assert [row["half_days"] for row in table(there.mails[1])] == ["1", "2"]


def test_corrections_are_gathered_for_the_days_of_grace(there: End) -> None:
    recorded(there, [usage(1)], 2, grace_days=2)
    for number in range(2, 6):
        recorded(there, [usage(number)], 2 + number / 10, grace_days=2)
    assert len(there.mails) == 1
    recorded(there, (), 4.1, grace_days=2)
    assert len(there.mails) == 2
    assert [row["half_days"] for row in there.rows()] == ["5"], "one line for a member, a place and a day"


def test_a_period_without_half_days_is_not_mailed(there: End) -> None:
    recorded(there, [usage(1, 0)])
    recorded(there, (), 40)
    assert there.mails == []


def test_the_mail_is_on_the_disk_before_it_is_sent_and_the_same_bytes_later(there: End) -> None:
    there.answer = "451"
    with pytest.raises(ConnectorError):
        recorded(there, [usage(1)])
    there.answer = "lost"
    with pytest.raises(ConnectorError):
        recorded(there, (), 1)
    there.answer = "ok"
    recorded(there, (), 9)
    assert len(there.raw) == 2
    assert there.raw[0] == there.raw[1], "one Message-ID and one date: mail programs show it once"
    assert there.mails[0]["Date"].datetime.timestamp() == NOW_UTC_S


def test_figures_that_changed_while_the_server_was_away_are_one_correction(there: End) -> None:
    there.answer = "no connection"
    for half_days in (1, 2, 1, 2):
        with pytest.raises(ConnectorError):
            recorded(there, [usage(1, half_days)])
    there.answer = "ok"
    recorded(there, (), 1)
    assert [mail["Subject"].split()[-1] for mail in there.mails] == ["2026-02", "1"]
    assert there.used(usage(1).key) == 2


def test_the_message_id_is_made_of_the_content(there: End, tmp_path: Path) -> None:
    recorded(there, [usage(1)])
    recorded(there, [usage(1)], 1, folder=tmp_path / "elsewhere")
    recorded(there, [usage(1, 2)], 2, folder=tmp_path / "third")
    first, same, other = (mail["Message-ID"] for mail in there.mails)
    assert first == same
    assert first != other
    assert first.endswith("@coroutine.example>")


def test_a_sent_mail_leaves_no_member_in_the_file_but_in_the_lines(there: End, tmp_path: Path) -> None:
    recorded(there, [usage(1)])
    recorded(there, (), 195 + 30)
    assert (tmp_path / "mail" / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert MEMBER.encode() not in (tmp_path / "mail" / FILE_NAME).read_bytes()


def test_when_its_lines_are_forgotten_a_period_is_closed_and_says_so(there: End) -> None:
    recorded(there, [usage(1)])
    recorded(there, (), 200)
    found = recorded(there, [usage(2), usage(3, day="2026-09-01")], 201)
    assert found["refused"] == {usage(2).key: csv_mail.TOO_OLD}
    assert [mail["Subject"].split()[-1] for mail in there.mails] == ["2026-02"]


def test_while_the_date_is_not_known_nothing_is_mailed_and_nothing_lost(there: End) -> None:
    clock = StandingClock(0)
    clock.uncertainty_ms = lambda: 2**31 - 1  # type: ignore[method-assign]
    states: list[object] = []

    async def scene() -> None:
        there.clock = clock
        connector = there.connector()
        await connector.record([usage(1)])
        states.append(connector.status()["state"])
        await connector.close()

    played(scene)
    assert there.mails == []
    assert "the date is not known" in str(states[0])
    recorded(there)
    assert there.used(usage(1).key) == 1


def test_the_password_is_told_under_tls_alone(there: End) -> None:
    recorded(there, [usage(1)])
    assert there.logins == [(USER, True)]
    there.answer = "no STARTTLS"
    with pytest.raises(ConnectorError, match="no STARTTLS"):
        recorded(there, [usage(2)], 1)
    assert there.logins == [(USER, True)]


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_tls_from_the_first_byte_works_too(there: End) -> None:
    there.with_tls = "tls"
    there.answer = "ok"
    recorded(there, [usage(1)], security="tls")
    assert there.used(usage(1).key) == 1


def test_without_tls_only_to_this_computer(there: End) -> None:
    there.with_tls = "none"
    there.answer = "ok"
    recorded(there, [usage(1)], security="none", user=None, password_file=None)
    assert there.used(usage(1).key) == 1


def test_a_recipient_that_is_refused_is_told_and_the_others_have_the_mail(there: End) -> None:
    there.refuses = {TO[0]}
    assert recorded(there, [usage(1)])["note"] == "1 recipients were refused by the server"
    assert len(there.mails) == 1


def test_a_server_that_shows_no_tls_at_all_is_the_hosts_to_mend(there: End) -> None:
    with pytest.raises(ConnectorError, match="no TLS") as caught:
        recorded(there, [usage(1)], security="tls")
    assert not caught.value.retry


def test_a_password_that_was_changed_needs_no_restart(there: End, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.mkdir()
    with pytest.raises(ConnectorError, match="not accepted") as caught:
        recorded(there, [usage(1)], password_file=secret(path, "wrong"))
    assert not caught.value.retry
    recorded(there, (), password_file=secret(path, PASSWORD))
    assert there.used(usage(1).key) == 1


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"security": "none"}, "only to a server on this computer"),
        ({"user": None}, "go together"),
        ({"sender": "nobody"}, "'nobody'"),
        ({"recipients": ("a@b.example\nBcc: c@d.example",)}, "recipients"),
        ({"recipients": ()}, "none given"),
        ({"place": "a\nBcc: b@c.example"}, "place"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
    ],
)
def test_settings_that_do_not_fit_say_which(keys: dict[str, Any], says: str) -> None:
    words: dict[str, Any] = {"kind": "csv_mail", "host": "mail.example", "user": "u", "password_file": Path("/x")}
    words |= {"folder": Path("/x"), "sender": SENDER, "recipients": TO}
    assert csv_mail.Settings(**words).problem() is None
    assert says in str(csv_mail.Settings(**(words | keys)).problem())


@pytest.mark.parametrize("member", ["=1+1", "+33", "-2", "@x", '=cmd|"/c calc"!A1'])
def test_no_cell_is_a_formula(member: str) -> None:
    (row,) = csv_mail.table_of([Line("2026-03-01", "a.example", member, 1)]).decode("utf-8-sig").splitlines()[1:]
    cell = row.split(";")[2]
    assert cell.lstrip('"').startswith("'")


@given(st.dates(datetime.date(2, 1, 1), datetime.date(9990, 1, 1)), st.sampled_from(["week", "month"]))
def test_a_day_is_in_its_period_and_the_next_one_begins_where_it_ends(day: datetime.date, every: str) -> None:
    period = csv_mail.period_of(day.isoformat(), every)
    end = csv_mail.end_of(period)
    assert day < end
    assert csv_mail.period_of((end - datetime.timedelta(days=1)).isoformat(), every) == period
    assert csv_mail.period_of(end.isoformat(), every) != period


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_whatever_a_member_id_holds_the_mail_can_be_made_and_the_table_read(members: list[str]) -> None:
    words: dict[str, Any] = {"kind": "csv_mail", "host": "localhost", "folder": Path("/x"), "sender": SENDER}
    settings = csv_mail.Settings(**words, recipients=TO)
    lines = [Line("2026-03-01", "a.example", member, 1) for member in members]
    now = datetime.datetime(2026, 4, 3, tzinfo=datetime.UTC)
    made = csv_mail.message_of(settings, ("2026-03", 0), lines, now)
    assert made == csv_mail.message_of(settings, ("2026-03", 0), lines, now)
    assert max(map(len, made.split(b"\r\n"))) <= 998  # RFC 5322 section 2.1.1
