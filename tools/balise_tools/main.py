"""`balise`: what people type. One sub-command per room, mounted from SUB_COMMANDS.

Promises that a room whose extra is not installed says so instead of crashing, and that the others still work.
Leaves what a command does to its own module: `app` there is a typer.Typer.
"""

import importlib
import sys
from importlib import metadata
from typing import Annotated

import typer

SUB_COMMANDS = (
    # name, module with `app`, extra that it needs ("" = none)
    ("wire", "balise_tools.wire", ""),
    ("gateway", "balise_tools.gateway", "gateway"),
    ("badge", "balise_tools.badge", "badge"),
    ("sim", "balise_tools.sim", "sim"),
)

app = typer.Typer(no_args_is_help=True, help="Sensor data that anyone can verify.")


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"balise {metadata.version('balise')}")
        raise typer.Exit


@app.callback()
def balise(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Which one.")
    ] = False,
) -> None:
    """Sensor data that anyone can verify."""


def mount(parent: typer.Typer, name: str, module: str, extra: str) -> None:
    """Add the app of a module as a sub-command, or a stand-in that names what is missing."""
    try:
        sub_app = importlib.import_module(module).app
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").startswith("balise_"):
            raise  # ours, not an extra: a fault in the installation, shown whole
        _mount_stand_in(parent, name, extra, error.name or "a module")
        return
    parent.add_typer(sub_app, name=name)


def _mount_stand_in(parent: typer.Typer, name: str, extra: str, missing: str) -> None:
    told = f"balise {name} needs {missing}, which is not installed. Try: pip install 'balise[{extra}]'"

    @parent.command(
        name,
        help=f"(not installed: pip install 'balise[{extra}]')",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def stand_in() -> None:
        typer.echo(told, err=True)
        raise typer.Exit(2)


# A gateway that runs for months has no use for the simulator's modules in memory.
_chosen = [command for command in SUB_COMMANDS if command[0] in sys.argv[1:2]]
for _name, _module, _extra in _chosen or SUB_COMMANDS:
    mount(app, _name, _module, _extra)
