"""What a member may ask of their home: all that is held of them, and that it be erased (GDPR articles 15, 17 and 20).

Promises that an export says everything this place holds of one member, here and in what partners delivered; and that
erasing says what stays, how long, and why. Leaves what other places hold to them: it has no name there, and goes
after `keep_taps_days`.
"""

import contextlib
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from balise_gateway.badges.billing.lines import FILE_NAME as LINES_FILE
from balise_gateway.badges.billing.lines import Lines
from balise_gateway.badges.billing.visits import Inputs
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.desk.book import Book
from balise_gateway.badges.desk.days import Days
from balise_gateway.badges.desk_page.book import TypedBook
from balise_gateway.badges.members import Names, taps_of
from balise_gateway.badges.register import Card, Member, Register
from balise_gateway.errors import BadgeError
from balise_wire.card import printed

STAYS = (
    "signed visits, under pseudonyms, until keep_taps_days are over: here and at the partners",
    "billing lines without times, ten years: accounting evidence (Code de commerce, art. L123-22)",
    "that these cards are revoked, without whose they were",
)
_EPOCH = datetime.date(1970, 1, 1)


def member_of(register: Register, member_id: str) -> Member:
    """The member. Raises BadgeError."""
    found = register.member(member_id)
    if found is None:
        raise BadgeError(f"no member {member_id!r}; see: balise badge list")
    return found


def export(
    member: Member, place: str, keys: HomeKeys, register: Register, inputs: Inputs, days: Days
) -> dict[str, Any]:
    """All that is held of a member but billing lines, in plain values."""
    names = Names(keys, [member])
    return {
        "place": place,
        "member": {"id": member.id, "name": member.name, "client": member.client, "ended": _day(member.ended_day)},
        "cards": [_card(card) for card in register.cards(member.id)],
        "visits": [
            {"host": tap.host, "utc": _moment(tap.t), "unsure_s": tap.u, "grade": tap.grade}
            for _, tap in taps_of(place, names, inputs, days.calendar)
        ],
    }


def billing_lines(member: Member, place: str, keys: HomeKeys, data_dir: Path) -> list[dict[str, object]]:
    """The lines of a member: kept ten years, without times."""
    if not (data_dir / LINES_FILE).exists():
        return []
    names = Names(keys, [member])
    with contextlib.closing(Lines(data_dir)) as lines:
        return [
            {"host": line.host, "day": line.day, "half_days": line.half_days, "agreement": line.agreement}
            for line in lines.all()
            if line.home == place and names.member_of(line.host, int(line.day[:4]), bytes.fromhex(line.who)) is not None
        ]


def erase(
    member: Member, place: str, keys: HomeKeys, register: Register, books: Sequence[Book | TypedBook], year: int
) -> int:
    """Forgets a member who has ended, and their taps here; returns how many taps. Raises BadgeError.

    `year` is the one that it is now; pseudonyms of all years of which there are taps are looked for, as the clock of a
    computer may be wrong.
    """
    if member.ended_day is None:
        raise BadgeError(f"{member.id!r} is still a member; end them first: balise badge member {member.id} --end")
    near = {each + beside for book in books for each in {year, *book.years()} for beside in (-1, 0, 1)}
    pseudonyms = [keys.who(member.id, place, each) for each in sorted(near)]
    taps = sum(book.erase(pseudonyms) for book in books)
    register.forget_member(member.id)
    return taps


def _card(card: Card) -> dict[str, object]:
    told = {"number": printed(card.number), "grade": card.grade, "state": card.state}
    return {**told, "issued": _day(card.issued_day), "until": _day(card.last_day)}


def _day(day: int | None) -> str | None:
    return None if day is None else (_EPOCH + datetime.timedelta(days=day)).isoformat()


def _moment(utc_s: int) -> str:
    return datetime.datetime.fromtimestamp(utc_s, datetime.UTC).isoformat()
