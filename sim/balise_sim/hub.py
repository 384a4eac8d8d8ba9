"""The reference hub: verifies every envelope, stores it, and answers with its own signature.

Promises: an envelope is on disk before the answer that names it (wire/SPEC.md, hub protocol); the same name with
other bytes is kept apart and told; and, because it is a simulator's hub, it can be told to misbehave.
Leaves to others: what the readings say (`verdict.py`).
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from balise_wire.envelope import Envelope, HubAnswer, Signer, sign_answer, split_sequence, verify_envelope
from balise_wire.errors import WireError

MAX_BODY_BYTES = 1 << 20
MAX_NONCE_BYTES = 32
STALL_CHECK_S = 1.0
MODES = ("ok", "refuse", "stall", "forget")

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS envelope (
  kid BLOB NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, cose BLOB NOT NULL,
  PRIMARY KEY (kid, log, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conflict (
  kid BLOB NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, cose BLOB NOT NULL,
  UNIQUE (kid, log, seq, cose));
"""


class Conflict(Exception):
    """An envelope whose name is taken by other bytes: proof of a fault, kept and told, never overwritten."""


class HubStore:
    """What the hub holds, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._next: dict[tuple[bytes, int], int] = {}  # below it all is held: no need to look there again

    def close(self) -> None:
        self._db.close()

    def keep(self, cose: bytes, envelope: Envelope) -> None:
        """Stores one verified envelope; a repeat is harmless.

        Raises Conflict when the name is held with other bytes (these are kept in a table of their own).
        """
        name = (envelope.kid, envelope.log, envelope.seq)
        held = self._db.execute("SELECT cose FROM envelope WHERE kid = ? AND log = ? AND seq = ?", name).fetchone()
        if held is None:
            self._db.execute("INSERT INTO envelope VALUES (?, ?, ?, ?)", (*name, cose))
        elif held[0] != cose:
            self._db.execute("INSERT OR IGNORE INTO conflict VALUES (?, ?, ?, ?)", (*name, cose))
            raise Conflict(f"{envelope.kid.hex()}/{envelope.log}/{envelope.seq} is held with other bytes")

    def transaction(self) -> sqlite3.Connection:
        """`with store.transaction():` commits what is kept inside, as one."""
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def held(self, kid: bytes, log: int) -> tuple[int, list[tuple[int, int]]]:
        """(next, ranges): all below next is held, and the ranges [from, to] beyond it."""
        next_seq, ranges = self._next.get((kid, log), 1), list[tuple[int, int]]()
        query = "SELECT seq FROM envelope WHERE kid = ? AND log = ? AND seq >= ? ORDER BY seq"
        rows = self._db.execute(query, (kid, log, next_seq))
        for (seq,) in rows:
            if seq == next_seq:
                next_seq += 1
            elif ranges and seq == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], seq)
            else:
                ranges.append((seq, seq))
        self._next[(kid, log)] = next_seq
        return next_seq, ranges

    def logs(self) -> list[tuple[bytes, int]]:
        return self._db.execute("SELECT DISTINCT kid, log FROM envelope ORDER BY kid, log").fetchall()

    def envelopes(self, kid: bytes, log: int) -> Iterator[tuple[int, bytes]]:
        yield from self._db.execute("SELECT seq, cose FROM envelope WHERE kid = ? AND log = ? ORDER BY seq", (kid, log))

    def conflicts(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM conflict").fetchone()[0])


@dataclass
class Behaviour:
    """How the hub behaves now: one of MODES. The scenario turns this knob."""

    mode: str = "ok"
    retry_after_s: int = 5
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODES, 0))


@dataclass
class Outcome:
    """What became of one request body."""

    names: set[tuple[bytes, int]] = field(default_factory=set)
    refused: list[dict[str, object]] = field(default_factory=list)
    conflicts: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class Reply:
    """An answer: a status as in HTTP, and bytes."""

    status: int
    body: bytes = b""
    retry_after_s: int = 0


class Hub:
    """The hub's protocol (wire/SPEC.md): `app()` serves it.

    `keys` maps the kid of each enrolled gateway to its 32-byte public key; `utc_ms` is the hub's clock.
    """

    def __init__(
        self,
        store: HubStore,
        signer: Signer,
        keys: Mapping[bytes, bytes],
        utc_ms: Callable[[], int],
        behaviour: Behaviour,
    ) -> None:
        self.store, self.behaviour = store, behaviour
        self._signer, self._keys, self._utc_ms = signer, keys, utc_ms

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/batches", self._batches, methods=["POST"]),
                Route("/v1/behaviour", self._turn_knob, methods=["POST"]),
            ]
        )

    def take(self, body: bytes) -> Outcome:
        """Verifies and stores each envelope of a CBOR sequence; on return all that is not refused is on disk."""
        outcome = Outcome()
        with self.store.transaction():
            for index, cose in enumerate(_split(body, outcome)):
                self._take_one(index, cose, outcome)
        return outcome

    def _take_one(self, index: int, cose: bytes, outcome: Outcome) -> None:
        try:
            envelope = verify_envelope(cose, self._keys)
            outcome.names.add((envelope.kid, envelope.log))
            self.store.keep(cose, envelope)
        except WireError as error:
            outcome.refused.append({"index": index, "reason": error.reason, "detail": error.detail})
        except Conflict as error:
            outcome.conflicts.append({"index": index, "reason": "conflict", "detail": str(error)})

    def answers(self, names: set[tuple[bytes, int]], nonce: bytes) -> bytes:
        """A CBOR sequence of signed answers, one per log."""
        answers = []
        for kid, log in sorted(names):
            next_seq, ranges = self.store.held(kid, log)
            answers.append(
                sign_answer(self._signer, HubAnswer(kid, log, next_seq, tuple(ranges), self._utc_ms(), nonce))
            )
        return b"".join(answers)

    async def reply(self, body: bytes, nonce: bytes) -> Reply:
        """Takes a batch and answers it as the knob says, whatever carried it."""
        mode = self.behaviour.mode
        self.behaviour.counts[mode] += 1
        if mode == "refuse":
            return Reply(503, retry_after_s=self.behaviour.retry_after_s)
        while self.behaviour.mode == "stall":
            await asyncio.sleep(STALL_CHECK_S)
        if len(body) > MAX_BODY_BYTES:
            return Reply(413, _json({"error": "too large", "max_bytes": MAX_BODY_BYTES}))
        if not 0 < len(nonce) <= MAX_NONCE_BYTES:
            return Reply(400, _json({"error": f"a nonce of 1 to {MAX_NONCE_BYTES} bytes, please (Balise-Nonce: hex)"}))
        outcome = self.take(body)
        if mode == "forget":
            return Reply(504)
        return self.told(outcome, nonce)

    def told(self, outcome: Outcome, nonce: bytes) -> Reply:
        """What to answer to what became of a batch."""
        if outcome.conflicts:
            return Reply(409, _json({"refused": outcome.conflicts + outcome.refused}))
        if outcome.refused:
            return Reply(400, _json({"refused": outcome.refused}))
        return Reply(200, self.answers(outcome.names, nonce))

    async def _batches(self, request: Request) -> Response:
        reply = await self.reply(await _read_bounded(request), _nonce(request.headers.get("balise-nonce", "")))
        media_type = "application/cose-seq" if reply.status == 200 else "application/json"
        headers = {"Retry-After": str(reply.retry_after_s)} if reply.retry_after_s else None
        return Response(reply.body, reply.status, headers, media_type)

    async def _turn_knob(self, request: Request) -> Response:
        mode = (await request.json()).get("mode")
        if mode not in MODES:
            return JSONResponse({"error": f"mode: one of {', '.join(MODES)}"}, status_code=400)
        self.behaviour.mode = mode
        return JSONResponse({"mode": mode})


def _split(body: bytes, outcome: Outcome) -> Iterator[bytes]:
    """The slices of a CBOR sequence; what follows a malformed item cannot be told apart and is refused with it."""
    slices, index = split_sequence(body), 0
    while True:
        try:
            cose = next(slices, None)
        except WireError as error:
            outcome.refused.append({"index": index, "reason": error.reason, "detail": error.detail})
            return
        if cose is None:
            return
        yield cose
        index += 1


async def _read_bounded(request: Request) -> bytes:
    """The body; one that is too large is cut, and still too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body)


def _nonce(text: str) -> bytes:
    """Empty when there is none to speak of."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
