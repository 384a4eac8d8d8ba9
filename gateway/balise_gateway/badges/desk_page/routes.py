"""The desk page of a place: subscribers, visits typed by hand, and their cancelling, at `/badge/desk`.

Promises that without the place's token nothing is shown or done, that a request from another site's page does nothing,
that every text from outside is escaped, and that the page works on a phone and without JavaScript. Leaves what is done
to `places.py`, words to `words.py`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from balise_gateway.badges.csp import hash_source
from balise_gateway.badges.desk_page import page as desk_html
from balise_gateway.badges.desk_page.page import HOME
from balise_gateway.badges.desk_page.places import DeskPlace, Guests
from balise_gateway.badges.desk_page.words import STYLE
from balise_gateway.badges.federation.bodies import address_of, form_of
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.errors import BadgeError
from balise_gateway.log import event

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

COOKIE = "balise_desk"
LASTS_S = 12 * 3_600
TRIES_PER_MIN, REQUESTS_PER_MIN = 10, 120
_DAY_S = 86_400
_TIME = re.compile(r"([01]?\d|2[0-3])[:hH.]([0-5]\d)")
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src {hash_source(STYLE)}; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # with "no-referrer" a browser would hide where a form comes from
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_KNOWN = frozenset(
    ("unknown", "revoked", "number", "number taken", "name", "time", "twice", "no clock", "choice", "gone", "elsewhere")
)
Fields = Mapping[str, str]
Deed = Callable[[DeskPlace, Fields], dict[str, str]]


def routes(
    guests: Guests, say: Callable[[], object], pace_clock: Callable[[], float], stale_days: float
) -> "list[Route]":
    """The paths, below `/badge`. `say` is called after each deed, so that it is signed soon."""
    return _Pages(guests, say, pace_clock, stale_days).routes()


class _Pages:
    def __init__(
        self, guests: Guests, say: Callable[[], object], now_s: Callable[[], float], stale_days: float
    ) -> None:
        self._guests, self._say, self._stale_s = guests, say, stale_days * _DAY_S
        self._tries, self._requests = Pace(TRIES_PER_MIN, now_s), Pace(REQUESTS_PER_MIN, now_s)

    def routes(self) -> "list[Route]":
        from starlette.routing import Route

        deeds: dict[str, Deed] = {"record": _record, "cancel": _cancel, "enter": _enter, "end": _end}
        return [
            Route("/desk", self._shown),
            Route("/desk/open", self._opened, methods=["POST"]),
            Route("/desk/leave", self._left, methods=["POST"]),
            *(Route(f"/desk/{name}", self._doing(deed), methods=["POST"]) for name, deed in deeds.items()),
        ]

    async def _shown(self, request: "Request") -> "Response":
        english = request.query_params.get("lang") == "en"
        if self._requests.wait_s(address_of(request)):
            return _html(desk_html.door(english, "later"), 429)
        try:
            place = self._place(request)
            if place is None:
                return _html(desk_html.door(english, request.query_params.get("bad", "")))
            return _html(desk_html.desk(place, english, request.query_params, self._stale_s))
        except BadgeError as error:
            event("desk page failed", why=error)
            return _html(desk_html.door(english, "no clock" if str(error) == "no clock" else "disk"), 503)

    async def _opened(self, request: "Request") -> "Response":
        """The token is typed: from now on the browser shows it, for half a day."""
        if self._tries.wait_s(address_of(request)):
            return _back(request, {"bad": "later"})
        fields = await form_of(request)
        if not _is_own(request):
            return _html(desk_html.door(_is_english(fields), "origin"), 403)
        token = fields.get("token", "").strip()
        try:
            known = self._guests.find(token) is not None
        except BadgeError as error:
            event("desk page failed", why=error)
            return _back(request, {"bad": "disk"}, fields)
        answer = _back(request, {} if known else {"bad": "token"}, fields)
        if known:
            secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
            told: dict[str, Any] = {"httponly": True, "samesite": "strict", "secure": secure}
            answer.set_cookie(COOKIE, token, max_age=LASTS_S, path=HOME, **told)
        return answer

    async def _left(self, request: "Request") -> "Response":
        answer = _back(request, {}, await form_of(request))
        answer.delete_cookie(COOKIE, path=HOME)
        return answer

    def _doing(self, deed: Deed) -> "Callable[[Request], Awaitable[Response]]":
        """The handler of one deed: it does it, then leads back to the page, so that a reload repeats nothing."""

        async def done(request: "Request") -> "Response":
            if self._requests.wait_s(address_of(request)):
                return _html(desk_html.door(False, "later"), 429)
            fields = await form_of(request)
            if not _is_own(request):
                return _html(desk_html.door(_is_english(fields), "origin"), 403)
            try:
                place = self._place(request)
                if place is None:
                    return _back(request, {"bad": "token"}, fields)
                told = deed(place, fields)
                self._say()
            except BadgeError as error:
                reason = str(error)
                if reason not in _KNOWN:
                    event("desk page failed", why=error)
                return _back(request, {"bad": reason if reason in _KNOWN else "disk"}, fields)
            return _back(request, told, fields)

        return done

    def _place(self, request: "Request") -> DeskPlace | None:
        """The place whose token this request shows, in the cookie or as a bearer."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
        return self._guests.find(shown) if shown else None


def _record(place: DeskPlace, fields: Fields) -> dict[str, str]:
    member, number = fields.get("member", ""), fields.get("number", "").strip()
    if bool(member) == bool(number):
        raise BadgeError("choice")
    at = place.at(_minutes(fields.get("time", "")))
    line = place.record_member(member, at) if member else place.record_number(number, at)
    return {"done": line.direction, "at": place.clock_time(line.utc_s)}


def _cancel(place: DeskPlace, fields: Fields) -> dict[str, str]:
    tap = fields.get("tap", "")
    if not tap.isascii() or not tap.isdigit() or not place.cancel(int(tap[:18])):
        raise BadgeError("gone")
    return {"done": "cancel"}


def _enter(place: DeskPlace, fields: Fields) -> dict[str, str]:
    place.enter(fields.get("name", ""), fields.get("number", ""))
    return {"done": "enter"}  # the number stands in the page, not in an address that others may write down


def _end(place: DeskPlace, fields: Fields) -> dict[str, str]:
    place.end(fields.get("member", ""))
    return {"done": "end"}


def _minutes(text: str) -> int | None:
    if not text.strip():
        return None
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadgeError("time")
    return int(found[1]) * 60 + int(found[2])


def _is_own(request: "Request") -> bool:
    """Whether the request comes from a page of ours: else another site's form could act with the cookie.

    A request that shows its token as a bearer is no browser's form, and may come from anywhere.
    """
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("origin", "").partition("://")[2] == request.headers.get("host", "") != ""


def _is_english(fields: Fields) -> bool:
    return fields.get("lang") == "en"


def _back(request: "Request", told: dict[str, str], fields: Fields | None = None) -> "Response":
    from starlette.responses import RedirectResponse

    query = told | ({"lang": "en"} if _is_english(fields or {}) else {})
    return RedirectResponse(HOME + ("?" + urlencode(query) if query else ""), 303, HEADERS)


def _html(text: str, status: int = 200) -> "Response":
    from starlette.responses import HTMLResponse

    return HTMLResponse(text, status, HEADERS)
