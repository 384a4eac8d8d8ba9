"""Rows from a real journal through the uplink to a real broker that stops and starts, by gateways that are killed."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from balise_gateway.delivery.freight_rows import Rows, position
from balise_gateway.delivery.uplink import Patience, Uplink
from balise_gateway.hubs import HubSettings, RowHub
from balise_gateway.logbook.logs import Log
from contracts.far_ends import AIR, far_end
from contracts.far_ends._mosquitto import MqttFarEnd
from gateway.closing_bench import Bench
from gateway.hubs.test_mqtt_hubs import again
from gateway.support import CHANNELS, START_UTC_MS, played, until
from gateway.test_freight_rows import LOG, bench_with

ROWS, BATCH_ROWS = 30, 4


def sent(bench: Bench) -> int:
    """Rows that the journal knows to have arrived; bench_with puts four in an envelope, none in the first."""
    seq, row = position(bench.journal.db, LOG)
    return max(0, seq - 2) * 4 + row


async def one_life(bench: Bench, hub: RowHub, until_sent: int) -> None:
    """A gateway that is killed when so many rows have gone, or a few more; nothing is committed after that."""
    hub.traits = replace(hub.traits, batch_limit_rows=BATCH_ROWS)
    freight = Rows(hub, LOG, bench.journal, bench.clock)
    settings = HubSettings(name="far", kind="fake", log=LOG)
    task = asyncio.create_task(Uplink(settings, hub, freight, Random(1), Patience(0.01, 0.05)).run())
    end = (Log.read(bench.journal.db, LOG).next_seq, 0)
    await until(lambda: sent(bench) >= until_sent or position(bench.journal.db, LOG) >= end or task.done())
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture(params=["mqtt_json", "thingsboard"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MqttFarEnd]:
    found = far_end(request.param, tmp_path)
    assert isinstance(found, MqttFarEnd)
    yield found
    found.close()


def test_nothing_is_lost_by_kills_and_a_broker_that_stops(there: Any, tmp_path: Path) -> None:
    """The broker repeats to its listener what that has not acknowledged, so only what is lost can be counted."""
    bench = bench_with(tmp_path, ROWS)

    async def scene() -> None:
        for number, so_many in enumerate((4, 12, 20, ROWS)):
            stops = asyncio.create_task(asyncio.to_thread(again, there)) if number % 2 else None
            await one_life(bench, there.hub(timeout_s=5.0), so_many)
            if stops is not None:
                await stops

    played(scene)
    held = {(value.node, value.channel, value.utc_ms) for value in there.held()}
    assert held == {(AIR, channel, START_UTC_MS + 60_000 * number) for number in range(ROWS) for channel in CHANNELS}
