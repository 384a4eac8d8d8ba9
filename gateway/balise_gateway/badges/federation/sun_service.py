"""SUN messages of another home's cards: the host asks that home, at once or when it answers again.

Promises that a message is accepted once, for one tap of one host, however often that host has to ask; that a replay is
refused; and that a tap keeps waiting until its home has answered or its time is forgotten. Leaves the
chip's keys to `cards/`, and which readings count to `counters.py`.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balise_gateway.badges.cards.recognise import TakeCounter
from balise_gateway.badges.database import open_database, transaction
from balise_gateway.badges.desk.book import Book, Tap
from balise_gateway.badges.federation import counters
from balise_gateway.badges.federation.bodies import Bodies, BodyRefused, address_of
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.paths import COSE, refused
from balise_gateway.badges.federation.strangers import is_secret_way, reason_of
from balise_gateway.badges.turns import Steps, at_once, in_turns
from balise_gateway.delivery.http_hub import Http
from balise_gateway.errors import BadgeError, HubError, JournalError, MissingExtra, PaperError
from balise_gateway.log import event
from balise_wire.card import parse_address
from balise_wire.cose import kid_of
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.places import Place, Table
from balise_wire.sun_check import (
    MAX_MESSAGES,
    SunAnswer,
    SunMessage,
    SunOutcome,
    SunQuestion,
    digest_of,
    read_question,
    read_sun_answer,
    sign_question,
    sign_sun_answer,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

FILE_NAME = "sun.db"
PATH = "/v1/sun"  # below /badge
GRADE = 2
UNSURE = "unsure"  # the home cannot say: the tap keeps the grade that it had, and is no replay
_REASONS = ("signature", "replay", "revoked", UNSURE)
REASONS = ("signature", "replay", "revoked")  # why a message is refused; another home may write what it likes
MAX_BODY_BYTES = 64 << 10
TIMEOUT_S = 30.0
DAY_S = 86_400
KEEP_S = 90 * DAY_S
MAX_A_DAY = 20_000  # messages of one host
LATER_S = 3_600
_STEPS = (
    """
    CREATE TABLE answered (
      host TEXT NOT NULL, tap INTEGER NOT NULL, message BLOB NOT NULL, grade INTEGER, reason TEXT NOT NULL,
      at_utc_s INTEGER NOT NULL, PRIMARY KEY (host, tap, message)) STRICT, WITHOUT ROWID;
    """,
    counters.STEP,
)
Verify = Callable[
    [SunMessage, TakeCounter], object
]  # raises PaperError when the message does not hold, or was shown before
TableNow = Callable[[], Table | None]


class SunHome:
    """The home's side. `signer` is the place's key; `take` is the register's `take_counter`."""

    def __init__(
        self, data_dir: Path, place: str, signer: Signer, table: TableNow, verify: Verify, take: TakeCounter
    ) -> None:
        self._place, self._signer, self._table, self._verify = place, signer, table, verify
        self._db = open_database(data_dir / FILE_NAME, _STEPS)
        self.counters = counters.Counters(self._db, take)
        self._asked: dict[str, tuple[int, int]] = {}  # by host: which day, how many messages

    def close(self) -> None:
        self._db.close()

    def answer(self, data: bytes, now_utc_s: int) -> bytes:
        """The signed answer to a signed question; the same tap and message get the same answer again.

        Raises PaperError for a question of nobody we know, or not for us.
        """
        return at_once(self.answering(data, now_utc_s))

    def answering(self, data: bytes, now_utc_s: int) -> Steps[bytes]:
        """The same, a step for each message: each is a write to the disk, and a card at the door waits meanwhile."""
        table = self._table()
        places = table.places if table else ()
        try:
            kid, asked = read_question(data, {kid_of(key): key for place in places for key in place.sign})
        except WireError as error:
            raise PaperError(error.reason, error.detail) from error
        host = table.by_id.get(asked.host) if table else None
        if host is None or kid not in {kid_of(key) for key in host.sign}:
            raise PaperError("foreign host", f"key id {kid.hex()} does not sign for {asked.host}")
        if asked.home != self._place:
            raise PaperError("not for us", f"a question for {asked.home}; this is {self._place}")
        self._count(asked.host, len(asked.messages), now_utc_s // DAY_S)
        outcomes = []
        for message in asked.messages:
            outcomes.append(self._outcome(asked.host, message, now_utc_s))
            yield
        return sign_sun_answer(self._signer, SunAnswer(self._place, asked.host, digest_of(data), tuple(outcomes)))

    def _count(self, host: str, messages: int, day: int) -> None:
        """One place must not fill the disk with questions, each of which is kept for ninety days."""
        since, asked = self._asked.get(host, (day, 0))
        self._asked[host] = (day, messages + (asked if since == day else 0))
        if self._asked[host][1] > MAX_A_DAY:
            raise PaperError("too much", f"{host} asked about more than {MAX_A_DAY} messages today")

    def _outcome(self, host: str, message: SunMessage, now_utc_s: int) -> SunOutcome:
        said = hashlib.sha256(message.number.encode() + message.picc_data + message.cmac).digest()
        name = (host, message.tap, said)
        query = "SELECT grade, reason FROM answered WHERE host = ? AND tap = ? AND message = ?"
        held = self._db.execute(query, name).fetchone()
        if held is not None:
            return SunOutcome(message.tap, *held)
        try:
            self._verify(message, self.counters.at(message.t, message.u))
            grade, reason = GRADE, ""
        except PaperError as error:
            grade, reason = None, error.reason
            event("card's message refused", host=host, tap=message.tap, reason=reason)
        with transaction(self._db) as db:
            db.execute("INSERT INTO answered VALUES (?, ?, ?, ?, ?, ?)", (*name, grade, reason, now_utc_s))
            db.execute("DELETE FROM answered WHERE at_utc_s < ?", (now_utc_s - KEEP_S,))
            self.counters.forget(now_utc_s - KEEP_S)
        return SunOutcome(message.tap, grade, reason)


class SunAsker:
    """The host's side. `upgrade` says in the journal that a tap has a grade; `signer` is the place's key."""

    def __init__(
        self, place: str, signer: Signer, table: TableNow, book: Book, upgrade: Callable[[Tap, int], None], http: Any
    ) -> None:
        self._place, self._signer, self._table, self._book = place, signer, table, book
        self._upgrade, self._http = upgrade, Http(http, TIMEOUT_S, "asking other places", quote=reason_of)
        self.away: dict[str, str] = {}  # homes that did not answer, or not well, and what was said

    async def once(self) -> None:
        """Asks each home about the taps that wait for it. Never raises for what others do, nor for the disk."""
        waiting: dict[str, list[tuple[Tap, SunMessage]]] = {}
        for tap, uri in self._book.sun_waiting():
            message = self._message(tap, uri)
            if message is not None and tap.home is not None:
                waiting.setdefault(tap.home, []).append((tap, message))
        for home, found in waiting.items():
            try:
                await self._ask(home, found[:MAX_MESSAGES])
                self.away.pop(home, None)
            except (HubError, BadgeError, JournalError, MissingExtra, WireError) as error:
                if self.away.get(home) != str(error):
                    event("place did not answer well", place=home, why=error)
                self.away[home] = str(error)

    async def close(self) -> None:
        await self._http.close()

    def _message(self, tap: Tap, uri: str) -> SunMessage | None:
        try:
            address = parse_address(uri)
        except WireError as error:  # it was one when it was written down
            event("card's message refused", tap=tap.tap, reason=error.reason)
            self._book.sun_answered(tap.tap, None, error.reason)
            return None
        return SunMessage(tap.tap, address.number, address.picc_data, address.cmac, tap.utc_s, tap.unsure_s)

    async def _ask(self, home: str, found: list[tuple[Tap, SunMessage]]) -> None:
        table = self._table()
        place = table.by_id.get(home) if table else None
        if place is None or not place.visits:
            raise PaperError("unknown place", f"the table has no address of {home} to ask")
        question = sign_question(self._signer, SunQuestion(home, self._place, tuple(message for _, message in found)))
        if not is_secret_way(place.visits):
            raise PaperError("not https", f"the table has {home} at an address that anybody on the way can read")
        url, headers = place.visits.rstrip("/") + PATH, {"Content-Type": COSE}
        answer = await self._http.ask("POST", url, headers, question)
        self._take(place, question, answer.body, {tap.tap: tap for tap, _ in found})

    def _take(self, home: Place, question: bytes, data: bytes, asked: dict[int, Tap]) -> None:
        if len(data) > MAX_BODY_BYTES:
            raise PaperError("too large", f"{home.id} answered {len(data)} bytes; at most {MAX_BODY_BYTES}")
        try:
            told = read_sun_answer(data, {kid_of(key): key for key in home.sign})
        except WireError as error:
            raise PaperError(error.reason, f"answer of {home.id}: {error.detail}") from error
        if (told.home, told.host, told.question) != (home.id, self._place, digest_of(question)):
            raise PaperError("not for us", f"{home.id} answered another question")
        for outcome in told.outcomes:
            tap = asked.get(outcome.tap)
            if tap is None:
                continue
            if outcome.grade is not None:
                self._upgrade(tap, outcome.grade)
            else:
                reason = outcome.reason if outcome.reason in _REASONS else "other"  # what it says may name a card
                event("card's message refused", tap=tap.tap, reason=reason)
            held = tap.grade if outcome.reason == UNSURE else outcome.grade
            self._book.sun_answered(tap.tap, held, outcome.reason if outcome.reason in REASONS else "refused")


def sun_route(home: SunHome, now_utc_s: Callable[[], int | None], pace: Pace, bodies: Bodies) -> "Route":
    """`POST /v1/sun`: a signed question, a signed answer."""
    from starlette.responses import Response
    from starlette.routing import Route

    async def answered(request: "Request") -> "Response":
        now_s = now_utc_s()
        if pace.wait_s(address_of(request)):
            return refused(429, "later", "too many requests")
        if now_s is None:
            return refused(503, "later", "this place does not know the time yet")
        try:
            body = await bodies.read(request, MAX_BODY_BYTES)
            return Response(await in_turns(home.answering(body, now_s)), media_type=COSE)
        except BodyRefused as error:
            return refused(error.status, error.reason, str(error))
        except PaperError as error:
            if error.reason == "too much":
                answer = refused(429, "later", str(error))
                answer.headers["Retry-After"] = str(LATER_S)
                return answer
            return refused(403 if error.reason in ("unknown key", "foreign host") else 400, error.reason, str(error))
        except BadgeError as error:
            event("card's message not checked", why=error)
            return refused(503, "later", "the disk refuses; later, please")

    return Route(PATH, answered, methods=["POST"])
