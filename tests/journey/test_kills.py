"""kill -9 at random instants under load, while hubs are out, disks full, brokers restarted and clocks set by a year.

KILLS=200 SIEGE_SEED=7 pytest tests/journey/test_kills.py: as many, and at other instants (`make soak` does 200).
"""

import asyncio
import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from balise_gateway import keys
from balise_gateway.journal import tables
from balise_gateway.journal.file import FILE_NAME
from balise_sim.processes import free_ports
from balise_wire.envelope import Envelope
from balise_wire.items import Loss
from gateway.support import START_UTC_MS, envelopes_of, utc_rows
from journey.siege import PATIENCE_S, Siege

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SIEGE_SEED", "1"))
LONGEST_LIFE_S = 0.6
CALM_EACH = 7  # of so many lives one is calm
BATCH_ROWS = 1_000  # the most rows that openSenseMap gets in one batch
T0 = START_UTC_MS // 1000
Rows = Counter[tuple[str, int]]


async def besiege(siege: Siege, kills: int) -> None:
    tasks = [asyncio.create_task(sender.run()) for sender in siege.senders]
    for number in range(kills):
        siege.mend() if number % CALM_EACH == 0 else siege.disturb()
        await asyncio.to_thread(siege.start)
        if number % 3:  # the third life ends at any moment of its start
            await siege.is_up()
        await asyncio.sleep(siege.dice.uniform(0.0, LONGEST_LIFE_S))
        await asyncio.to_thread(siege.kill)
    siege.mend()
    await asyncio.to_thread(siege.start)
    await asyncio.sleep(LONGEST_LIFE_S)
    for sender in siege.senders:
        sender.makes_rows = False
    await eventually(lambda: not any(sender.kept for sender in siege.senders), "every frame is acknowledged")
    made = made_rows(siege)
    await eventually(lambda: made <= at_hub(siege), "every row is at the hub")
    await eventually(lambda: len({row for _, row in siege.counting.rows}) == made.total(), "every row is on the map")
    await eventually(lambda: rows_of(home_log(siege)) == made, "every row is in the home log, once")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def eventually(condition: Callable[[], bool], what: str) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.2)
    assert condition(), what


def made_rows(siege: Siege) -> Rows:
    return Counter({(sender.node.name, T0 + row): 1 for sender in siege.senders for row in range(sender.rows)})


def rows_of(envelopes: list[Envelope]) -> Rows:
    return Counter((name, tick) for name, tick, _ in utc_rows(envelopes))


def at_hub(siege: Siege) -> Rows:
    return rows_of(siege.hub.envelopes())


@pytest.mark.timeout(120 + 3 * KILLS)
def test_nothing_is_lost_or_doubled_whenever_it_is_killed(tmp_path: Path) -> None:
    with Siege(tmp_path, free_ports(1), SEED) as siege:
        signer = keys.load_or_make(siege.disk.folder)
        siege.hub.enrol(signer.public_key)
        asyncio.run(besiege(siege, KILLS))
        assert siege.stop() == 0
        made = made_rows(siege)
        print(f"\n{made.total()} rows; {dict(sorted(siege.counts.items()))}")
        assert siege.counts["kills"] == KILLS
        envelopes = siege.hub.envelopes()
        assert rows_of(envelopes) == made
        assert [envelope.seq for envelope in envelopes] == list(range(1, len(envelopes) + 1))
        assert not [item for envelope in envelopes for item in envelope.items if isinstance(item, Loss)]
        assert list(siege.disk.folder.glob("*damaged*")) == []
        check_map(siege)


def home_log(siege: Siege) -> list[Envelope]:
    db = sqlite3.connect(siege.disk.folder / FILE_NAME)
    with contextlib.closing(db):
        rows = [(row[1], row[5]) for row in tables.ENVELOPE.read(db, "log = 0 ORDER BY seq")]
    return envelopes_of(rows, keys.load(siege.disk.folder))


def check_map(siege: Siege) -> None:
    """No row is missing on the map; what came twice was in the one batch that was in flight when a life ended."""
    seen: dict[tuple[str, str], int] = {}
    twice: Counter[int] = Counter()
    for index, (life, row) in enumerate(siege.counting.rows):
        if row in seen:
            twice[life] += 1
            last_before = max(at for at in range(index) if siege.counting.rows[at][0] < life)
            assert seen[row] > last_before - BATCH_ROWS, (life, row)
        seen[row] = index
    print(f"on the map twice: {twice.total()} rows, in {len(twice)} of {siege.counts['kills']} lives")
    assert all(rows <= BATCH_ROWS for rows in twice.values())
