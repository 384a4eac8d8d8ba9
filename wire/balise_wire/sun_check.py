"""A host asks a home about SUN messages of its cards, and what the home answers (BADGES.md section 9); CPython only.

Promises that only a question of a host in the table and an answer of that home to that question pass. Leaves verifying
a message to the home's gateway, and when to ask to the host's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from balise_wire import cbor, checks, cose
from balise_wire.card import CMAC_BYTES, PICC_DATA_BYTES, parse_number
from balise_wire.envelope import Signer
from balise_wire.errors import WireError
from balise_wire.visits import GRADES, place_of

MAX_MESSAGES = 100
DIGEST_BYTES = 32
_QUESTION, _ANSWER = 36, 37
MAX_REASON_CHARS = 40


@dataclass(frozen=True)
class SunMessage:
    """What a chip said at one tap of the host. `t` is UTC give or take `u`, None where the host does not know."""

    tap: int
    number: str = field(repr=False)
    picc_data: bytes = field(repr=False)
    cmac: bytes = field(repr=False)
    t: int | None = None
    u: int = 0


@dataclass(frozen=True)
class SunQuestion:
    """Are these messages of cards of yours?"""

    home: str
    host: str
    messages: tuple[SunMessage, ...]


@dataclass(frozen=True)
class SunOutcome:
    """Of one tap: its grade, or why it has none."""

    tap: int
    grade: int | None
    reason: str = ""


@dataclass(frozen=True)
class SunAnswer:
    """What the home found. `question`: SHA-256 of the signed question."""

    home: str
    host: str
    question: bytes
    outcomes: tuple[SunOutcome, ...]


def sign_question(signer: Signer, asked: SunQuestion) -> bytes:
    """The question, signed with the host's place key. Raises WireError."""
    told = [[m.tap, m.number, m.picc_data, m.cmac, m.t, m.u] for m in asked.messages]
    body: list[object] = [_QUESTION, asked.home, asked.host, told]
    _question_of(body)
    return signer.sign(cbor.encode(body))


def read_question(data: bytes, keys: Mapping[bytes, bytes]) -> tuple[bytes, SunQuestion]:
    """(key id, question), if one of `keys` signed it; whether that key is its host's is for the caller to see."""
    kid, payload = cose.verify1(data, keys)
    return kid, _question_of(checks.array(cbor.decode(payload), "question"))


def sign_sun_answer(signer: Signer, told: SunAnswer) -> bytes:
    """The answer, signed with the home's place key. Raises WireError."""
    outcomes = [[o.tap, o.grade, o.reason] for o in told.outcomes]
    body: list[object] = [_ANSWER, told.home, told.host, told.question, outcomes]
    _answer_of(body)
    return signer.sign(cbor.encode(body))


def read_sun_answer(data: bytes, keys: Mapping[bytes, bytes]) -> SunAnswer:
    """The answer, if one of `keys` (its home's, by key id) signed it."""
    _, payload = cose.verify1(data, keys)
    return _answer_of(checks.array(cbor.decode(payload), "answer"))


def digest_of(question: bytes) -> bytes:
    """What an answer names its question by."""
    return hashlib.sha256(question).digest()


def _question_of(members: list[object]) -> SunQuestion:
    if len(members) != 4 or members[0] != _QUESTION:
        raise WireError("malformed", "a question is [36, home, host, messages]")
    told = checks.array(members[3], "messages")
    if not 0 < len(told) <= MAX_MESSAGES:
        raise WireError("malformed", f"a question of {len(told)} messages: 1 to {MAX_MESSAGES}")
    messages = tuple(_message(checks.array(each, "message", 6)) for each in told)
    return SunQuestion(place_of(members[1], "home"), place_of(members[2], "host"), messages)


def _message(members: list[object]) -> SunMessage:
    number = checks.text(members[1], "card number")
    if parse_number(number) != number:
        raise WireError("malformed", "a card number that is not written as ten characters")
    return SunMessage(
        checks.uint(members[0], "tap of a message"),
        number,
        checks.binary(members[2], "PICC data", PICC_DATA_BYTES),
        checks.binary(members[3], "CMAC", CMAC_BYTES),
        None if members[4] is None else checks.uint(members[4], "t of a message"),
        checks.uint(members[5], "u of a message"),
    )


def _answer_of(members: list[object]) -> SunAnswer:
    if len(members) != 5 or members[0] != _ANSWER:
        raise WireError("malformed", "an answer is [37, home, host, question, outcomes]")
    told = tuple(_outcome(checks.array(each, "outcome", 3)) for each in checks.array(members[4], "outcomes"))
    question = checks.binary(members[3], "digest of a question", DIGEST_BYTES)
    return SunAnswer(place_of(members[1], "home"), place_of(members[2], "host"), question, told)


def _outcome(members: list[object]) -> SunOutcome:
    tap, grade, reason = members
    text = checks.text(reason, "reason")
    if len(text) > MAX_REASON_CHARS or not text.isprintable() or (grade is None) != bool(text):
        raise WireError("malformed", "an outcome has a grade, or a short reason why there is none")
    found = None if grade is None else checks.uint(grade, "grade", max(GRADES))
    return SunOutcome(checks.uint(tap, "tap of an outcome"), found, text)
