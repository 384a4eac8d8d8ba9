"""Members and cards in one SQLite file, `register.db`, readable by its owner only.

Promises that no UID is written, that a card has one bearer at a time and nobody learns of an earlier one, that a lost
card comes back by a command of its own and by nothing else, and that a SUN counter is accepted once. Leaves what
members may do, and their credit, to the place's own software.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from balise_gateway.badges.database import open_database, transaction
from balise_gateway.badges.register import making
from balise_gateway.badges.register.making import Blank
from balise_gateway.errors import BadgeError
from balise_wire.card import printed
from balise_wire.visits import MAX_CLIENT_CHARS

FILE_NAME = "register.db"
State = Literal["blank", "active", "lost", "ended", "replaced"]
Reason = Literal["lost", "ended", "replaced"]
STEPS = (
    """
    CREATE TABLE member (
      id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
      client TEXT NOT NULL, -- what the home wants to find again in bills: an organisation's number; may be empty
      name TEXT NOT NULL, -- may be empty: nothing here needs it
      ended_day INTEGER -- days since 1970-01-01; NULL while active
    );

    CREATE TABLE card (
      number TEXT NOT NULL PRIMARY KEY CHECK (length(number) = 10),
      uid_token BLOB UNIQUE CHECK (length(uid_token) = 16), -- never a UID: HMAC with the scan key
      grade INTEGER NOT NULL CHECK (grade BETWEEN 0 AND 2),
      member TEXT REFERENCES member (id),
      state TEXT NOT NULL CHECK (state IN ('blank', 'active', 'lost', 'ended', 'replaced')),
      issued_day INTEGER,
      last_day INTEGER, -- the card is good until the end of this day; NULL: until it is revoked
      changed_day INTEGER NOT NULL,
      CHECK (state <> 'active' OR (member IS NOT NULL AND issued_day IS NOT NULL)),
      CHECK (state <> 'blank' OR member IS NULL)
    );

    CREATE INDEX card_of_member ON card (member);

    CREATE TABLE sun (
      number TEXT NOT NULL PRIMARY KEY, -- also of a card that a restored register does not know
      counter INTEGER NOT NULL -- the highest reading counter that was accepted
    );
    """,
    """
    ALTER TABLE sun ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0; -- 1: from a backup; it may have been higher since
    """,
)
_NO_COUNTER = -1
_COLUMNS = "card.number, uid_token, grade, member, client, state, issued_day, last_day"


@dataclass(frozen=True)
class Member:
    """One member: the id that the home chose, and what it wants to find again. `ended_day` None: active."""

    id: str
    client: str = ""
    name: str = field(default="", repr=False)
    ended_day: int | None = None


@dataclass(frozen=True)
class Card:
    """One card, as it stands now. Days since 1970-01-01."""

    number: str = field(repr=False)
    uid_token: bytes | None = field(repr=False)
    grade: int
    member: str | None
    client: str
    state: State
    issued_day: int | None
    last_day: int | None

    def is_good(self, today: int | None) -> bool:
        """Whether it is its bearer's now; without a clock the last day is not judged."""
        return self.state == "active" and (today is None or self.last_day is None or today <= self.last_day)


