"""`balise sim`: a street without hardware, on a terminal.

Promises: exit status 1 when a row is lost, doubled or not verified. Leaves to others: the street itself (`balise_sim`).
"""

import contextlib
import importlib.util
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from balise_sim import demo as demonstration
from balise_sim import scenario as scenarios
from balise_sim.desk import set_up
from balise_sim.hub import HubStore
from balise_sim.kits import KITS, KitError, kit
from balise_sim.nfc.hand import Hand, HandError
from balise_sim.nfc.pn532_tty import Pn532Tty
from balise_sim.scenario import Scenario, ScenarioError
from balise_sim.soak import any_core
from balise_sim.soak import soak as soak_runs
from balise_sim.street import Street
from balise_sim.verdict import items_sha256
from balise_sim.view import energy_lines, verdict_lines

app = typer.Typer(no_args_is_help=True, help="A simulated street: real firmware, a real gateway, a hub that verifies.")

SeedOption = Annotated[int, typer.Option(help="Decides everything that is left to chance.")]


@app.command()
def demo(
    speed: Annotated[float, typer.Option(min=1, help="Simulated seconds per second; 1 is real time.")] = 1440,
    seed: SeedOption = 1,
    scenario: Annotated[str, typer.Option(help="A bundled scenario, or a file that ends in .toml.")] = "street",
) -> None:
    """A day of the street with real processes: cables are pulled, power is cut, and the hub has the last word."""
    headless = os.environ.get("CI") == "true"
    try:
        verdict = demonstration.run(_read(scenario), seed, speed, headless=headless)
    except ScenarioError as error:
        _stop(str(error))
    for line in verdict_lines(verdict):
        typer.echo(line)
    raise typer.Exit(0 if verdict.ok else 1)


@app.command()
def badges() -> None:
    """Two places, five cards, a cut link and a settlement: real processes, simulated PN532 readers."""
    from balise_sim import badge_demo

    raise typer.Exit(0 if badge_demo.run() else 1)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A bundled scenario, or a file that ends in .toml.")],
    seed: SeedOption = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Only one JSON object, on the last line.")] = False,
) -> None:
    """Plays a scenario on virtual time: the same seed gives the same bytes at the hub."""
    script = _read(scenario)
    root = Path(tempfile.mkdtemp(prefix="balise-run-"))
    begun_s = time.perf_counter()
    played = Street(script, root, seed, core=any_core())
    verdict = played.play()
    wall_s = time.perf_counter() - begun_s
    store = HubStore(played.site.hub_db)
    sha256 = items_sha256(store, played.site.gateway_keys)
    store.close()
    shutil.rmtree(root)
    energy = {name: round(node.energy.report().mah_per_day, 3) for name, node in played.world.nodes.items()}
    if as_json:
        versions = sorted({node.vm_version for node in played.world.nodes.values()})
        told = {
            "scenario": script.name,
            "seed": seed,
            "ok": verdict.ok,
            "rows_produced": verdict.produced,
            "rows_at_hub": verdict.delivered,
            "rows_declared_lost": verdict.declared_lost,
            "rows_lost": len(verdict.lost),
            "rows_duplicated": len(verdict.duplicated),
            "envelopes": verdict.envelopes,
            "hub_sha256": sha256,
            "energy_mah_per_day": energy,
            "simulated_s": round(played.loop.time(), 3),
            "wall_s": round(wall_s, 3),
            "vm_version": ", ".join(versions),
        }
        typer.echo(json.dumps(told))
    else:
        for line in verdict_lines(verdict):
            typer.echo(line)
        for line in energy_lines(energy):
            typer.echo(line)
        typer.echo(f"items at the hub: sha256 {sha256}")
    raise typer.Exit(0 if verdict.ok else 1)


@app.command("scenarios")
def list_scenarios() -> None:
    """The scenarios that come with Balise, with a line each."""
    for name in scenarios.bundled_names():
        typer.echo(f"{name:<12} {scenarios.summary(name)}")


@app.command()
def board(
    name: Annotated[
        str, typer.Argument(metavar="KIT", help=f"{', '.join(KITS)}, or BOARD+SENSOR+..., as esp32+bme280.")
    ],
    shell: Annotated[bool, typer.Option("--shell", help="Open mpremote's prompt on it; Ctrl-] leaves.")] = False,
    files: Annotated[
        Path | None, typer.Option(help="The folder that is its file system; without it, a new one.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="A littlefs image instead; a new one gets the folder's files.")
    ] = None,
) -> None:
    """One board in real time on a pseudo-terminal, for mpremote or any serial program.

    The first line is the terminal's path. The board runs boot.py and main.py of its file system, and has our packages
    in /lib. --shell starts `mpremote connect PATH repl`; without it, the board runs until Ctrl-C.
    """
    if shell and importlib.util.find_spec("mpremote") is None:
        _stop("--shell needs mpremote, which is not installed. Try: pip install mpremote")
    try:
        chosen = kit(name)
    except KitError as error:
        _stop(str(error))
    with contextlib.ExitStack() as stack:
        folder = files or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="balise-board-")))
        try:
            desk = stack.enter_context(set_up(chosen, folder, image))
        except KitError as error:
            _stop(str(error))
        typer.echo(desk.path)
        for wire in desk.wires:
            typer.echo(wire)
        sys.stdout.flush()
        status = desk.shell() if shell else desk.serve()
    raise typer.Exit(status)


@app.command()
def reader(
    path: Annotated[Path, typer.Argument(help="Where the serial device appears; nothing may be there yet.")],
    pace: Annotated[float, typer.Option(min=0, help="How long line and air take: 1 as in reality, 0 not at all.")] = 1,
) -> None:
    """A PN532 badge reader at a path, for any serial program; lines that you type lay cards on it.

    The first line is the path. Type help for what can be done; the reader is there until the input ends (Ctrl-D).
    """
    try:
        with Pn532Tty(path, pace) as pn532:
            typer.echo(path)
            _move(Hand(pn532))
    except OSError as error:
        _stop(f"{path}: {error.strerror}. Give a path in a folder that you may write to, where nothing is yet")


def _move(hand: Hand) -> None:
    while True:
        try:
            line = input("reader> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return
        try:
            typer.echo(hand.do(line), nl=bool(line.strip()))
        except HandError as error:
            typer.echo(f"balise sim: {error}", err=True)


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


def _read(name: str) -> Scenario:
    try:
        return scenarios.find(name)
    except ScenarioError as error:
        _stop(str(error))


def _stop(why: str) -> NoReturn:
    typer.echo(f"balise sim: {why}", err=True)
    raise typer.Exit(2)
