"""The paths of a phone, below `/badge`: the code for the screen, the form, and the number that comes back.

Promises that without a code of the last minutes nothing is recorded, that a form sent twice is one visit, and that
whoever tries many numbers is told to wait. Leaves the verdict to `take`, and HTML to `page.py`.
"""

import functools
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

from balise_gateway.badges.federation.bodies import address_of, form_of
from balise_gateway.badges.federation.pace import Pace
from balise_gateway.badges.outputs import _words
from balise_gateway.badges.outputs._words import Language
from balise_gateway.badges.phones import page
from balise_gateway.badges.phones.codes import Codes
from balise_gateway.badges.seen import Seen
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import MissingExtra

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

READER = "phone"
TRIES_PER_MIN = 20  # of one address; behind one router there may be several phones
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class PhoneWords:
    """What the pages say of the place: its name, language and time zone, and the address that phones open."""

    name: str
    language: Language
    zone: tzinfo
    url: str


def routes(take: Callable[[Seen], Showing], words: PhoneWords, now_s: Callable[[], float]) -> "list[Route]":
    """The paths. `take` gives the verdict on a number; `now_s` is a clock that never jumps."""
    return _Phones(take, words, now_s).routes()


class _Phones:
    def __init__(self, take: Callable[[Seen], Showing], words: PhoneWords, now_s: Callable[[], float]) -> None:
        self._take, self._words = take, words
        self._codes, self._tries = Codes(now_s), Pace(TRIES_PER_MIN, now_s)

    def routes(self) -> "list[Route]":
        from starlette.routing import Route

        return [
            Route("/phone", self._asked),
            Route("/phone", self._sent, methods=["POST"]),
            Route("/phone/code.svg", self._code),
        ]

    async def _code(self, _request: "Request") -> "Response":
        from starlette.responses import Response

        picture = _svg(f"{self._words.url.rstrip('/')}{page.PATH}?here={self._codes.newest()}")
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
        return Response(picture, media_type="image/svg+xml", headers=headers)

    async def _asked(self, request: "Request") -> "Response":
        here, english = _code_in(request.query_params.get("here", "")), self._english(request.query_params.get("lang"))
        wrong = "" if self._codes.find(here) else "code"
        return _html(page.form(self._words.name, here, english, wrong), 410 if wrong else 200)

    async def _sent(self, request: "Request") -> "Response":
        fields = await form_of(request)
        here, number = _code_in(fields.get("here", "")), fields.get("number", "").strip()
        english = self._english(fields.get("lang"))
        if self._tries.wait_s(address_of(request)):
            return _html(page.form(self._words.name, here, english, "later"), 429)
        code = self._codes.find(here)
        if code is None:
            return _html(page.form(self._words.name, here, english, "code"), 410)
        if not number:
            return _html(page.form(self._words.name, here, english, "missing"), 400)
        showing = code.told(number)
        if showing is None:
            if code.is_full:
                return _html(page.form(self._words.name, here, english, "later"), 429)
            showing = self._take(Seen(via="qr", reader=READER, uri=number))
            code.remember(number, showing)
        said = _words.said(showing, "en" if english else "fr", self._words.zone)
        return _html(page.verdict(self._words.name, said, here, english))

    def _english(self, asked: str | None) -> bool:
        return (asked if asked in ("fr", "en") else self._words.language) == "en"


def _code_in(text: str) -> str:
    """What may be a code of ours; anything else is none."""
    return text if _CODE.fullmatch(text) else ""


@functools.lru_cache(maxsize=4)  # whoever asks all the time does not have it drawn all the time
def _svg(url: str) -> bytes:
    try:
        import segno
    except ImportError as error:
        raise MissingExtra("codes for phones", "segno", "badge") from error
    picture = io.BytesIO()
    segno.make_qr(url, error="m").save(picture, kind="svg", border=3, light="#ffffff", xmldecl=False, omitsize=True)
    return picture.getvalue()


def _html(text: str, status: int = 200) -> "Response":
    from starlette.responses import HTMLResponse

    return HTMLResponse(text, status, page.HEADERS)
