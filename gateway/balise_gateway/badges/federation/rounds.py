"""Asking the others in time: the table from its keeper, each home's list from the home.

Promises that who does not answer holds up nobody else, that what is held stays, and that a gap is closed by asking for
the whole list once. Leaves what is taken to `table_cache.py` and `lists.py`.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from balise_gateway.badges.federation.guests import Guests
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.badges.turns import in_turns
from balise_gateway.delivery.http_hub import Answer, Http
from balise_gateway.errors import BadgeError, HubError, PaperError
from balise_gateway.log import event

TIMEOUT_S = 30.0
RETRY_S = 60.0  # while somebody is away: after a power cut all places of a street start at once
NOTHING_NEW = 204


class Rounds:
    """One round asks everybody once. `now_utc_s` gives None while the time is not known.

    `on_news` is called when a list has come: who was recorded under a provisional name may have one now.
    """

    def __init__(
        self,
        settings: BadgeSettings,
        table: TableCache,
        lists: CardLists,
        now_utc_s: Callable[[], int | None],
        transport: Any = None,
        on_news: Callable[[], object] = lambda: None,
    ) -> None:
        self._settings, self._table, self._lists, self._now_utc_s = settings, table, lists, now_utc_s
        self._on_news = on_news
        self._http = Http(transport, TIMEOUT_S, "places with badges")
        self.away: dict[str, str] = {}  # who did not answer, or not well, and what was said

    async def run(self, every_s: float) -> None:
        """Rounds until cancelled; sooner where somebody was away."""
        while True:
            await self.once()
            await asyncio.sleep(min(every_s, RETRY_S) if self.away else every_s)

    async def once(self) -> None:
        """The table, then each list. Never raises for what others do."""
        if self._settings.table_url:
            await self._asked("table", self._fetch_table)
        table = self._table.table
        places = [place for place in table.places if place.lists and place.id != self._settings.place] if table else []
        for place in places:
            await self._asked(place.id, functools.partial(self._fetch_list, place.id, place.lists))
        known = {"table", *(place.id for place in places)}
        self.away = {name: why for name, why in self.away.items() if name in known}

    async def close(self) -> None:
        await self._http.close()

    async def _asked(self, name: str, fetch: Callable[[], Awaitable[None]]) -> None:
        try:
            await fetch()
        except (HubError, BadgeError) as error:
            if self.away.get(name) != str(error):
                event("place did not answer well", place=name, why=error)
            self.away[name] = str(error)
        else:
            self.away.pop(name, None)

    async def _fetch_table(self) -> None:
        answer = await self._http.ask("GET", self._settings.table_url, {})
        self._table.take(answer.body)
        now_s = self._now_utc_s()
        if now_s is not None:
            self._table.note_checked(now_s)

    async def _fetch_list(self, home: str, url: str) -> None:
        answer = await self._list(url, self._lists.number_of(home))
        if answer.status == NOTHING_NEW:
            return
        try:
            news = await in_turns(self._lists.taking(answer.body, self._now_utc_s()))
        except PaperError as error:
            if error.reason != "gap":
                raise
            whole = await self._list(url, 0)
            news = await in_turns(self._lists.taking(whole.body, self._now_utc_s()))
        if news:
            self._on_news()

    async def _list(self, url: str, base: int) -> Answer:
        address = f"{url.rstrip('/')}/{quote(self._settings.place)}?from={base}"
        return await self._http.ask("GET", address, {}, ok=(200, NOTHING_NEW))


class GuestRounds:
    """The same for every guest place of this gateway: the table is this gateway's, the lists are their own."""

    def __init__(
        self, table: TableCache, guests: Guests, now_utc_s: Callable[[], int | None], transport: Any = None
    ) -> None:
        self._table, self._guests, self._now_utc_s, self._transport = table, guests, now_utc_s, transport
        self._rounds: dict[str, Rounds] = {}

    async def run(self, every_s: float) -> None:
        """Rounds until cancelled; sooner where somebody was away."""
        while True:
            await self.once()
            away = any(each.away for each in self._rounds.values())
            await asyncio.sleep(min(every_s, RETRY_S) if away else every_s)

    async def once(self) -> None:
        """Each place's lists. Never raises for what others do."""
        try:
            places = self._guests.all()
        except BadgeError as error:
            event("guest places cannot be used", why=error)
            return
        for place in places:
            if place.place not in self._rounds:
                settings, parts = BadgeSettings(place=place.place), (self._table, place.lists, self._now_utc_s)
                self._rounds[place.place] = Rounds(settings, *parts, self._transport)
            await self._rounds[place.place].once()

    async def close(self) -> None:
        for rounds in self._rounds.values():
            await rounds.close()
