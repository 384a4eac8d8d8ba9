"""Asking the others in time: the table from its keeper, each home's list from the home.

Promises that who does not answer holds up nobody else, that what is held stays, and that a gap is closed by asking for
the whole list once. Leaves what is taken to `table_cache.py` and `lists.py`.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.strangers import reason_of
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.badges.turns import in_turns
from balise_gateway.delivery.http_hub import Answer, Http
from balise_gateway.errors import BadgeError, HubError, MissingExtra, PaperError
from balise_gateway.log import event

TIMEOUT_S = 30.0
RETRY_S = 60.0  # after which who was away is asked again: after a power cut all places of a street start at once
NOTHING_NEW = 204
_TABLE = "table"  # its name among those who were away: no place has it, a place has a dot


class Rounds:
    """One round asks everybody once. `now_utc_s` gives None while the time is not known.

    `on_news` is called when a list has come: who was recorded under a provisional name may have one now. `on_table`
    when a table has: it may name a new key of this place.
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
        self._on_news, self.on_table = on_news, _nothing
        self._http = Http(transport, TIMEOUT_S, "asking other places", quote=reason_of)
        self.away: dict[str, str] = {}  # who did not answer, or not well, and what was said

    async def run(self, every_s: float) -> None:
        """Rounds until cancelled; in between those who were away are asked again, less and less often."""
        await keep_asking(self.once, self.again, lambda: bool(self.away), every_s)

    async def once(self) -> None:
        """The table, then each list. Never raises for what others do."""
        await self._ask_table()
        homes = self._homes()
        await self._ask(homes, homes)
        self.away = {name: why for name, why in self.away.items() if name in (_TABLE, *homes)}

    async def again(self) -> None:
        """The same, of those who were away; everybody when the table has come at last: there may be homes in it."""
        was_away = set(self.away)
        if _TABLE in was_away:
            await self._ask_table()
        homes = self._homes()
        has_come = _TABLE in was_away and _TABLE not in self.away
        await self._ask(homes, homes if has_come else was_away)

    async def _ask_table(self) -> None:
        if self._settings.table_url:
            await self._asked(_TABLE, self._fetch_table)

    async def _ask(self, homes: Mapping[str, str], names: Collection[str]) -> None:
        for home, url in homes.items():
            if home in names:
                await self._asked(home, functools.partial(self._fetch_list, home, url))

    def _homes(self) -> dict[str, str]:
        """Where each home has its list for us."""
        table = self._table.table
        told = {place.id: place.lists for place in table.places if place.lists} if table else {}
        told.pop(self._settings.place, None)
        return told

    async def close(self) -> None:
        await self._http.close()

    async def _asked(self, name: str, fetch: Callable[[], Awaitable[None]]) -> None:
        try:
            await fetch()
        except (HubError, BadgeError, MissingExtra) as error:
            if self.away.get(name) != str(error):
                event("place did not answer well", place=name, why=error)
            self.away[name] = str(error)
        else:
            self.away.pop(name, None)

    async def _fetch_table(self) -> None:
        answer = await self._http.ask("GET", self._settings.table_url, {})
        if self._table.take(answer.body):
            self.on_table()
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


def _nothing() -> None: ...


async def keep_asking(
    once: Callable[[], Awaitable[None]],
    again: Callable[[], Awaitable[None]],
    is_away: Callable[[], bool],
    every_s: float,
) -> None:
    """Rounds until cancelled; in between those who were away are asked again, less and less often."""
    while True:
        await once()
        pause_s, left_s = RETRY_S, every_s
        while is_away() and pause_s < left_s:
            await asyncio.sleep(pause_s)
            await again()
            pause_s, left_s = 2 * pause_s, left_s - pause_s
        await asyncio.sleep(left_s)
