"""`/metrics`: what Prometheus reads, judged by its own tool, from a gateway that runs."""

import asyncio
import subprocess
from pathlib import Path

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.applications import Starlette

from balise_gateway.config import parse
from balise_gateway.daemon import Gateway
from balise_gateway.operation.metrics import exposition, route
from balise_sim.processes import free_ports
from gateway.support import FakeClock, played, toml

OPEN = "application/openmetrics-text"


def test_a_running_gateway_is_scraped_and_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    found: list[httpx.Response] = []

    async def scene() -> None:
        (port,) = free_ports(1)
        text = toml(tmp_path, extra=f"[page]\nport = {port}\n")
        gateway, stop = Gateway(parse(text, tmp_path / "gateway.toml"), FakeClock()), asyncio.Event()
        ready = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop, ready.set))
        await ready.wait()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while not await _answers(client):
                await asyncio.sleep(0.02)
            for accept in ("text/plain", OPEN):
                found.append(await client.get("/metrics", headers={"Accept": accept}))
        stop.set()
        await running

    played(scene)
    plain, rich = found
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=plain.text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert rich.headers["content-type"].startswith(OPEN)
    families = {family.name: family for family in text_string_to_metric_families(rich.text)}
    assert families["balise_clock_known"].samples[0].value == 1
    assert families["balise_journal_bytes"].samples[0].value > 0
    assert {sample.labels["log"] for sample in families["balise_log_envelopes"].samples} >= {"home"}


def test_a_gateway_without_a_journal_is_told_as_it_is(tmp_path: Path) -> None:
    text, _ = exposition({"running": True, "journal": {"error": "the disk is full"}}, tmp_path, "text/plain")
    assert b"balise_journal_usable 0.0" in text
    assert b"balise_clock_known 0.0" in text


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/status.json")).status_code == 200
    except httpx.TransportError:
        return False


ODD = [
    f"{OPEN}; version=abc",
    "text/plain; version=x.y",
    f"{OPEN}; version=9.9.9",
    "a/b;" * 900,
    f"{OPEN};escaping=\xe9",
]


def test_whatever_form_is_asked_for_one_of_two_is_told_and_made_once_for_each_status(tmp_path: Path) -> None:
    """prometheus_client takes versions apart that a stranger wrote, and fails at letters."""
    asked: list[int] = []
    document: dict[str, object] = {"running": True, "journal": {"error": None}}

    def status() -> dict[str, object]:
        asked.append(1)
        return document

    async def scene() -> None:
        transport = httpx.ASGITransport(Starlette(routes=[route(status, tmp_path)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://station") as client:
            for accept in ODD:
                answer = await client.get("/metrics", headers={"Accept": accept.encode("latin-1")})
                wanted = f"{OPEN}; version=1.0.0" if OPEN in accept else "text/plain; version=0.0.4"
                assert answer.status_code == 200
                assert answer.headers["content-type"].startswith(wanted)

    played(scene)
    assert len(asked) == len(ODD)
