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
        bool, typer.Option("--with-key", help="The keys too, encrypted with a passphrase that is asked for.")
    ] = False,
) -> None:
    """Copies the journal and a place's files, as they are now, into one file; the gateway may run meanwhile."""
    loaded = load(config)
    passphrase = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True) if with_key else None
    clock = SystemClock(loaded.gateway.clock_uncertainty_ms)
    try:
        made = backup.write(loaded.gateway.data_dir, file, known_utc_ms(clock), passphrase)
    except (BackupError, JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    try:
        backup.note(loaded.gateway.data_dir, made)
    except (OSError, ValueError) as error:
        typer.echo(f"{file}: is whole; that it was made could not be noted for the doctor ({error})", err=True)
    place = f" and the place's {', '.join(made.files)}" if made.files else ""
    names = ", ".join((keys.FILE_NAME, *made.key_marks))
    key = f"with {names}" if made.with_key else f"without {names}: keep a copy of that elsewhere"
    typer.echo(f"{file}: the journal of gateway {made.kid}{place}, {key}")
    if made.files:
        typer.echo(f"{file}: it holds members and cards; keep it as you keep {loaded.gateway.data_dir}")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that 'balise gateway backup' wrote.")],
    config: ConfigFile = DEFAULT_CONFIG,
    replace: Annotated[bool, typer.Option("--replace", help="Set aside what is there.")] = False,
) -> None:
    """Puts a backup's journal and a place's files into data_dir; a gateway that runs must be stopped first."""
    loaded = load(config)
    data_dir = loaded.gateway.data_dir
    asked = [hub.log for hub in loaded.hubs if hasattr(plugins.load(hubs, hub.kind).Hub, "deliver")]
    try:
        about = backup.read_about(file)
        locked = about.with_key and about.wants(data_dir)
        passphrase = typer.prompt("Passphrase", hide_input=True) if locked else None
        done = backup.restore(file, data_dir, asked, passphrase=passphrase, replace=replace)
    except (BackupError, JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    for name in done.aside:
        typer.echo(f"{data_dir / name}: {'the journal that was there' if name.startswith('journal') else 'set aside'}")
    for note in done.notes:
        typer.echo(f"{data_dir}: {note}")
    typer.echo(f"{data_dir}: restored; numbers go on above those that were given after the backup")