class Register:
    """The book. Building it touches nothing; `open` does. One thread uses one of them; several may be open."""

    def __init__(self, data_dir: Path, uid_token: Callable[[bytes], bytes]) -> None:
        self.path = data_dir / FILE_NAME
        self._token_of = uid_token
        self._open: sqlite3.Connection | None = None

    def __enter__(self) -> "Register":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Opens the file, and makes it when there is none. Raises BadgeError."""
        if self._open is None:
            self._open = open_database(self.path, STEPS)
            self._open.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Lets go of the file. May be called twice."""
        if self._open is not None:
            self._open.close()
        self._open = None

    # --- Members -----------------------------------------------------------------------------------------------------

    def put_member(self, member: Member) -> None:
        """Makes a member known, or changes what is known; one who had ended is active again."""
        if not member.id.strip() or "\0" in member.id:
            raise BadgeError(f"{member.id!r} is no member id: it needs a character, and none of them NUL")
        if len(member.client) > MAX_CLIENT_CHARS:
            raise BadgeError(f"the client of {member.id!r} has {len(member.client)} characters; {MAX_CLIENT_CHARS} fit")
        with transaction(self._db()) as db:
            db.execute(
                "INSERT INTO member VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET client = excluded.client,"
                " name = excluded.name, ended_day = excluded.ended_day",
                (member.id, member.client, member.name, member.ended_day),
            )

    def member(self, member_id: str) -> Member | None:
        """One member."""
        row = self._row("SELECT id, client, name, ended_day FROM member WHERE id = ?", member_id)
        return None if row is None else Member(*row)

    def members(self) -> list[Member]:
        """All of them, by id."""
        return [Member(*row) for row in self._rows("SELECT id, client, name, ended_day FROM member ORDER BY id")]

    def end_member(self, member_id: str, day: int) -> list[str]:
        """Ends a member, and every active card with them; returns the cards' numbers."""
        with transaction(self._db()) as db:
            if not db.execute("UPDATE member SET ended_day = ? WHERE id = ?", (day, member_id)).rowcount:
                raise BadgeError(f"no member {member_id!r}; see: balise badge list")
            ended = db.execute("SELECT number FROM card WHERE member = ? AND state = 'active'", (member_id,)).fetchall()
            db.execute(
                "UPDATE card SET state = 'ended', changed_day = ? WHERE member = ? AND state = 'active'",
                (day, member_id),
            )
        return sorted(number for (number,) in ended)

    def forget_member(self, member_id: str) -> None:
        """Erases a member. Their cards stay revoked; whose they were is not known any more."""
        with transaction(self._db()) as db:
            if db.execute("SELECT 1 FROM card WHERE member = ? AND state = 'active'", (member_id,)).fetchone():
                raise BadgeError(f"{member_id!r} still has a card; end the member first")
            db.execute("UPDATE card SET member = NULL WHERE member = ?", (member_id,))
            db.execute("DELETE FROM member WHERE id = ?", (member_id,))

    # --- Cards -------------------------------------------------------------------------------------------------------

    def add_blanks(self, numbers: Iterable[str], day: int) -> None:
        """Numbers that are printed now and handed out later. All of them or none."""
        with transaction(self._db()) as db:
            for number in numbers:
                if db.execute("SELECT 1 FROM card WHERE number = ?", (number,)).fetchone():
                    raise BadgeError("a number of the batch is there already; nothing was added")
                db.execute(
                    "INSERT INTO card (number, grade, state, changed_day) VALUES (?, 0, 'blank', ?)", (number, day)
                )

    def may_make(self, number: str, uid: bytes) -> None:
        """Raises CardRefused when this chip cannot become the card `number` that is nobody's."""
        making.may_make(self._db(), self._token_of(uid), number)

    def make_blank(self, blank: Blank, uid: bytes, day: int) -> None:
        """A card on a chip that was written and is handed out later. Raises CardRefused when it is somebody's."""
        with transaction(self._db()) as db:
            making.make(db, self._token_of(uid), blank, day)

    def may_issue(self, member: str, number: str, uid: bytes = b"") -> None:
        """Raises BadgeError when this number, and the chip with this UID, cannot be given to this member now."""
        _may_issue(self._db(), number, member)
        if uid:
            making.refuse_taken_chip(self._db(), self._token_of(uid), number)

    def issue(
        self,
        number: str,
        member: str,
        day: int,
        *,
        grade: int | None = None,
        last_day: int | None = None,
        uid: bytes = b"",
        replaces: str = "",
    ) -> Card:
        """Gives a card to a member; returns it as it then stands.

        The number is new, or blank, or one that came back. With `uid` the chip is bound too: the card that had this
        chip before is replaced. `replaces` is the member's card that stops with this one. Without `grade` it is what
        it was made as, with its last day where that stands on the card or nobody had the card yet.
        """
        token = self._token_of(uid) if uid else None
        with transaction(self._db()) as db:
            _may_issue(db, number, member)
            if token is not None:
                self._take_chip(db, token, number, day)
            if replaces:
                self._replace(db, replaces, member, day)
            db.execute(
                "INSERT INTO card VALUES (:number, :token, coalesce(:grade, 0), :member, 'active', :day, :last, :day)"
                " ON CONFLICT (number) DO UPDATE SET uid_token = coalesce(:token, uid_token), member = :member,"
                " last_day = CASE WHEN :last IS NULL AND :grade IS NULL AND (grade = 1 OR state = 'blank')"
                " THEN last_day ELSE :last END,"
                " grade = coalesce(:grade, grade), state = 'active', issued_day = :day, changed_day = :day",
                {"number": number, "token": token, "grade": grade, "member": member, "day": day, "last": last_day},
            )
        return self._card_or_fail(number)

    def revoke(self, number: str, reason: Reason, day: int) -> Card:
        """From now on this card is refused, here at once and elsewhere with the next list."""
        with transaction(self._db()) as db:
            state = self._state_of(db, number)
            if state == "lost" and reason != "lost":
                raise BadgeError(_LOST.format(printed(number)))
            db.execute("UPDATE card SET state = ?, changed_day = ? WHERE number = ?", (reason, day, number))
        return self._card_or_fail(number)

    def found(self, number: str, day: int) -> Card:
        """A lost card is back with its bearer, or ended when they are no member any more, or nobody's as it was."""
        with transaction(self._db()) as db:
            if (state := self._state_of(db, number)) != "lost":
                raise BadgeError(f"this card is not lost, it is {state}")
            db.execute(
                "UPDATE card SET changed_day = ?, state = CASE WHEN EXISTS (SELECT 1 FROM member WHERE"
                " member.id = card.member AND ended_day IS NULL) THEN 'active'"
                " WHEN issued_day IS NULL THEN 'blank' ELSE 'ended' END WHERE number = ?",
                (day, number),
            )
        return self._card_or_fail(number)

    def version(self) -> tuple[int, int]:
        """Another one whenever something was written, by this program or by another. It costs no look at a table."""
        ((by_others,),) = self._rows("PRAGMA data_version")
        return int(by_others), self._db().total_changes

    def by_number(self, number: str) -> Card | None:
        """The card with this number."""
        return self._card("card.number = ?", number)

    def by_uid(self, uid: bytes) -> Card | None:
        """The card that this chip is now."""
        return self._card("uid_token = ?", self._token_of(uid))

    def fits(self, number: str, uid: bytes) -> bool:
        """Whether this chip can be this card: not when the card is known to be another chip."""
        card = self.by_number(number)
        return card is None or card.uid_token is None or not uid or card.uid_token == self._token_of(uid)

    def cards(self, member: str | None = None) -> Iterator[Card]:
        """All cards, or those of one member."""
        where, told = ("member = ?", (member,)) if member is not None else ("1", ())
        sql = f"SELECT {_COLUMNS} FROM card LEFT JOIN member ON member.id = member WHERE {where} ORDER BY card.number"
        yield from (_card(row) for row in self._rows(sql, *told))

    def take_counter(self, number: str, uid: bytes, counter: int) -> Literal["", "unsure", "replay", "revoked"]:
        """ "" when a SUN message counts; then it is on disk, and neither it nor an older one counts again.

        "unsure" is the first one after a restore: it may have been accepted before, after the backup was made; the
        next one is sure. "revoked" when the number lives on in another chip. A number that is not known here is the
        caller's to judge.
        """
        with transaction(self._db()) as db:
            row = db.execute("SELECT uid_token FROM card WHERE number = ?", (number,)).fetchone()
            if row is not None and row[0] is not None and row[0] != self._token_of(uid):
                return "revoked"
            held = db.execute("SELECT counter, unsure FROM sun WHERE number = ?", (number,)).fetchone()
            highest, unsure = held or (_NO_COUNTER, False)
            if counter <= highest:
                return "replay"
            db.execute("INSERT OR REPLACE INTO sun (number, counter, unsure) VALUES (?, ?, 0)", (number, counter))
            return "unsure" if unsure else ""

    def forget_counter(self, number: str) -> None:
        """For a chip that was personalised anew with this number: its counter starts at 0."""
        with transaction(self._db()) as db:
            db.execute("DELETE FROM sun WHERE number = ?", (number,))

    # --- Inside ------------------------------------------------------------------------------------------------------

    def _take_chip(self, db: sqlite3.Connection, token: bytes, number: str, day: int) -> None:
        making.refuse_taken_chip(db, token, number)
        db.execute(
            "UPDATE card SET uid_token = NULL, state = 'replaced', changed_day = ? WHERE uid_token = ? AND number <> ?",
            (day, token, number),
        )

    def _replace(self, db: sqlite3.Connection, old: str, member: str, day: int) -> None:
        row = db.execute("SELECT member, state FROM card WHERE number = ?", (old,)).fetchone()
        if row is None or row[0] != member:
            raise BadgeError(f"the card to be replaced is none of {member!r}")
        if row[1] == "active":
            db.execute("UPDATE card SET state = 'replaced', changed_day = ? WHERE number = ?", (day, old))

    def _state_of(self, db: sqlite3.Connection, number: str) -> State:
        row = db.execute("SELECT state FROM card WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise BadgeError("no card with this number here; see: balise badge list")
        state: State = row[0]
        return state

    def _card(self, where: str, told: object) -> Card | None:
        row = self._row(f"SELECT {_COLUMNS} FROM card LEFT JOIN member ON member.id = member WHERE {where}", told)
        return None if row is None else _card(row)

    def _card_or_fail(self, number: str) -> Card:
        card = self.by_number(number)
        if card is None:
            raise BadgeError("a card that was just written is gone; is something else writing the register?")
        return card

    def _row(self, sql: str, *told: object) -> tuple[Any, ...] | None:
        return next(iter(self._rows(sql, *told)), None)

    def _rows(self, sql: str, *told: object) -> list[tuple[Any, ...]]:
        try:
            return self._db().execute(sql, told).fetchall()
        except sqlite3.Error as error:
            raise BadgeError(f"{self.path}: cannot be read: {error}; check the disk") from error

    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            raise BadgeError(f"{self.path}: not open")
        return self._open


_LOST = "this card is lost; if it is found, say so first: balise badge found {}"


def _may_issue(db: sqlite3.Connection, number: str, member: str) -> None:
    row = db.execute("SELECT ended_day FROM member WHERE id = ?", (member,)).fetchone()
    if row is None:
        raise BadgeError(f"no member {member!r}; add them first: balise badge member {member}")
    if row[0] is not None:
        raise BadgeError(f"{member!r} is no member any more; add them again: balise badge member {member}")
    held = db.execute("SELECT state, member FROM card WHERE number = ?", (number,)).fetchone()
    if held is None or held[0] in ("blank", "ended", "replaced"):
        return
    if held[0] == "lost":
        raise BadgeError(_LOST.format(printed(number)))
    if held[1] != member:
        how = f"balise badge revoke {printed(number)} --reason ended"
        raise BadgeError(f"this card is somebody's; end it first: {how}")


def make_older(db: sqlite3.Connection) -> str:
    """A copy from a backup: of each chip that counts, the counter may have been higher since."""
    db.execute("UPDATE sun SET unsure = 1")
    missing = f"SELECT number, {_NO_COUNTER}, 1 FROM card WHERE grade = 2"
    db.execute(f"INSERT OR IGNORE INTO sun (number, counter, unsure) {missing}")
    return ""


def _card(row: tuple[Any, ...]) -> Card:
    number, token, grade, member, client, *rest = row
    return Card(number, token, grade, member, client or "", *rest)
