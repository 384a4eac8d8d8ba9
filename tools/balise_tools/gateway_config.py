"""What all commands of `balise gateway` share: which configuration, and how a command fails."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from balise_gateway import config as configuration
from balise_gateway.config import Config
from balise_gateway.errors import ConfigError

CONFIG_ERROR, FAILED = 2, 1
DEFAULT_CONFIG = Path("gateway.toml")
ConfigFile = Annotated[Path, typer.Option("-c", "--config", help="The gateway's configuration file.")]


def load(path: Path) -> Config:
    """The configuration, or the end of the command with what is wrong in it."""
    try:
        return configuration.load(path)
    except ConfigError as error:
        fail(str(error), CONFIG_ERROR)


def fail(text: str, code: int) -> NoReturn:
    """Ends the command with this message and exit code."""
    typer.echo(f"balise gateway: {text}", err=True)
    raise typer.Exit(code)
