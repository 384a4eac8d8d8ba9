"""A table of half-days by mail, each week or month, for a place whose software takes nothing by itself.

Promises that a line is on the disk before it counts as recorded, and a mail before it is sent; that each mail of a
period holds the whole period, so that a later one ("correction") replaces the earlier; and that the same lines are
mailed once. When a server takes a mail and its answer is lost, the same bytes are sent again: the Message-ID is made of
the content (RFC 5322 section 3.6.4), so that mail programs show one. The table has days, places, members and
half-days: no times. Leaves the server to `_smtp.py`, the file to `_mail_book.py`.
"""

import csv
import datetime
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway.badges.connectors import Balance, Tapped, Usage, Want
from balise_gateway.badges.connectors._mail_book import Line, Mail, MailBook
from balise_gateway.badges.connectors._smtp import ServerSettings, send
from balise_gateway.clock import Clock, SystemClock, known_utc_ms
from balise_gateway.errors import BadgeError, ConnectorError
from balise_gateway.settings import Key

KEEP_DAYS = 190  # after which no visit can change a line any more: taps are kept for 90 days at most
TOO_OLD = f"too old: of a period that ended more than {KEEP_DAYS} days ago"
COLUMNS = ("day", "place", "member", "half_days")
_FORMULA = "=+-@\t\r"  # a spreadsheet would compute what begins so
_TEXT = """Bonjour,

Ci-joint les demi-journées de vos membres, période {period} ({lines} lignes, {half_days} demi-journées).
Colonnes : jour, lieu, membre, demi-journées ; séparateur « ; », UTF-8.{corrects_fr}

---

Hello,

Attached are the half-days of your members, period {period} ({lines} lines, {half_days} half-days).
Columns: day, place, member, half-days; separated by ";", UTF-8.{corrects_en}
"""
_CORRECTS = (
    "\nCe tableau remplace celui qui a été envoyé avant pour cette période.",
    "\nThis table replaces the one that was sent before for this period.",
)


@dataclass(frozen=True, kw_only=True)
class Settings(ServerSettings):
    """[[connector]] with kind = "csv_mail"."""

    folder: Annotated[Path, Key("a folder of its own, in which lines and mails wait")]
    sender: Annotated[str, Key("the address that mails come from")]
    recipients: Annotated[tuple[str, ...], Key("the addresses that they go to")]
    every: Annotated[Literal["week", "month"], Key("one mail for each; weeks begin on Monday")] = "month"
    grace_days: Annotated[
        int, Key("how long late visits are waited for, and corrections gathered", least=0, most=60)
    ] = 2
    place: Annotated[str, Key("what this place is called in the subject")] = ""
    time_zone: Annotated[str, Key("whose days count")] = "Europe/Paris"

    def problem(self) -> str | None:
        bad = [text for text in (self.sender, *self.recipients) if not _is_address(text)]
        if bad or not self.recipients:
            return (
                f"sender, recipients: {', '.join(map(repr, bad)) or 'none given'}; must be such as desk@place.example"
            )
        if not self.place.isprintable():
            return "place: must be one line of text"
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"time_zone = {self.time_zone!r}: no such zone; such as Europe/Paris"
        return super().problem()


