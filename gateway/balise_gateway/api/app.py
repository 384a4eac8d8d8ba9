"""API v1 over HTTP: streams, latest, history, export, events.

Promises that nothing is told without a key, and nothing beyond its scope; that every answer with data is tallied for
the ledger; that a wrong question gets `application/problem+json` (RFC 9457) which says what to try; and that a revoked
key ends also an open stream of events. Leaves keys to `access.py`, rows to `history.py`, the form to `forms.py`.
"""

import asyncio
import datetime
import itertools
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from balise_gateway.api import forms, openapi
from balise_gateway.api.access import Access, Key
from balise_gateway.api.history import DAY_MS, History, Question
from balise_gateway.api.tally import Tally
from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.errors import AccessError, JournalError
from balise_gateway.grants.rules import Granted, Site
from balise_gateway.journal import Journal
from balise_gateway.logbook.rows import YEAR_10000_MS, HubRow

DEFAULT_LIMIT, MAX_LIMIT = 1_000, 10_000
MAX_WINDOW_S = 31 * 86_400
LOOK_S, HEARTBEAT_S = 1.0, 15.0
PIECE_ROWS = 200  # of an export, before others get their turn


class Problem(Exception):
    """An answer that is not the one that was asked for."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers or {}


@dataclass(frozen=True)
class Room:
    """What the API needs of the gateway."""

    journal: Journal
    clock: Clock
    access: Access
    tally: Tally
    sites: Mapping[bytes, Site]
    zone: ZoneInfo


def routes(room: Room) -> list[Route]:
    """The API's paths."""
    api = Api(room)
    plain = Route("/api/v1/openapi.json", lambda _request: JSONResponse(openapi.document()))
    found = {"streams": api.streams, "latest": api.latest, "history": api.history, "export": api.export}
    paths = [Route(f"/api/v1/{name}", _answered(each, room.journal)) for name, each in found.items()]
    return [plain, *paths, Route("/api/v1/events", _answered(api.events, room.journal))]


