"""What a day at home writes on the SD card: counted, not timed.

SQLite appends to its write-ahead log and now and then copies changed pages into the file; both are counted in the
blocks of 4 KiB that a card's file system writes. What the file system adds for itself is not counted: sizes change
seldom (the log is overwritten from its start), and then it is one block.
"""

import asyncio
import json
import random
from pathlib import Path

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.journal import Journal
from balise_gateway.journal.file import CHECKPOINT_PAGES
from balise_gateway.journal.pages import PAGE_BYTES
from balise_gateway.logbook.closing import Closer
from balise_gateway.sources import mqtt_json
from balise_wire.envelope import Signer
from gateway.support import AirNode, FakeClock, FakeIngest, Site, views

BLOCK_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24  # sqlite.org/fileformat2.html section 4.1
WAL_HEADER_BYTES = 32
HOURS = 6
BUDGET_BYTES_PER_DAY = 20_000_000
SIGNER = Signer(b"s" * 32)


class Card:
    """Counts the blocks that each commit writes."""

    def __init__(self, wal: Path) -> None:
        self._wal, self._salt, self._end = wal, b"", 0
        self.blocks = 0

    def count(self) -> None:
        """What was appended since the last count; after a restart of the log also what was copied into the file."""
        data = self._wal.read_bytes()
        salt, end = data[16:24], WAL_HEADER_BYTES
        while data[end + 8 : end + 16] == salt:
            end += FRAME_BYTES
        if salt != self._salt:
            self.blocks += min(self._end // FRAME_BYTES, CHECKPOINT_PAGES)  # at most: each page a block of its own
            self._salt, self._end = salt, 0
        if end > self._end:
            self.blocks += (end - 1) // BLOCK_BYTES - self._end // BLOCK_BYTES + 1
        self._end = end


async def live(folder: Path) -> Card:
    """Three nodes with five channels and a commit each minute, a hub each five minutes, the home log each hour."""
    clock, noise, carrier = FakeClock(), random.Random(1), FakeIngest()
    journal, keys = Journal(folder, "balise/test"), [bytes([number]) * 16 for number in range(3)]
    nodes = [AirNode(key, f"urn:dev:ops:b4115e-air-{number}") for number, key in enumerate(keys)]
    settings = [NodeSettings(name=node.name, key=key) for node, key in zip(nodes, keys, strict=True)]
    intake = Intake(journal, settings, clock, 1e6)
    closer = Closer(journal, SIGNER, clock, views([0, 1], sites={n.keys.kid: Site(n.name, False) for n in nodes}))
    intake.ready()
    for node in nodes:
        intake.take(carrier, "t", node.hello(), None)
    assert intake.commit()
    card = Card(folder / "journal.db-wal")
    card.count()
    card.blocks = 0
    for minute in range(1, HOURS * 60 + 1):
        clock.now_ms += 60_000
        for node in nodes:
            row = (noise.randrange(300), noise.randrange(400), noise.randrange(2000), 8483, 98_797)
            intake.take(carrier, "t", node.row(clock.now_ms // 1000, row), None)
        assert intake.commit()
        card.count()
        for log, period in ((1, 5), (0, 60)):
            while minute % period == 0 and closer.close(log, "rice"):
                card.count()
    intake.abandon()
    journal.close()
    return card


def test_a_day_at_home_stays_within_what_a_card_can_take(tmp_path: Path) -> None:
    card = asyncio.run(live(tmp_path))
    per_day = card.blocks * BLOCK_BYTES * 24 // HOURS
    assert per_day <= BUDGET_BYTES_PER_DAY, per_day
    assert per_day > 1_000_000  # it was counted at all


TRICKLE_PER_S, DEVICES, MINUTES = 20, 100, 10
BUDGET_BYTES_PER_MESSAGE = 250
JSON = mqtt_json.Settings(
    kind="mqtt_json",
    prefix="urn:dev:ops:b4115e-",
    topic="sensors/{device}/data",
    ts="ts",
    channels={"temperature": "values.t", "humidity": "values.h", "pm2_5": "values.p", "pm10": "values.q"},
)


async def trickle(folder: Path) -> Card:
    """JSON of a hundred devices with four values each, a hub each five minutes, the home log in the end."""
    clock, noise, carrier = FakeClock(), random.Random(1), FakeIngest()
    journal = Journal(folder, "balise/test")
    intake = Intake(journal, [], clock, 1e6, [(JSON, mqtt_json.Source(JSON, clock.boot_ms))])
    closer = Closer(journal, SIGNER, clock, views([0, 1]))
    intake.ready()
    card = Card(folder / "journal.db-wal")
    for number in range(TRICKLE_PER_S * 60 * MINUTES):
        values = {"t": noise.gauss(20, 3), "h": noise.gauss(60, 9), "p": noise.randrange(50), "q": noise.randrange(80)}
        message = json.dumps({"ts": clock.now_ms, "values": values}).encode()
        intake.take(carrier, f"sensors/d{number % DEVICES}/data", message, None)
        clock.now_ms += 1000 // TRICKLE_PER_S
        minute, rest = divmod(number + 1, TRICKLE_PER_S * 60)
        if not rest:
            assert intake.commit()
            card.count()
        for log, period in ((1, 5), (0, MINUTES)):
            while not rest and minute % period == 0 and closer.close(log, "rice"):
                card.count()
    intake.abandon()
    journal.close()
    return card


def test_a_trickle_of_messages_writes_little_for_each(tmp_path: Path) -> None:
    card = asyncio.run(trickle(tmp_path))
    per_message = card.blocks * BLOCK_BYTES / (TRICKLE_PER_S * 60 * MINUTES)
    assert per_message <= BUDGET_BYTES_PER_MESSAGE, per_message
    assert per_message > 20  # it was counted at all