class Connector:
    """One mail to a few people, now and then."""

    wants: frozenset[Want] = frozenset({"usage"})

    def __init__(self, settings: Settings, transport: Any, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self._book = MailBook(settings.folder)
        self._state, self._told = "not asked yet", ""

    async def balance(self, member: str) -> Balance | None:
        return None

    async def record(self, usages: Sequence[Usage]) -> dict[str, str]:
        now, every = self._now(), self._settings.every
        old = {u.key for u in usages if now is not None and _is_over(period_of(u.day, every), now)}
        try:
            if len(old) < len(usages):
                self._book.put((u.key, period_of(u.day, every), _line(u)) for u in usages if u.key not in old)
            if now is not None:
                await self._send_due(now)
        except BadgeError as error:
            self._state = str(error)
            raise error if isinstance(error, ConnectorError) else ConnectorError(str(error), retry=True) from error
        self._state = "up" if now is not None else "the date is not known: mails wait; see the clock"
        return dict.fromkeys(old, TOO_OLD)

    async def tapped(self, tap: Tapped) -> None:
        """A table has days, not taps."""

    def status(self) -> dict[str, object]:
        told: dict[str, object] = {"kind": self._settings.kind, "state": self._state, "where": self._settings.where}
        return told | ({"note": self._told} if self._told else {})

    async def close(self) -> None:
        self._book.close()

    def _now(self) -> datetime.datetime | None:
        utc_ms = known_utc_ms(self._clock)
        zone = ZoneInfo(self._settings.time_zone)
        return None if utc_ms is None else datetime.datetime.fromtimestamp(utc_ms // 1000, zone)

    async def _send_due(self, now: datetime.datetime) -> None:
        await self._send_waiting()
        for period in self._book.periods():
            mail = self._due(period, now)
            if mail is not None:
                self._book.add(mail)
        await self._send_waiting()
        for period in self._book.periods():
            if _is_over(period, now):
                self._book.forget(period)

    async def _send_waiting(self) -> None:
        for mail in self._book.waiting():
            assert mail.message is not None
            refused = await send(self._settings, self._settings.sender, self._settings.recipients, mail.message)
            self._book.sent(mail)
            self._told = f"{refused} recipients were refused by the server" if refused else ""

    def _due(self, period: str, now: datetime.datetime) -> Mail | None:
        """The next mail of this period, if it is time for it and it says something new."""
        grace = datetime.timedelta(days=self._settings.grace_days)
        last = self._book.last(period)
        if now.date() < end_of(period) + grace:
            return None
        if last is not None and now.timestamp() < last.made_utc_s + grace.total_seconds():
            return None
        lines = self._book.lines(period)
        if last is None and not lines:
            return None
        table = table_of(lines)
        digest = hashlib.sha256(table).hexdigest()
        if last is not None and last.digest == digest:
            return None
        revision = 0 if last is None else last.revision + 1
        message = message_of(self._settings, (period, revision), lines, now)
        return Mail(period, revision, digest, int(now.timestamp()), message)


def period_of(day: str, every: str) -> str:
    """ "2026-02" or, for weeks (ISO 8601), "2026-W09"."""
    date = datetime.date.fromisoformat(day)
    year, week, _ = date.isocalendar()
    return f"{year:04}-W{week:02}" if every == "week" else f"{date.year:04}-{date.month:02}"


def end_of(period: str) -> datetime.date:
    """The first day after it."""
    year, _, rest = period.partition("-")
    if rest.startswith("W"):
        return datetime.date.fromisocalendar(int(year), int(rest[1:]), 1) + datetime.timedelta(days=7)
    return (datetime.date(int(year), int(rest), 1) + datetime.timedelta(days=32)).replace(day=1)


def table_of(lines: Sequence[Line]) -> bytes:
    """The same lines are the same bytes. With a BOM, without which spreadsheets take UTF-8 for something else."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_plain(cell) for cell in line] for line in lines)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def message_of(settings: Settings, which: tuple[str, int], lines: Sequence[Line], now: datetime.datetime) -> bytes:
    """A whole mail, with its table."""
    period, revision = which
    table = table_of(lines)
    suffix = f"-correction-{revision}" if revision else ""
    words = {"period": period, "lines": len(lines), "half_days": sum(line.half_days for line in lines)}
    words |= dict(zip(("corrects_fr", "corrects_en"), _CORRECTS if revision else ("", ""), strict=True))
    mark = hashlib.sha256("\0".join([period, str(revision), *settings.recipients]).encode() + table).hexdigest()[:40]
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = settings.sender, ", ".join(settings.recipients)
    mail["Subject"] = " ".join(
        word for word in ("Demi-journées / half-days", period, settings.place, suffix[1:].replace("-", " ")) if word
    )
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{mark}@{settings.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes, please
    mail.set_content(_TEXT.format(**words), cte="quoted-printable")
    name, charset = f"balise-{period}{suffix}.csv", {"charset": "utf-8"}
    mail.add_attachment(table, maintype="text", subtype="csv", filename=name, params=charset)
    mail.set_boundary(f"balise-{mark}")
    return mail.as_bytes()


def _is_over(period: str, now: datetime.datetime) -> bool:
    """Its lines are forgotten: a correction of it could not hold the whole of it."""
    return end_of(period) + datetime.timedelta(days=KEEP_DAYS) < now.date()


def _line(usage: Usage) -> Line:
    return Line(usage.day, usage.host, usage.member, usage.half_days)


def _plain(cell: str | int) -> str | int:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] and cell[0] in _FORMULA else cell


def _is_address(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    letters = text.isascii() and text.isprintable() and not any(letter in ' ,;<>"()' for letter in text)
    return bool(letters and name and at and domain)
