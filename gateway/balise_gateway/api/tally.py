"""What was read through the API, written into the ledger.

Promises that each answer is in the ledger, with reader, purpose, rows and bytes: gathered per key, and written every
minute and at the end, so that reading wears no card. A power cut loses what was read within the last minute, no more.
"""

import asyncio
from dataclasses import dataclass

from balise_gateway.clock import Clock, known_utc_ms
from balise_gateway.errors import JournalError
from balise_gateway.grants import ledger
from balise_gateway.grants.ledger import Entry
from balise_gateway.journal import Journal
from balise_gateway.log import event

FLUSH_S = 60.0


@dataclass
class _Sum:
    rows: int = 0
    size_bytes: int = 0


class Tally:
    """Sums of what was read and is not in the ledger yet, by (reader, purpose)."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._sums: dict[tuple[str, str], _Sum] = {}

    def note(self, reader: str, purpose: str, rows: int, size_bytes: int) -> None:
        """This much was read."""
        told = self._sums.setdefault((reader, purpose), _Sum())
        told.rows += rows
        told.size_bytes += size_bytes

    async def run(self) -> None:
        """Writes every minute, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def flush(self) -> None:
        """Writes the sums; what cannot be written now is kept for the next time."""
        if not self._sums:
            return
        now_utc_ms = known_utc_ms(self._clock)
        try:
            with self._journal.transaction() as db:
                for (reader, purpose), told in self._sums.items():
                    ledger.note(db, Entry(now_utc_ms, reader, purpose, None, None, None, told.rows, told.size_bytes))
        except JournalError as error:
            event("ledger not written", why=error, readers=len(self._sums))
            return
        self._sums.clear()
