"""`balise gateway access`: keys to the API, given, listed and revoked by the host.

Promises that a running gateway obeys with the next request, and that a token is shown once. Leaves scopes to
`balise_gateway.grants`, and the file to `balise_gateway.api.access`.
"""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from balise_gateway import settings
from balise_gateway.api import access
from balise_gateway.config import Config
from balise_gateway.errors import AccessError, ConfigError
from balise_gateway.grants.grant import Grant
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, ConfigFile, fail, load

DEFAULT_DAYS = 365

app = typer.Typer(help="Keys to the API: who may read what, until when.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Who gets the key, in your words; the ledger shows it.")],
    *,
    channels: Annotated[str, typer.Option(help='Which channels, with commas between: "pm*,temperature".')],
    purpose: Annotated[str, typer.Option(help="What for; the words are those of a grant.")],
    licence: Annotated[str, typer.Option(help="SPDX identifier of the licence, such as CC-BY-4.0.")],
    nodes: Annotated[str, typer.Option(help="Which nodes, with commas between.")] = "*",
    resolution_s: Annotated[int, typer.Option(help="Windows of so many seconds; 0: rows as measured.")] = 3_600,
    delay_s: Annotated[float, typer.Option(help="How old a row must be before it is seen.")] = 0.0,
    place: Annotated[str, typer.Option(help="How precise the place is told; the words are those of a grant.")] = "none",
    indoor: Annotated[bool, typer.Option("--indoor", help="Also what is measured indoors.")] = False,
    days: Annotated[int, typer.Option(help="How many days the key lasts.", min=1, max=3_660)] = DEFAULT_DAYS,
    per_min: Annotated[int, typer.Option(help="Requests a minute.", min=1, max=6_000)] = access.DEFAULT_PER_MIN,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Makes a key and prints its token, once."""
    loaded = load(config)
    table: dict[str, object] = {
        "channels": channels.split(","),
        "nodes": nodes.split(","),
        "indoor": indoor,
        "resolution_s": resolution_s,
        "delay_s": delay_s,
        "place": place,
        "purpose": purpose,
        "licence": licence,
    }
    try:
        grant = settings.build(Grant, table, "options", "access add")
        expires = datetime.date.today() + datetime.timedelta(days=days)
        key, token = access.make(name, grant, expires, per_min)
        access.write(_folder(loaded), [*access.read(_folder(loaded)), key])
    except (ConfigError, AccessError) as error:
        fail(str(error), CONFIG_ERROR)
    typer.echo(f"key {key.id} for {name}, until {expires}. Its token, which is not shown again:", err=True)
    typer.echo(token)


@app.command("list")
def show(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Lists the keys: who, what, how fine, what for, until when."""
    try:
        keys = access.read(_folder(load(config)))
    except AccessError as error:
        fail(str(error), CONFIG_ERROR)
    for key in keys:
        grant = key.grant
        streams = f"{','.join(grant.nodes)}/{','.join(grant.channels)}"
        fine = f"windows of {grant.resolution_s} s" if grant.resolution_s else "as measured"
        typer.echo(f"{key.id}  {key.name}: {streams}, {fine}, {grant.purpose}, {grant.licence}, until {key.expires}")
    if not keys:
        typer.echo("no keys: nobody reads through the API")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Takes a key back; the next request with it is refused."""
    folder = _folder(load(config))
    try:
        keys = access.read(folder)
        kept = [key for key in keys if key.id != key_id]
        if len(kept) == len(keys):
            known = ", ".join(key.id for key in keys) or "there is none"
            fail(f"no key {key_id!r}; choose one of: {known}", CONFIG_ERROR)
        access.write(folder, kept)
    except AccessError as error:
        fail(str(error), CONFIG_ERROR)
    typer.echo(f"key {key_id} is revoked")


def _folder(loaded: Config) -> Path:
    return loaded.gateway.data_dir
