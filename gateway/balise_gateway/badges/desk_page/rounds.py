"""Guest places' rounds: the lists of other homes, asked for as a gateway asks for its own.

Promises that a guest place's desk knows the cards that a gateway's desk would know. Leaves asking to
`federation/rounds.py`.
"""

from collections.abc import Callable
from typing import Any

from balise_gateway.badges.desk_page.places import Guests
from balise_gateway.badges.federation.rounds import Rounds, keep_asking
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.errors import BadgeError
from balise_gateway.log import event


class GuestRounds:
    """The same for every guest place of this gateway: the table is this gateway's, the lists are their own."""

    def __init__(
        self, table: TableCache, guests: Guests, now_utc_s: Callable[[], int | None], transport: Any = None
    ) -> None:
        self._table, self._guests, self._now_utc_s, self._transport = table, guests, now_utc_s, transport
        self._rounds: dict[str, Rounds] = {}

    async def run(self, every_s: float) -> None:
        """Rounds until cancelled; in between those who were away are asked again, less and less often."""
        await keep_asking(self.once, self.again, lambda: any(each.away for each in self._rounds.values()), every_s)

    async def again(self) -> None:
        """The same, of those who were away."""
        for each in self._rounds.values():
            await each.again()

    async def once(self) -> None:
        """Each place's lists. Never raises for what others do."""
        try:
            places = self._guests.open_guests()
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
