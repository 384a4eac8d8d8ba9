"""The demonstration: a street with real processes, watched on a terminal.

Promises: what is shown is asked of the running gateway and read from the hub's file. Leaves to others: the street
(`processes.py`), its looks (`view.py`), and the exit status.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live

from balise_sim.processes import PacedStreet
from balise_sim.scenario import Scenario
from balise_sim.verdict import Verdict
from balise_sim.view import Scene, headline, table

LOOK_REAL_S = 0.5
HEADLESS_LOOK_S = 4 * 3600.0


def run(scenario: Scenario, seed: int, pace: float, *, headless: bool) -> Verdict:
    """Plays the scenario and shows it: a live table, or a line now and then when nobody looks."""
    console = Console()
    root = Path(tempfile.mkdtemp(prefix="balise-demo-"))
    street = PacedStreet(scenario, root, seed, pace)
    console.print(f"{len(scenario.homes)} homes, {scenario.hours:g} hours at {pace:g} times real time, seed {seed}")
    console.print(f"the gateway's page: http://127.0.0.1:{street.page_port}/")
    if headless:
        verdict = street.play(lambda s: _watch(s, HEADLESS_LOOK_S, lambda scene: _tell(console, scene)))
    else:
        with Live(console=console, auto_refresh=False) as live:
            verdict = street.play(lambda s: _watch(s, LOOK_REAL_S * pace, lambda scene: _show(live, scene)))
    if verdict.ok:
        shutil.rmtree(root)
    else:
        console.print(f"the street's files and logs are kept in {root}")
    return verdict


def _tell(console: Console, scene: Scene) -> None:
    console.print(headline(scene), soft_wrap=True)


def _show(live: Live, scene: Scene) -> None:
    live.update(table(scene), refresh=True)


async def _watch(street: PacedStreet, look_s: float, show: Callable[[Scene], None]) -> None:
    async with httpx.AsyncClient(timeout=None) as client:
        while True:
            show(await _scene(street, client))
            await asyncio.sleep(look_s)


async def _scene(street: PacedStreet, client: httpx.AsyncClient) -> Scene:
    kept = Counter[str]()
    for name, node in street.world.nodes.items():
        kept[name] = sum(line.startswith("kept ") for _, line in node.console.lines)
    return Scene(
        utc_ms=street.world.utc_ms,
        kept=kept,
        powered={name: node.powered for name, node in street.world.nodes.items()},
        events=sorted(street.events),
        status=await _status(street, client),
    )


async def _status(street: PacedStreet, client: httpx.AsyncClient) -> dict[str, Any] | None:
    try:
        response = await client.get(f"http://127.0.0.1:{street.page_port}/status.json")
        response.raise_for_status()
        return dict(response.json())
    except httpx.HTTPError:
        return None
