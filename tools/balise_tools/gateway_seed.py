"""`balise gateway seed`: the files for the cards of one place. Leaves what is in them to `operation/seed.py`."""

from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer

from balise_gateway.errors import ConfigError, MissingExtra
from balise_gateway.operation import seed as seeds
from balise_gateway.operation import site as sites
from balise_tools.gateway_config import CONFIG_ERROR, FAILED, fail


def seed(
    file: Annotated[Path, typer.Argument(help="The site file: who may log in, which Wi-Fi, which configuration.")],
    out: Annotated[Path, typer.Option("--out", help="Where to put a folder for each board.")] = Path("seeds"),
    boards: Annotated[int, typer.Option(min=1, max=500, help="For how many boards.")] = 1,
) -> None:
    """Writes the files that make a Raspberry Pi's first boot ask nothing; copy them onto its boot partition."""
    dice = SystemRandom()
    try:
        site = sites.load(file)
        for _ in range(boards):
            name = seeds.write(site, out, dice)
            typer.echo(f"{out / name}: for one board; at home it is {name}.local")
    except (ConfigError, MissingExtra) as error:
        fail(str(error), CONFIG_ERROR)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; name another folder with --out", FAILED)
    for key in site.user.ssh_keys:
        typer.echo(f"lets in: {sites.key_fingerprint(key)}")
