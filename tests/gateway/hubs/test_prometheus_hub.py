"""The page of newest values: promtool's rules, a real Prometheus that scrapes it, and nothing old as if it were new."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from balise_gateway.errors import MissingExtra
from balise_gateway.hubs import RowHub
from balise_gateway.logbook.rows import Value
from balise_wire.channels import names
from contracts.far_ends import AIR, ROWS, START_UTC_MS, STREET, row
from contracts.far_ends._mosquitto import free_port
from contracts.far_ends.prometheus import FarEnd
from gateway.support import played, program

PATIENCE_S = 30.0


@pytest.fixture
def there(tmp_path: Path) -> FarEnd:
    return FarEnd(tmp_path)


@asynccontextmanager
async def served(there: FarEnd, **settings: Any) -> AsyncIterator[RowHub]:
    hub = there.hub(**settings)
    try:
        yield hub
    finally:
        await hub.close()


def test_promtool_has_nothing_to_say(there: FarEnd) -> None:
    """Of every channel of the table, and of one that is not in it."""
    told = row(1, 0, AIR, START_UTC_MS, **dict.fromkeys(names(), 1))
    told = replace(told, values=(*told.values, Value("pm2_5.barkjohn_2021", "ug/m3", 51, 1), Value("été", "ppb", 1, 0)))

    async def scene() -> None:
        async with served(there) as hub:
            await hub.send([told, ROWS[1]])
            text = await there.scrape("text/plain")
        checked = subprocess.run([program("promtool"), "check", "metrics"], input=text.encode(), capture_output=True)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")

    played(scene)


def test_what_is_older_does_not_replace_what_is_newer(there: FarEnd) -> None:
    async def scene() -> None:
        async with served(there) as hub:
            await hub.send([row(2, 0, AIR, START_UTC_MS + 1000, pm2_5=30)])
            await hub.send([row(1, 0, AIR, START_UTC_MS, pm2_5=20)])
            assert [(held.utc_ms, held.number) for held in there.held()] == [(START_UTC_MS + 1000, 3)]

    played(scene)


def test_a_series_that_brings_nothing_new_is_gone(there: FarEnd) -> None:
    async def scene() -> None:
        async with served(there, expire_s=60.0) as hub:
            await hub.send([row(1, 0, AIR, START_UTC_MS, pm2_5=20)])
            loop = asyncio.get_running_loop()
            now_s = loop.time
            loop.time = lambda: now_s() + 59.0  # type: ignore[method-assign]
            await hub.send([row(1, 1, STREET, START_UTC_MS, laeq=600)])
            assert {held.node for held in there.held()} == {AIR, STREET}
            loop.time = lambda: now_s() + 61.0  # type: ignore[method-assign]
            await there.scrape()
            assert {held.node for held in there.held()} == {STREET}

    played(scene)


def test_a_mean_has_its_window(there: FarEnd) -> None:
    told = ROWS[0]
    entries = [{**entry, "agg": {"function": "mean", "window_s": 600}} for entry in told.about["channels"]]  # type: ignore[attr-defined]

    async def scene() -> None:
        async with served(there) as hub:
            await hub.send([replace(told, about={**told.about, "channels": entries}), told])
            assert there.captured().count('window_s="600"') == there.captured().count('window_s=""') == 5

    played(scene)


def test_a_real_prometheus_scrapes_it(there: FarEnd, tmp_path: Path) -> None:
    config, port = tmp_path / "prometheus.yml", free_port()
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: balise, static_configs: [{{targets: ['127.0.0.1:{there.port}']}}]}}]\n"
    )
    now_ms = time.time_ns() // 1_000_000  # a Prometheus refuses the past by its own clock
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}"]

    async def scene() -> None:
        async with served(there) as hub:
            await hub.send([replace(ROWS[2], utc_ms=now_ms)])
            found = await scraped(f"http://127.0.0.1:{port}", "balise_pm10_ugm3", now_ms)
            assert found["metric"]["node"] == AIR
            assert found["value"] == [now_ms / 1000, "1234.5"]

    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        played(scene)
    finally:
        server.kill()
        server.wait()


async def scraped(url: str, query: str, utc_ms: int) -> dict[str, Any]:
    """The one series that this query finds at that moment, as soon as there is one."""
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as client:
        while True:
            try:
                response = await client.get(f"{url}/api/v1/query", params={"query": query, "time": utc_ms / 1000})
                result = response.json()["data"]["result"] if response.status_code == 200 else []
            except httpx.HTTPError:
                result = []
            if result:
                (found,) = result
                return dict(found)
            await asyncio.sleep(0.05)


def test_a_missing_library_is_named(there: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)

    async def scene() -> None:
        async with served(there) as hub:
            with pytest.raises(MissingExtra, match=r"balise\[gateway\]"):
                await hub.send(ROWS)

    played(scene)
