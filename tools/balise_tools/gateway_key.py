"""`balise gateway key rotate`: a new signing key. Leaves how to `operation/rotation.py`."""

import os
from typing import Annotated

import typer

from balise_gateway import keys
from balise_gateway.clock import SystemClock, known_utc_ms
from balise_gateway.errors import JournalError, KeyFileError
from balise_gateway.operation import rotation
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile, fail, load

app = typer.Typer(help="The key that this gateway signs with.", invoke_without_command=True)


@app.callback()
def show(context: typer.Context, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Prints the public key, in hex: give it to each hub that shall verify what this gateway signs."""
    if context.invoked_subcommand is not None:
        return
    loaded = load(config)
    try:
        typer.echo(keys.load_or_make(loaded.gateway.data_dir).public_key.hex())
    except KeyFileError as error:
        fail(str(error), CONFIG_ERROR)


@app.command()
def rotate(
    config: ConfigFile = DEFAULT_CONFIG,
    now: Annotated[bool, typer.Option("--now", help="Also while rows wait to be told their time.")] = False,
) -> None:
    """Makes a new key, which the old one names in each log; stop the gateway first, and start it afterwards."""
    loaded = load(config)
    data_dir = loaded.gateway.data_dir
    try:
        waiting = rotation.undated(data_dir)
        if waiting and not now:
            fail(f"{waiting} boots of nodes wait for their time: let it run until they have it, or add --now", FAILED)
        made_utc_ms = known_utc_ms(SystemClock(loaded.gateway.clock_uncertainty_ms))
        new = rotation.rotate(data_dir, os.urandom(keys.SEED_BYTES), made_utc_ms)
    except (JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; is there room, and may you write there?", FAILED)
    typer.echo(f"new public key: {new.public_key.hex()}")
    typer.echo("give it to each hub before you start the gateway; what the old key signed is still delivered")
