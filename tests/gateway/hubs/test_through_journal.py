"""Rows on their way from a real journal to each hub over HTTP, through outages and kills: nothing is lost, and a repeat
is at most the batch that was in flight when the gateway was killed."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from balise_gateway.delivery.freight_rows import Rows, position
from balise_gateway.delivery.uplink import Patience, Uplink
from balise_gateway.hubs import HubSettings, RowHub
from balise_gateway.logbook.logs import Log
from contracts.far_ends import AIR, far_end
from contracts.far_ends._http import HttpFarEnd
from gateway.closing_bench import Bench
from gateway.support import CHANNELS, START_UTC_MS, AirNode, played, until
from gateway.test_freight_rows import LOG, bench_with, close, parked

ROWS, BATCH_ROWS, KILLS = 30, 4, 3
SETTINGS: dict[str, dict[str, Any]] = {
    "influxdb": {},
    "ngsi_ld": {},
    "opensensemap": {},
    "prometheus_remote_write": {"takes_past": True},
    "sensorthings": {},
    "smart_citizen": {},
}


class Storm:
    """The weather between gateway and hub: connections fail, the hub is busy, and at times the gateway dies."""

    def __init__(self, far: HttpFarEnd, seed: int) -> None:
        self._far, self._usual, self._dice = far, far.take, Random(seed)
        self.kills, self.killed = KILLS, asyncio.Event()
        far.take = self.take  # type: ignore[method-assign]

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        weather = self._dice.choice(["fine", "fine", "fine", "away", "busy", "kill"])
        if weather == "away":
            raise httpx.ReadError("reset")
        if weather == "busy":
            return httpx.Response(self._dice.choice([408, 429, 500, 503]))
        answer = self._usual(request, body)
        if weather == "kill" and self.kills and request.method == "POST":
            self.kills -= 1
            self.killed.set()
            raise httpx.ReadError("nobody is there any more to read this")
        return answer


def is_done(bench: Bench) -> bool:
    return position(bench.journal.db, LOG) >= (Log.read(bench.journal.db, LOG).next_seq, 0)


async def one_life(bench: Bench, hub: RowHub, storm: Storm) -> None:
    """An uplink until everything is through, or until it is killed: nothing is committed after that."""
    hub.traits = replace(hub.traits, batch_limit_rows=BATCH_ROWS)
    freight = Rows(hub, LOG, bench.journal, bench.clock)
    settings = HubSettings(name="far", kind="fake", log=LOG)
    task = asyncio.create_task(Uplink(settings, hub, freight, Random(1), Patience(0.001, 0.002)).run())
    storm.killed.clear()
    await until(lambda: storm.killed.is_set() or is_done(bench) or task.done())
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SETTINGS)
def test_nothing_is_lost_and_a_kill_repeats_one_batch_at_most(kind: str, seed: int, tmp_path: Path) -> None:
    bench, far = bench_with(tmp_path, ROWS), far_end(kind, tmp_path)
    assert isinstance(far, HttpFarEnd)
    storm = Storm(far, seed)

    async def scene() -> None:
        while not is_done(bench):
            await one_life(bench, far.hub(**SETTINGS[kind]), storm)

    played(scene)
    held = Counter((value.node, value.channel, value.utc_ms) for value in far.held())
    assert held.keys() == {
        (AIR, channel, START_UTC_MS + 60_000 * number) for number in range(ROWS) for channel in CHANNELS
    }
    repeats = sum(held.values()) - len(held)
    idempotent = far.hub(**SETTINGS[kind]).traits.idempotent
    assert repeats <= (0 if idempotent else (KILLS - storm.kills) * BATCH_ROWS * len(CHANNELS))


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_row_whose_time_is_no_date_is_parked_and_holds_up_nobody(kind: str, tmp_path: Path) -> None:
    bench, far, node = bench_with(tmp_path, 2), far_end(kind, tmp_path), AirNode(boot=2)
    close(bench, node.hello(), node.row(300_000_000_000))
    close(bench, node.row(START_UTC_MS // 1000 + 600))
    assert isinstance(far, HttpFarEnd)
    storm = Storm(far, 0)
    storm.kills = 0
    played(lambda: one_life(bench, far.hub(**SETTINGS[kind]), storm))
    assert [why.split(":")[0] for why in parked(bench)] == ["its time is no date"]
    assert {value.utc_ms for value in far.held()} == {START_UTC_MS, START_UTC_MS + 60_000, START_UTC_MS + 600_000}
