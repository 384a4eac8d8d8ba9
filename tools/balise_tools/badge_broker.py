"""`balise badge broker` and `poster`: from a QR code to the home's login page. Leaves how to `badges/federation/`."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from balise_gateway.badges.federation import poster as posters
from balise_gateway.badges.federation.broker import TableFile, app
from balise_gateway.errors import BadgeError, MissingExtra, PaperError
from balise_tools.badge_billing import public_key
from balise_tools.badge_federation import fail
from balise_tools.gateway_config import CONFIG_ERROR, FAILED

_TABLE = typer.Option("--table", help="The signed table of places.")


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("broker")(broker)
    app.command("poster")(poster)


def broker(
    *,
    table: Annotated[Path, _TABLE],
    key: Annotated[str, typer.Option(help="The federation's public key in hex: only its table is used.")] = "",
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The TCP port; 0: a free one.", min=0, max=65_535)] = 8090,
) -> None:
    """Serves the table and leads from QR codes to login pages; writes nothing about any request."""
    try:
        import uvicorn
    except ImportError:
        fail(str(MissingExtra("the broker", "uvicorn", "gateway")), CONFIG_ERROR)
    try:
        file = TableFile(table, public_key(key) if key else None)
        found = file.look()
    except PaperError as error:
        fail(str(error), FAILED)
    config = uvicorn.Config(
        app(file), log_config=None, access_log=False, lifespan="off", ws="none", server_header=False
    )
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        fail(f"{host}:{port}: {error.strerror}; choose another --port", CONFIG_ERROR)
    where = "http://{}:{}/".format(*listener.getsockname()[:2])
    typer.echo(f"table {found.number} with {len(found.places)} places at {where}")
    uvicorn.Server(config).run(sockets=[listener])


def poster(
    place: Annotated[str, typer.Argument(help="The place where it hangs, as in the table.")],
    *,
    table: Annotated[Path, _TABLE],
    broker: Annotated[str, typer.Option(help="The broker's address, such as https://badge.example.")],
    out: Annotated[Path, typer.Option(help="A file that ends in .pdf or .html.")] = Path("poster.pdf"),
) -> None:
    """Makes the poster of a place: one sheet with a QR code."""
    try:
        found = TableFile(table).look().by_id.get(place)
        if found is None:
            fail(f"{place!r} is not in {table}", FAILED)
        url = posters.address(broker, found.id)
        made = posters.html(found.name, url).encode() if out.suffix == ".html" else posters.pdf(found.name, url)
        out.write_bytes(made)
    except (BadgeError, MissingExtra) as error:
        fail(str(error), FAILED)
    except OSError as error:
        fail(f"{out}: {error.strerror}", CONFIG_ERROR)
    typer.echo(f"{out}: {url}")
