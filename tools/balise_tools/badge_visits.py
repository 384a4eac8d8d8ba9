"""`balise badge visits`: all signed visits that this gateway holds, for `balise badge settle`."""

import sys
from typing import Annotated

import typer

from balise_gateway.badges.federation.exchange import FILE_NAME, Exchange
from balise_gateway.badges.federation.sequence import chosen, own_visits, unsigned_visits
from balise_gateway.errors import GatewayError
from balise_tools.badge_federation import fail, of_place
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("visits")(visits)


def visits(
    *,
    host: Annotated[str, typer.Option(help="Only visits at this place.")] = "",
    period: Annotated[str, typer.Option(help="Only of this month, as in 2026-03.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Prints the envelopes of visits, its own and those of partners, as a CBOR sequence: redirect it into a file."""
    settings = of_place(config)[0].gateway
    if sys.stdout.isatty():
        fail(
            "visits are bytes, nothing to read: write them into a file: balise badge visits > visits.cose", CONFIG_ERROR
        )
    try:
        found = list(chosen([*own_visits(settings.data_dir), *_partners(config)], host, period))
        unsigned = unsigned_visits(settings.data_dir)
    except ValueError:
        fail(f"period {period!r}: write it as 2026-03", CONFIG_ERROR)
    except GatewayError as error:
        fail(str(error), FAILED)
    sys.stdout.buffer.write(b"".join(found))
    asked = "".join(f", {name} {word}" for name, word in (("host", host), ("month", period)) if word)
    typer.echo(f"{len(found)} envelope{'' if len(found) == 1 else 's'} of visits{asked}", err=True)
    if unsigned:
        wait = f"the running gateway signs them within {settings.home_batch_s:g} s (home_batch_s); run this again then"
        typer.echo(f"visits of here that are not signed yet, and not in it: {unsigned}; {wait}", err=True)


def _partners(config: ConfigFile) -> list[bytes]:
    data_dir = of_place(config)[0].gateway.data_dir
    if not (data_dir / FILE_NAME).exists():
        return []
    exchange = Exchange(data_dir, lambda: None)
    try:
        return list(exchange.envelopes())
    finally:
        exchange.close()
