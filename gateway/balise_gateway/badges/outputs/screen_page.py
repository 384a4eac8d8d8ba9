"""A screen by HDMI, or any browser: the page `/badge/screen` on the gateway's own page server.

Promises that a page which is open shows a verdict as soon as it is known, and that a page which comes late, or comes
back, shows what is shown now. Whoever can open the gateway's page can see this screen: it holds no name and no number.
Leaves the page to `_page.py`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from balise_gateway.badges import needs
from balise_gateway.badges.outputs import _page
from balise_gateway.badges.outputs._screen import ScreenSettings
from balise_gateway.badges.outputs._words import Language, Said
from balise_gateway.badges.showing import Showing
from balise_gateway.errors import MissingExtra
from balise_gateway.settings import Key

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

NEEDS = needs.NOTHING

MAX_OPEN = 24  # pages at a time: one at the door, some for those who look after it


@dataclass(frozen=True, kw_only=True)
class Settings(ScreenSettings):
    """[[output]] kind = "screen_page" """

    NEEDS_PAGE: ClassVar[bool] = True
    phone_url: Annotated[str, Key("what its code for phones leads to; empty: as [badge] says")] = ""


@dataclass
class _Page:
    """A page that is open: where, and whether it must make room for another."""

    loop: asyncio.AbstractEventLoop
    address: str
    must_go: bool = False


class Output:
    """What the page shows. `routes()` is mounted on the page server; `[page]` must be configured."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.showing = Showing("ready")
        self._open: dict[asyncio.Event, _Page] = {}
        self._is_closed = False

    def show(self, showing: Showing) -> None:
        self.showing = showing
        self._wake()

    def status(self) -> dict[str, object]:
        state = "closed" if self._is_closed else "up"
        return {"kind": "screen_page", "state": state, "where": "/badge/screen", "open_pages": len(self._open)}

    def close(self) -> None:
        self._is_closed = True
        self._wake()

    def routes(self) -> "list[Route]":
        """`/badge/screen?lang=fr` and its events."""
        try:
            from starlette.routing import Route
        except ImportError as error:
            raise MissingExtra("the screen as a page", "starlette", "gateway") from error
        return [Route("/badge/screen", self._screen), Route("/badge/screen/events", self._events)]

    async def _screen(self, request: "Request") -> "Response":
        from starlette.responses import HTMLResponse

        language = self._language(request)
        has_code = bool(self._settings.phone_url)
        text = _page.html(self._settings.place_name, self._said(language), language, has_code)
        return HTMLResponse(text, headers=_page.HEADERS)

    async def _events(self, request: "Request") -> "Response":
        from starlette.responses import PlainTextResponse, StreamingResponse

        address = request.client.host if request.client else ""
        if self._is_closed or not self._has_room(address):
            told = "too many screens are open; close some" if not self._is_closed else "the gateway is ending"
            return PlainTextResponse(told, 503, {"Retry-After": "5"})
        stream = self._stream(self._language(request), address)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _stream(self, language: Language, address: str) -> AsyncIterator[bytes]:
        changed, page = asyncio.Event(), _Page(asyncio.get_running_loop(), address)
        if not self._makes_room(address):  # others came at the same moment
            return
        self._open[changed] = page
        try:
            told: Said | None = None
            while not self._is_closed and not page.must_go:
                changed.clear()
                said = self._said(language)
                yield _page.ALIVE if said == told else _page.event(said)
                told = said
                await _until(changed, _page.ALIVE_S)
        finally:
            self._open.pop(changed, None)

    def _has_room(self, address: str) -> bool:
        """Whether one more is let in: where many are open, an address with fewer than another takes its place."""
        count = Counter(page.address for page in self._open.values())
        return len(self._open) < MAX_OPEN or count[address] + 1 < max(count.values())

    def _makes_room(self, address: str) -> bool:
        """The same, and the oldest page of who has most of them is let go."""
        if not self._has_room(address):
            return False
        if len(self._open) >= MAX_OPEN:
            ((most, _),) = Counter(page.address for page in self._open.values()).most_common(1)
            oldest = next(changed for changed, page in self._open.items() if page.address == most)
            self._open.pop(oldest).must_go = True
            oldest.set()
        return True

    def _language(self, request: "Request") -> Language:
        asked = request.query_params.get("lang")
        if asked in ("fr", "en"):
            return "en" if asked == "en" else "fr"
        return self._settings.language or "fr"

    def _said(self, language: Language) -> Said:
        return self._settings.said(self.showing, language)

    def _wake(self) -> None:
        """Readers may call `show` from their own threads."""
        for changed, page in list(self._open.items()):
            if not page.loop.is_closed():
                page.loop.call_soon_threadsafe(changed.set)


async def _until(changed: asyncio.Event, limit_s: float) -> None:
    try:
        await asyncio.wait_for(changed.wait(), limit_s)
    except TimeoutError:
        return  # a sign of life is due
