"""All visits that this gateway holds, as one sequence of signed envelopes: its own and those of partners.

Promises that nothing is left out that a visit of the host and month needs (who it was, when that boot began). More than
was asked for may be in it: whoever counts has the days of the agreement.
"""

import datetime
from collections.abc import Iterable, Iterator
from pathlib import Path

from balise_gateway.journal import open_to_read, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.logbook.logs import OWN, Log
from balise_gateway.operation.rotation import RETIRED
from balise_wire.envelope import read_envelope
from balise_wire.items import Anchor, Visit, VisitMapping
from balise_wire.readings import Readings

DAY_S = 86_400


def own_visits(data_dir: Path) -> Iterator[bytes]:
    """The envelopes of visits in the home log of this gateway, those of earlier keys first. Raises JournalError."""
    for journal in (*sorted((data_dir / RETIRED).glob(f"*/{FILE_NAME}")), data_dir / FILE_NAME):
        if journal.exists():
            yield from _of_journal(journal.parent)


def unsigned_visits(data_dir: Path) -> int:
    """How many visits the running gateway has said that stand in no envelope yet. Raises JournalError."""
    if not (data_dir / FILE_NAME).exists():
        return 0
    db = open_to_read(data_dir)
    where = "entry > ? AND node = ? AND kind = ? AND (only_log IS NULL OR only_log = ?)"
    values = (Log.read(db, tables.HOME_LOG).cursor, OWN, Visit.kind, tables.HOME_LOG)
    return int(db.execute(f"SELECT count(*) FROM entry WHERE {where}", values).fetchone()[0])


def _of_journal(folder: Path) -> Iterator[bytes]:
    db = open_to_read(folder)
    for row in tables.ENVELOPE.read(db, "log = ? ORDER BY seq", (tables.HOME_LOG,)):
        items = read_envelope(row[5]).items
        explains = all(isinstance(item, Anchor) for item in items)
        if explains or any(isinstance(item, (Visit, VisitMapping)) for item in items):
            yield row[5]


def chosen(envelopes: Iterable[bytes], host: str, month: str) -> Iterator[bytes]:
    """Those that may say something of this host (empty: any) and month (YYYY-MM; empty: any)."""
    first_s, last_s = _edges(month) if month else (0, 1 << 62)
    for cose in envelopes:
        items = [item for item in read_envelope(cose).items if not isinstance(item, Readings)]
        hosts = {str(item.map.get("host")) for item in items if isinstance(item, (Visit, VisitMapping))}
        times = [item.map.get("t") for item in items if isinstance(item, Visit)]
        dated = [t for t in times if isinstance(t, int)]
        within = len(dated) < len(times) or not times or any(first_s <= t <= last_s for t in dated)
        if within and (not host or not hosts or host in hosts):
            yield cose


def _edges(month: str) -> tuple[int, int]:
    """A day wider on both sides than the month in UTC. Raises ValueError."""
    first = datetime.datetime.strptime(month, "%Y-%m").replace(tzinfo=datetime.UTC)
    following = (first + datetime.timedelta(days=32)).replace(day=1)
    return int(first.timestamp()) - DAY_S, int(following.timestamp()) + DAY_S
