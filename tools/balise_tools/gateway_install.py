"""`balise gateway install` and `uninstall`: the gateway as a service of this machine.

Promises to print each step before it is taken. Leaves the steps to `balise_gateway.operation.install`.
"""

import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from balise_gateway.errors import InstallError
from balise_gateway.operation import unit
from balise_gateway.operation.install import Machine, Step
from balise_gateway.operation.install import install as steps_to_install
from balise_gateway.operation.install import uninstall as steps_to_remove
from balise_tools.gateway_config import FAILED, fail

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only says what it would do.")]
Root = Annotated[Path, typer.Option(help="Another machine's root folder, such as a card's.")]


def install(dry_run: DryRun = False, root: Root = Path("/")) -> None:
    """Makes the gateway a service: user, folders, first configuration, systemd unit. Needs root."""
    _take(steps_to_install(_machine(root)), dry_run)
    typer.echo(f"configuration: {unit.CONFIG_DIR}/gateway.toml; what it does: journalctl -u {unit.NAME}")


def uninstall(dry_run: DryRun = False, root: Root = Path("/")) -> None:
    """Stops the service and removes its unit; configuration, keys and journal stay."""
    _take(steps_to_remove(_machine(root)), dry_run)
    typer.echo(f"kept: {unit.CONFIG_DIR}, {unit.STATE_DIR}")


def _machine(root: Path) -> Machine:
    return Machine(root.absolute(), sys.executable, secrets.token_urlsafe(12))


def _take(steps: Iterable[Step], dry_run: bool) -> None:
    try:
        for step in steps:
            typer.echo(f"by hand: {step.says}" if step.by_hand else f"would {step.says}" if dry_run else step.says)
            if not dry_run:
                step.do()
    except PermissionError as error:
        fail(f"{error.filename}: not allowed; this needs root: try with sudo", FAILED)
    except (InstallError, OSError) as error:
        fail(str(error), FAILED)
