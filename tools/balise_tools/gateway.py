"""`balise gateway`: runs the gateway, says how it is, prints its public key.

Promises exit code 0 after a clean stop, 2 for a configuration or key that cannot be used, 1 for anything else.
Leaves everything else to `balise_gateway`.
"""

import json
import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from balise_gateway.errors import JournalError, KeyFileError
from balise_tools import (
    gateway_access,
    gateway_backup,
    gateway_badge,
    gateway_budget,
    gateway_bundle,
    gateway_doctor,
    gateway_grants,
    gateway_install,
    gateway_key,
)
from balise_tools.gateway_calibrate import calibrate
from balise_tools.gateway_checkpoint import checkpoint
from balise_tools.gateway_config import (
    DEFAULT_CONFIG,
    FAILED,
    ConfigFile,
    ask_running,
    fail,
    load,
    read_journal,
)
from balise_tools.gateway_drift import drift
from balise_tools.gateway_reload import reload
from balise_tools.gateway_seed import seed


class LogForm(StrEnum):
    """One line per event: `what key=value`, or JSON."""

    TEXT = "text"
    JSON = "json"


app = typer.Typer(help="The gateway: keeps, signs and forwards what the nodes measure.", no_args_is_help=True)
app.command("backup")(gateway_backup.make)
app.command("restore")(gateway_backup.restore)
app.command()(checkpoint)
app.command()(calibrate)
app.command()(drift)
app.add_typer(gateway_access.app, name="access")
app.command()(gateway_install.install)
app.command()(gateway_install.uninstall)
app.add_typer(gateway_grants.app, name="grant")
app.command("ledger")(gateway_grants.show_ledger)
app.command("consent")(gateway_grants.show_consent)
app.command()(seed)
app.command("doctor")(gateway_doctor.examine)
app.command("support-bundle")(gateway_bundle.make)
app.command("budget")(gateway_budget.show)
app.command()(reload)
app.add_typer(gateway_key.app, name="key")


@app.command()
def run(
    config: ConfigFile = DEFAULT_CONFIG,
    log: Annotated[LogForm, typer.Option("--log", help="How events are told on stderr.")] = LogForm.TEXT,
) -> None:
    """Runs until SIGTERM or Ctrl-C; what it has taken is then on disk."""
    load(config)
    sys.stdout.flush()
    os.execv(
        sys.executable, [sys.executable, "-m", "balise_gateway", str(config), log.value]
    )  # leaner than what read the command


@app.command("status")
def show_status(
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="The whole document, for programs.")] = False,
) -> None:
    """Says how the gateway is: asks the running one, or reads the journal when none is running."""
    loaded = load(config)
    try:
        document = ask_running(loaded) or read_journal(loaded)
    except (JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for line in _lines(document):
        typer.echo(line)


def _lines(document: dict[str, Any]) -> list[str]:
    journal = document["journal"]
    state = "running" if document["running"] else "no page answers; this is from the journal"
    lines = [f"gateway {document['gateway']['kid']}: {state}"]
    lines.append(f"journal: {journal.get('error') or 'all is well'}")
    for node in document["nodes"]:
        values = ", ".join(f"{value['name']} {_shown(value)}" for value in node["latest"]) or "nothing yet"
        lines.append(f"{node['name']}: {node['rows']} rows; {values}")
    doubted = ", ".join(f"{reason} {count}" for reason, count in document["doubted"].items())
    lines.append(f"doubted values: {doubted or 'none'}")
    for log in document["logs"]:
        hub = log.get("hub")
        lag = "" if hub is None else f", {hub['lag_envelopes']} to deliver, {len(hub['parked'])} parked"
        cost = f"{log['bytes_per_reading'] or 0} bytes per reading"
        lines.append(f"log {log['log']} ({log['name']}): {log['next_seq'] - 1} envelopes{lag}, {cost}")
        if hub is not None and hub.get("error"):
            lines.append(f"  {hub['error']}")
    refused = ", ".join(f"{reason} {count}" for reason, count in document["refused"].items())
    return [*lines, f"refused frames: {refused or 'none'}", *gateway_badge.lines(document.get("badge"))]


def _shown(value: dict[str, Any]) -> str:
    return "missing" if value["value"] is None else f"{value['value']} {value['unit']}"
