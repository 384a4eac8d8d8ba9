"""`balise sim`: a street without hardware, on a terminal.

Promises: exit status 1 when a row is lost, doubled or not verified. Leaves to others: the street itself (`balise_sim`).
"""

import hashlib
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from balise_sim import demo as demonstration
from balise_sim import scenario as scenarios
from balise_sim.hub import HubStore
from balise_sim.scenario import Scenario, ScenarioError
from balise_sim.soak import any_core
from balise_sim.soak import soak as soak_runs
from balise_sim.street import Street
from balise_sim.view import verdict_lines

app = typer.Typer(no_args_is_help=True, help="A simulated street: real firmware, a real gateway, a hub that verifies.")

SeedOption = Annotated[int, typer.Option(help="Decides everything that is left to chance.")]
FileOption = Annotated[Path | None, typer.Option("--scenario", help="A scenario file; without it, the bundled street.")]


@app.command()
def demo(
    speed: Annotated[float, typer.Option(min=1, help="Simulated seconds per second; 1 is real time.")] = 1440,
    seed: SeedOption = 1,
    scenario: FileOption = None,
) -> None:
    """A day of the street with real processes: cables are pulled, power is cut, and the hub has the last word."""
    headless = os.environ.get("CI") == "true"
    verdict = demonstration.run(_read(scenario), seed, speed, headless=headless)
    for line in verdict_lines(verdict):
        typer.echo(line)
    raise typer.Exit(0 if verdict.ok else 1)


@app.command()
def street(seed: SeedOption = 1, scenario: FileOption = None) -> None:
    """The street on virtual time; the last line is a digest of all bytes at the hub, the same for the same seed."""
    root = Path(tempfile.mkdtemp(prefix="balise-street-"))
    played = Street(_read(scenario), root, seed, core=any_core())
    verdict = played.play()
    for line in verdict_lines(verdict):
        typer.echo(line)
    typer.echo(f"bytes at the hub: sha256 {digest(played.site.hub_db)}")
    shutil.rmtree(root)
    raise typer.Exit(0 if verdict.ok else 1)


@app.command()
def soak(
    runs: Annotated[int, typer.Option(min=1, help="How many streets; every second one has real processes.")] = 100,
    seed: Annotated[int | None, typer.Option(help="The first seed; without it, one by chance.")] = None,
) -> None:
    """Many short streets with random faults; each line names its seed."""
    first = random.SystemRandom().randrange(10**9) if seed is None else seed
    failed = []
    for run in soak_runs([first + i for i in range(runs)]):
        typer.echo(run.line())
        if not run.verdict.ok:
            failed.append(run.seed)
    typer.echo(f"{runs - len(failed)} passed, {len(failed)} failed")
    raise typer.Exit(1 if failed else 0)


def digest(hub_db: Path) -> str:
    """SHA-256 over all envelopes that a hub holds, in order of key, log and number."""
    store, found = HubStore(hub_db), hashlib.sha256()
    for kid, log in store.logs():
        for _, cose in store.envelopes(kid, log):
            found.update(cose)
    store.close()
    return found.hexdigest()


def _read(path: Path | None) -> Scenario:
    try:
        return scenarios.load(path) if path is not None else scenarios.bundled("street")
    except (OSError, ScenarioError) as error:
        typer.echo(f"balise sim: {error}", err=True)
        raise typer.Exit(2) from error
