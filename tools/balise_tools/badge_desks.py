"""`balise badge desk`: who types names and cards on this gateway's page: its own place, and guest places, which have no
gateway.
"""

from typing import Annotated

import typer

from balise_gateway.badges.cards import keys
from balise_gateway.badges.desk_page import keys as desk_keys
from balise_gateway.badges.desk_page.places import folder_of
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.federation.table_toml import toml_of
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.config import Config
from balise_gateway.errors import GatewayError
from balise_gateway.keys import load_or_make as gateway_signer
from balise_tools.badge_federation import fail, of_place
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile
from balise_wire.errors import WireError
from balise_wire.places import Place
from balise_wire.visits import place_of

desk_app = typer.Typer(
    help="The desk page, where visits are typed: for this place, and for guest places without a gateway.",
    no_args_is_help=True,
)
_PLACE = typer.Argument(help="This place or a guest place: a domain name in lower case that it holds.")


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.add_typer(desk_app, name="desk")


@desk_app.command("add")
def add(
    place: Annotated[str, _PLACE],
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Opens a desk for this place or a guest place, or gives it a new token; prints the token, once."""
    loaded, badge = of_place(config)
    data_dir = loaded.gateway.data_dir
    try:
        is_guest = place_of(place, "place") != badge.place
        if is_guest and _has_gateway(loaded, badge, place):
            fail(f"{place} has a gateway of its own, says the table: it types visits there", FAILED)
        token = desk_keys.give(data_dir, place, name or ("" if is_guest else badge.name))
        if is_guest:
            keys.load_or_make(folder_of(data_dir, place))
    except (GatewayError, WireError) as error:
        fail(str(error), CONFIG_ERROR)
    typer.echo(f"{place} types visits at /badge/desk. Its token, which is not shown again:", err=True)
    typer.echo(token)


def _has_gateway(loaded: Config, badge: BadgeSettings, place: str) -> bool:
    """Whether the table says that another gateway signs visits there. Raises GatewayError."""
    table = TableCache(loaded.gateway.data_dir, badge.table_key).load()
    found = table.by_id.get(place) if table else None
    ours = gateway_signer(loaded.gateway.data_dir).public_key
    return found is not None and ours not in found.gateways


@desk_app.command("list")
def show(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Lists the places with a desk."""
    try:
        desks = desk_keys.read(of_place(config)[0].gateway.data_dir)
    except GatewayError as error:
        fail(str(error), CONFIG_ERROR)
    for desk in desks:
        typer.echo(f"{desk.place}  {desk.name}: {'open' if desk.sha256 else 'closed'}")
    if not desks:
        typer.echo("no desks")


@desk_app.command("close")
def close(place: Annotated[str, _PLACE], config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Lets nobody in any more, with the next request; what was recorded stays."""
    try:
        if not desk_keys.close(of_place(config)[0].gateway.data_dir, place):
            fail(f"no open desk of {place!r}; see: balise badge desk list", FAILED)
    except GatewayError as error:
        fail(str(error), CONFIG_ERROR)
    typer.echo(f"the desk of {place} is closed")


@desk_app.command("card")
def card(
    place: Annotated[str, _PLACE],
    prefix: Annotated[str, typer.Option(help="Its short name in QR codes: 1 to 8 of a-z and 0-9.")] = "",
    url: Annotated[str, typer.Option(help="Where this gateway's page is seen from outside.")] = "",
    login: Annotated[str, typer.Option(help="Its members' login page, if it has one.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Prints what a guest place hands in to who keeps the table: its own keys, this gateway's addresses."""
    loaded, badge = of_place(config)
    if place == badge.place:
        fail(f"{place} is this place, no guest; for its own entry: balise badge place card", FAILED)
    base = (url or f"https://{badge.place}").rstrip("/")
    try:
        found = next((desk for desk in desk_keys.read(loaded.gateway.data_dir) if desk.place == place), None)
        if found is None:
            fail(f"no guest place {place!r}; first: balise badge desk add {place}", FAILED)
        own = keys.load(folder_of(loaded.gateway.data_dir, place))
        signer = gateway_signer(loaded.gateway.data_dir)
    except GatewayError as error:
        fail(str(error), CONFIG_ERROR)
    short = prefix or "".join(c for c in place.split(".")[0] if c.isalnum())[:8]
    sign, lists = (own.signer.public_key,), f"{base}/badge/v1/of/{place}/lists"
    told = (sign, own.box_public, (signer.public_key,), login, lists, f"{base}/badge")
    typer.echo(toml_of(Place(place, found.name, short, *told)), nl=False)
