"""What a place's gateway answers to other places over HTTP: paths below `/badge`, where the page server mounts them.

Promises that a wrong question gets a status and one line of JSON that says what is wrong, and that no list is told that
is not sealed. Leaves deciding to the modules that are asked.
"""

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from balise_gateway.badges.federation.bodies import address_of
from balise_gateway.badges.federation.home_lists import HomeLists
from balise_gateway.badges.federation.lists import checked_host
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.errors import BadgeError, PaperError
from balise_gateway.log import event

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

COSE, SEQUENCE = "application/cose", "application/cose-seq"
MAX_NUMBER_CHARS = 18
NowS = Callable[[], int | None]  # UTC in seconds, None while nobody knows


def list_routes(lists: HomeLists, now_utc_s: NowS, zone: ZoneInfo, pace: Pace) -> "list[Route]":
    """`GET /v1/lists/<host>?from=N`: 200 with signed messages, 204 when there is nothing newer."""
    from starlette.routing import Route

    async def told(request: "Request") -> "Response":
        return later(pace, request) or await _list(lists, request, now_utc_s(), zone)

    return [Route("/v1/lists/{host}", told)]


def guest_list_route(of: Callable[[str], HomeLists | None], now_utc_s: NowS, zone: ZoneInfo, pace: Pace) -> "Route":
    """`GET /v1/of/<home>/lists/<host>?from=N`: the same for a guest place, which has no gateway of its own."""
    from starlette.routing import Route

    async def told(request: "Request") -> "Response":
        try:
            lists = of(request.path_params["home"])
        except BadgeError as error:
            event("guest places cannot be used", why=error)
            return refused(503, "not now", "this place's files cannot be used; try again later")
        if lists is None:
            return refused(404, "unknown place", "no guest place of this name here")
        return later(pace, request) or await _list(lists, request, now_utc_s(), zone)

    return Route("/v1/of/{home}/lists/{host}", told)


async def _list(lists: HomeLists, request: "Request", now_s: int | None, zone: ZoneInfo) -> "Response":
    from starlette.responses import Response

    text = request.query_params.get("from", "0")
    if not text.isascii() or not text.isdigit() or len(text) > MAX_NUMBER_CHARS:
        return refused(400, "malformed", "from: the number of a list, or 0 for the whole list")
    if now_s is None:
        return refused(503, "the clock is not known", "this place does not know the time yet; try again later")
    try:
        data = await lists.message_beside(checked_host(request.path_params["host"]), int(text), now_s, zone)
    except PaperError as error:
        return refused(404 if error.reason == "unknown place" else 400, error.reason, str(error))
    return Response(data, 200 if data else 204, media_type=SEQUENCE)


def table_route(table: TableCache) -> "Route":
    """`GET /v1/table`: the table as this place holds it; it proves itself, whoever hands it on."""
    from starlette.responses import Response
    from starlette.routing import Route

    async def told(_request: "Request") -> Response:
        data = table.signed()
        return Response(data, media_type=COSE) if data else refused(404, "none", "no table of places here yet")

    return Route("/v1/table", told)


def later(pace: Pace, request: "Request") -> "Response | None":
    """The answer to whoever asks too often; None for all others."""
    wait_s = pace.wait_s(address_of(request))
    if not wait_s:
        return None
    answer = refused(429, "later", "too many requests")
    answer.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    return answer


def refused(status: int, reason: str, detail: str) -> "Response":
    """An answer that says no, and why."""
    from starlette.responses import Response

    return Response(json.dumps({"error": reason, "detail": detail}), status, media_type="application/json")
