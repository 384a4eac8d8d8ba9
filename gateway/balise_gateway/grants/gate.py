"""The gate before a hub: nothing passes while the grant is paused, withdrawn or missing, and what passes is noted.

Wraps any freight. Promises that the grant is looked at before each batch, and that the ledger has an entry before the
first byte leaves. Leaves the goods to `freight.py` and patience to `uplink.py`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.delivery.freight import Freight
from balise_gateway.grants import ledger
from balise_gateway.grants.ledger import Entry
from balise_gateway.grants.standings import Standings
from balise_gateway.hubs import HubSettings, Stored
from balise_gateway.journal import Journal


class Gate:
    """The freight of one hub, let through as its grant stands."""

    def __init__(
        self, freight: Freight, hub: HubSettings, standings: Standings, journal: Journal, clock: Clock
    ) -> None:
        self._freight, self._hub, self._standings = freight, hub, standings
        self._journal, self._clock = journal, clock
        self._noted: tuple[Entry, int] | None = None  # of the batch that was tried last

    def next(self, limit: int, *, visits_only: bool = False) -> Sequence[Any]:
        may = self._standings.may_send(self._hub.log)
        return self._freight.next(limit, visits_only=visits_only) if may else []

    async def send(self, batch: Sequence[Any]) -> int | None:
        number = self._note(batch)
        size = await self._freight.send(batch)
        if size is not None and self._noted is not None:
            with self._journal.transaction() as db:
                ledger.note(db, replace(self._noted[0], size_bytes=size), number)
            self._noted = None
        return size

    def park(self, batch: Sequence[Any], reasons: Mapping[int, str]) -> None:
        self._freight.park(batch, reasons)

    def unpark(self) -> None:
        self._freight.unpark()

    def _note(self, batch: Sequence[Any]) -> int:
        """The number of this batch's entry: a new one, or its own when it was the last one tried."""
        grant = self._standings[self._hub.log].grant
        purpose = "" if grant is None else grant.purpose
        seqs = [piece.seq for piece in batch]
        with self._journal.transaction() as db:
            rows = _rows_in(db, self._hub.log, batch)
            at_utc_ms = known_utc_ms(self._clock)
            entry = Entry(at_utc_ms, self._hub.name, purpose, self._hub.log, min(seqs), max(seqs), rows, 0)
            if self._noted is not None and replace(self._noted[0], at_utc_ms=at_utc_ms) == entry:
                return self._noted[1]
            number = ledger.note(db, entry)
        self._noted = (entry, number)
        return number


def _rows_in(db: sqlite3.Connection, log: int, batch: Sequence[Any]) -> int:
    """How many rows of readings a batch holds: envelopes say so, and a batch of rows is as long as it is."""
    if not isinstance(batch[0], Stored):
        return len(batch)
    marks = ", ".join("?" for _ in batch)
    seqs = [stored.seq for stored in batch]
    query = f"SELECT coalesce(sum(rows), 0) FROM envelope WHERE log = ? AND seq IN ({marks})"
    (rows,) = db.execute(query, (log, *seqs)).fetchone()
    return int(rows)
