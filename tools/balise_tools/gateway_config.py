"""What all commands of `balise gateway` share: which configuration, and how a command fails."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from balise_gateway import config as configuration
from balise_gateway import keys, status
from balise_gateway.config import Config
from balise_gateway.errors import ConfigError
from balise_gateway.journal import open_to_read

CONFIG_ERROR, FAILED = 2, 1
ANSWER_WITHIN_S = 3.0
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


def ask_running(config: Config) -> dict[str, Any] | None:
    """The document of the gateway that serves the page; None when none answers."""
    if config.page is None:
        return None
    import urllib.request

    host = "127.0.0.1" if config.page.host == "0.0.0.0" else config.page.host
    try:
        with urllib.request.urlopen(f"http://{host}:{config.page.port}/status.json", timeout=ANSWER_WITHIN_S) as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "gateway" in found else None


def read_journal(config: Config) -> dict[str, Any]:
    """The document as far as the journal alone can tell. Raises JournalError, KeyFileError."""
    signer = keys.load(config.gateway.data_dir)
    db = open_to_read(config.gateway.data_dir)
    return status.of_journal(db, config, signer)