class Api:
    """The handlers. Each takes a request and raises Problem."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._kid_of = {site.name: kid for kid, site in room.sites.items()}

    async def streams(self, request: Request) -> Response:
        """What this key may read: each stream of the last 31 days with its meaning."""
        key = self._enter(request)
        now_ms = self._now_ms()
        question = self._question(request, key, now_ms - 31 * DAY_MS, now_ms + DAY_MS, names=())
        found: dict[str, dict[str, Any]] = {}
        for row in self._history(key).latest(question):
            found |= forms.streams(row)
        return self._told(key, len(found), {"streams": found})

    async def latest(self, request: Request) -> Response:
        """The newest row of each node."""
        key = self._enter(request)
        now_ms = self._now_ms()
        question = self._question(request, key, now_ms - DAY_MS, now_ms + DAY_MS, names=("stream", "window_s"))
        rows = self._history(key).latest(question)
        return self._told(key, len(rows), forms.document(rows, question.window_s, None))

    async def history(self, request: Request) -> Response:
        """A page of rows."""
        key = self._enter(request)
        limit = _whole(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        question = self._asked(request, key)
        found = list(itertools.islice(self._history(key).rows(question), limit + 1))
        rows, next_ms = found[:limit], None
        if len(found) > limit:
            next_ms = found[limit].utc_ms
            rows = [row for row in rows if row.utc_ms < next_ms]
            if not rows:
                raise Problem(400, "limit too small", f"more than {limit} rows share one moment; ask for more at once")
        return self._told(key, len(rows), forms.document(rows, question.window_s, next_ms))

    async def export(self, request: Request) -> Response:
        """All rows as a file."""
        key = self._enter(request)
        name = request.query_params.get("format", "csv")
        if name not in forms.FORMATS:
            raise Problem(400, "unknown format", f"format = {name!r}; choose one of: {', '.join(forms.FORMATS)}")
        question = self._asked(request, key)
        form = forms.FORMATS[name]
        rows = self._history(key).rows(question)
        headers = {"Content-Disposition": f'attachment; filename="balise-export.{form.suffix}"'}
        return StreamingResponse(self._pieces(key, form, rows), media_type=form.media_type, headers=headers)

    async def events(self, request: Request) -> Response:
        """New rows as they are committed, as server-sent events."""
        key = self._enter(request)
        if key.grant.resolution_s or key.grant.delay_ms:
            why = f"this key sees windows of {key.grant.resolution_s} s, {key.grant.delay_s:g} s late; ask for history"
            raise Problem(403, "not live", why)
        now_ms = self._now_ms()
        since_ms = _moment(request.headers.get("last-event-id", str(now_ms)), "Last-Event-ID")
        wants = self._wants(request)
        return StreamingResponse(self._stream(key, since_ms, wants), media_type="text/event-stream")

    def _enter(self, request: Request) -> Key:
        """The key of this request, if it may come in now."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            key = self._room.access.find(token.strip()) if scheme.lower() == "bearer" else None
        except AccessError as error:
            raise Problem(503, "keys cannot be read", str(error)) from error
        if key is None or key.is_over(self._now_ms(), self._room.zone):
            detail = "send a key of this gateway: Authorization: Bearer balise_…; its host makes them"
            raise Problem(401, "no key", detail, {"WWW-Authenticate": "Bearer"})
        wait_s = self._room.access.wait_s(key)
        if wait_s:
            detail = f"{key.per_min} requests a minute are let through; come again later"
            raise Problem(429, "too many requests", detail, {"Retry-After": str(math.ceil(round(wait_s, 3)))})
        return key

    def _now_ms(self) -> int:
        now_ms = known_utc_ms(self._room.clock)
        if now_ms is None:
            raise Problem(503, "the clock is not known", "the gateway does not know the time yet; try again soon")
        return now_ms

    def _history(self, key: Key) -> History:
        view = Granted(key.grant, self._room.sites, self._room.zone)
        return History(self._room.journal.db, view, self._kid_of, known_utc_ms(self._room.clock))

    def _asked(self, request: Request, key: Key) -> Question:
        """The question of `history` and `export`."""
        now_ms = self._now_ms()
        params = request.query_params
        from_ms = _moment(params["from"], "from") if "from" in params else now_ms - DAY_MS
        to_ms = _moment(params["to"], "to") if "to" in params else now_ms + DAY_MS
        if from_ms >= to_ms:
            raise Problem(400, "empty time", f"from = {from_ms} is not before to = {to_ms}; exchange them")
        names = ("stream", "window_s", "from", "to", "limit", "format")
        return self._question(request, key, from_ms, to_ms, names)

    def _question(self, request: Request, key: Key, from_ms: int, to_ms: int, names: tuple[str, ...]) -> Question:
        for name in request.query_params:
            if name not in names:
                told = ", ".join(names) or "none"
                raise Problem(400, "unknown parameter", f"{name!r}; this path takes: {told}")
        least = key.grant.resolution_s
        window_s = _whole(request, "window_s", least, 0, MAX_WINDOW_S)
        if window_s < least or (least and window_s % least):
            raise Problem(403, "too fine", f"window_s = {window_s}; this key sees windows of {least} s or multiples")
        return Question(from_ms, to_ms, self._wants(request), window_s)

    def _wants(self, request: Request) -> Callable[[str, str], bool]:
        """Patterns as `node/channel`; none: all."""
        patterns = request.query_params.getlist("stream")
        if not patterns:
            return lambda _node, _channel: True
        return lambda node, channel: any(fnmatchcase(f"{node}/{channel}", pattern) for pattern in patterns)

    def _told(self, key: Key, rows: int, document: Mapping[str, Any]) -> Response:
        answer = JSONResponse(document)
        self._room.tally.note(key.name, key.grant.purpose, rows, len(answer.body))
        return answer

    async def _pieces(self, key: Key, form: forms.Form, rows: Iterator[HubRow]) -> AsyncIterator[bytes]:
        for piece in form.pieces(rows, PIECE_ROWS):
            self._room.tally.note(key.name, key.grant.purpose, piece.rows, len(piece.data))
            yield piece.data
            await asyncio.sleep(0)
            if not self._room.access.is_known(key):
                return

    async def _stream(self, key: Key, since_ms: int, wants: Callable[[str, str], bool]) -> AsyncIterator[bytes]:
        """Rows newer than `since_ms`; a comment when nothing came for a while, so that both ends know."""
        quiet_s = 0.0
        while self._room.access.is_known(key) and not key.is_over(self._now_ms(), self._room.zone):
            question = Question(since_ms + 1, self._now_ms() + DAY_MS, wants)
            rows = list(self._history(key).rows(question))
            if rows:
                since_ms, quiet_s = rows[-1].utc_ms, 0.0
                data = b"".join(forms.event(row) for row in rows)
                self._room.tally.note(key.name, key.grant.purpose, len(rows), len(data))
                yield data
            elif quiet_s >= HEARTBEAT_S:
                quiet_s = 0.0
                yield b": nothing new\n\n"
            await asyncio.sleep(LOOK_S)
            quiet_s += LOOK_S


def _answered(handle: Callable[[Request], Any], journal: Journal) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            with journal.reading():
                found: Response = await handle(request)
                return found
        except Problem as problem:
            return _problem(problem)
        except JournalError as error:
            return _problem(Problem(503, "the journal cannot be read", str(error)))

    return answer


def _problem(problem: Problem) -> Response:
    body = {"status": problem.status, "title": problem.title, "detail": problem.detail}
    content = json.dumps(body, ensure_ascii=False)
    return Response(content, problem.status, problem.headers, "application/problem+json")


def _whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise Problem(400, f"wrong {name}", f"{name} = {text!r}; give a whole number from {least} to {most}")
    return int(text)


def _moment(text: str, name: str) -> int:
    """UTC milliseconds, from themselves or from RFC 3339 with an offset; what was before 1970 is 1970."""
    if text.isascii() and text.isdigit() and int(text[:16]) < YEAR_10000_MS and len(text) <= 15:
        return int(text)
    try:
        found = datetime.datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
        return min(max(0, round(found.timestamp() * 1000)), YEAR_10000_MS)
    except (ValueError, OverflowError):
        said = "milliseconds since 1970, or RFC 3339 with its offset, such as 2026-05-01T00:00:00+02:00"
        raise Problem(400, f"wrong {name}", f"{name} = {text!r}; give {said}") from None
