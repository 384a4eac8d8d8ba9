"""`balise gateway backup` and `restore`: asks for passphrases, says what was done. Leaves the work to `backup.py`."""

from pathlib import Path
from typing import Annotated

import typer

from balise_gateway import backup, hubs, keys, plugins
from balise_gateway.clock import SystemClock, known_utc_ms
from balise_gateway.errors import BackupError, JournalError, KeyFileError
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, fail, load


def make(
    file: Annotated[Path, typer.Argument(help="The file to write; there must be none of that name.")],
    config: ConfigFile = DEFAULT_CONFIG,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="The signing key too, encrypted with a passphrase that is asked for.")
    ] = False,
) -> None:
    """Copies the journal, as it is now, into one file; the gateway may run meanwhile."""
    loaded = load(config)
    passphrase = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True) if with_key else None
    clock = SystemClock(loaded.gateway.clock_uncertainty_ms)
    try:
        made = backup.write(loaded.gateway.data_dir, file, known_utc_ms(clock), passphrase)
    except (BackupError, JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    key = "with its signing key" if made.with_key else "without its signing key: keep that elsewhere"
    typer.echo(f"{file}: the journal of gateway {made.kid}, {key}")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that 'balise gateway backup' wrote.")],
    config: ConfigFile = DEFAULT_CONFIG,
    replace: Annotated[bool, typer.Option("--replace", help="Set a journal that is there aside.")] = False,
) -> None:
    """Puts a backup's journal into data_dir; a gateway that runs must be stopped first."""
    loaded = load(config)
    data_dir = loaded.gateway.data_dir
    asked = [hub.log for hub in loaded.hubs if hasattr(plugins.load(hubs, hub.kind).Hub, "deliver")]
    try:
        locked = backup.read_about(file).with_key and not (data_dir / keys.FILE_NAME).exists()
        passphrase = typer.prompt("Passphrase", hide_input=True) if locked else None
        aside = backup.restore(file, data_dir, asked, passphrase=passphrase, replace=replace)
    except (BackupError, JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    if aside is not None:
        typer.echo(f"{data_dir / aside}: the journal that was there")
    typer.echo(f"{data_dir}: restored; numbers go on above those that were given after the backup")
