"""Cards on chips that are made in advance: they are in the register, and nobody's.

Promises that a card which is somebody's, or lost, is refused before anything is written to it, and that a number stays
with the chip that it was made for. Leaves transactions to `book.py`.
"""

import sqlite3
from dataclasses import dataclass, field

from balise_gateway.errors import CardRefused


@dataclass(frozen=True)
class Blank:
    """A card that was written and is to be handed out later. Days since 1970-01-01."""

    number: str = field(repr=False)
    grade: int
    last_day: int | None = None


def refuse_taken_chip(db: sqlite3.Connection, token: bytes, number: str) -> None:
    """Raises CardRefused when this chip is another card than `number`, and that card is in use or lost."""
    row = db.execute("SELECT number, state FROM card WHERE uid_token = ?", (token,)).fetchone()
    if row is not None and row[0] != number and row[1] in ("active", "lost"):
        raise CardRefused(
            f"this chip is a card that is {row[1]}; end or find it first: balise badge revoke or balise badge found"
        )


def may_make(db: sqlite3.Connection, token: bytes, number: str) -> None:
    """Raises CardRefused when this chip cannot become the card `number` that is nobody's."""
    refuse_taken_chip(db, token, number)
    row = db.execute("SELECT state, uid_token FROM card WHERE number = ?", (number,)).fetchone()
    if row is None:
        return
    if row[0] == "active":
        raise CardRefused("this card is somebody's; end it first: balise badge revoke NUMBER --reason ended")
    if row[0] == "lost":
        raise CardRefused("this card is lost; if it is found, say so first: balise badge found NUMBER")
    if row[1] is not None and row[1] != token:
        raise CardRefused("the number of another card of ours stands on this chip: a copy? Use a new card")


def make(db: sqlite3.Connection, token: bytes, blank: Blank, day: int) -> None:
    """Writes it down, inside a transaction. The card that the chip was before is replaced."""
    may_make(db, token, blank.number)
    db.execute(
        "UPDATE card SET uid_token = NULL, state = 'replaced', changed_day = ? WHERE uid_token = ? AND number <> ?",
        (day, token, blank.number),
    )
    db.execute(
        "INSERT INTO card VALUES (?, ?, ?, NULL, 'blank', NULL, ?, ?) ON CONFLICT (number) DO UPDATE SET"
        " uid_token = excluded.uid_token, grade = excluded.grade, member = NULL, state = 'blank', issued_day = NULL,"
        " last_day = excluded.last_day, changed_day = excluded.changed_day",
        (blank.number, token, blank.grade, blank.last_day, day),
    )
