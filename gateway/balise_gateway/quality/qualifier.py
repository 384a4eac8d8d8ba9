"""What happens to rows at intake: they are judged, then corrected channels are put beside them.

Promises that nodes and foreign devices are treated alike, and that what is remembered of foreign devices can be taken
back, because their rows are handed in again when a commit failed. Leaves tests to `judge.py`, formulas to `models/`.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from balise_gateway.journal.tables import Row
from balise_gateway.nodes.manifests import Columns
from balise_gateway.quality.corrections import Corrections
from balise_gateway.quality.judge import MAX_RECENT, Doubt, Judge, Verdicts
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.models import CorrectionSettings
from balise_gateway.quality.recall import last_values
from balise_wire.items import Readings


class Qualifier:
    """Judges and corrects the rows of one kind of devices."""

    def __init__(self, judge: Judge, corrections: Corrections) -> None:
        self._judge, self._corrections = judge, corrections
        self.keep, self.rewind = judge.keep, judge.rewind

    def recall(self, db: sqlite3.Connection, node: Row) -> None:
        """What the journal knows of a device (a row of table `node`) from before a restart."""
        self._judge.recall(node[0], last_values(db, node))

    def qualify(
        self, key: bytes, name: str, item: Readings, columns: Columns, verdicts: Verdicts
    ) -> tuple[Readings, Columns]:
        """The rows with their flags, and with corrected columns where the configuration asks for them."""
        self._judge.judge(key, item, columns, verdicts)
        return self._corrections.extend(name, item, columns, verdicts.counts)


class Quality:
    """All of it. `beside`: who stands beside whom, by key id."""

    def __init__(
        self,
        limits: LimitTable,
        corrections: Iterable[CorrectionSettings] = (),
        beside: Mapping[bytes, Sequence[bytes]] | None = None,
    ) -> None:
        self.recent: deque[Doubt] = deque(maxlen=MAX_RECENT)
        self.corrections = Corrections(corrections)
        self.nodes = Qualifier(Judge(limits, beside or {}, self.recent), self.corrections)
        self.foreign = Qualifier(Judge(limits, {}, self.recent), self.corrections)
