"""What an earlier key signed and a hub has not got yet: delivered as it is, under the name that it has.

Promises that nothing of an earlier key is changed or signed again, and that a hub's grant holds for it as well. Leaves
how a key is changed to `rotation.py`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from balise_gateway import hubs, plugins
from balise_gateway.clock import Clock
from balise_gateway.config import Config
from balise_gateway.delivery.uplink import Uplink, freight_of
from balise_gateway.errors import JournalError
from balise_gateway.grants import withdrawal
from balise_gateway.grants.gate import Gate
from balise_gateway.grants.standings import Standings
from balise_gateway.journal import Journal, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.journal.tables import HOME_LOG
from balise_gateway.logbook.logs import Log
from balise_gateway.operation.rotation import RETIRED
from balise_gateway.policy.meter import Meter


class Retired:
    """The journal of one earlier key."""

    def __init__(self, folder: Path) -> None:
        self.kid = bytes.fromhex(folder.name)
        self.origin = f"balise/{folder.name}"
        self.journal = Journal(folder, self.origin)

    def open(self, standings: Standings) -> None:
        """Opens it; what it signed under a wider grant, and did not send, is erased. Raises JournalError."""
        self.journal.open()
        with self.journal.transaction() as db:
            for log in [Log(*row) for row in tables.LOG.read(db) if row[0] in standings]:
                event = standings[log.log].erases
                if event:
                    withdrawal.erase_unsent(db, log, event)

    def uplinks(
        self,
        config: Config,
        standings: Standings,
        clock: Clock,
        transport: Any,
        dice: Random,
        meters: Callable[[], Meter],
    ) -> Iterator[Uplink]:
        """One for each hub of today; a hub that has everything is only waited for."""
        for settings in config.hubs:
            hub = plugins.load(hubs, settings.kind).Hub(settings, self.kid, transport, dice)
            freight = freight_of(hub, settings.log, self.journal, self.origin, clock)
            yield Uplink(settings, hub, Gate(freight, settings, standings, self.journal, clock), dice, meter=meters())

    def status(self) -> dict[str, object]:
        """How many envelopes each hub's log still has to deliver."""
        try:
            with self.journal.reading() as db:
                found = [Log(*row) for row in tables.LOG.read(db, "log != ? ORDER BY log", (HOME_LOG,))]
        except JournalError as error:
            return {"kid": self.kid.hex(), "error": str(error), "lag_envelopes": {}}
        lag = {str(log.log): max(0, log.next_seq - log.hub_next) for log in found}
        return {"kid": self.kid.hex(), "error": None, "lag_envelopes": lag}


def of(data_dir: Path) -> list[Retired]:
    """The earlier keys of this gateway."""
    folders = sorted((data_dir / RETIRED).glob(f"*/{FILE_NAME}"))
    return [Retired(path.parent) for path in folders]
