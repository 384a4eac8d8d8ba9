"""`balise badge export-member` and `erase-member`: what a member may ask for. Leaves how to `badges/rights.py`."""

import contextlib
import datetime
import json
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from balise_gateway import keys as gateway_keys
from balise_gateway.badges import rights
from balise_gateway.badges.billing.visits import Trust
from balise_gateway.badges.cards import keys as place_keys
from balise_gateway.badges.desk.book import Book
from balise_gateway.badges.desk.days import days_of
from balise_gateway.badges.desk_page.book import FILE_NAME as TYPED_FILE
from balise_gateway.badges.desk_page.book import TypedBook
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.members import all_visits
from balise_gateway.badges.register import Register
from balise_gateway.errors import GatewayError
from balise_tools.badge_federation import fail, of_place
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile

MemberId = Annotated[str, typer.Argument(metavar="MEMBER", help="What your own software calls them.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("export-member")(export_member)
    app.command("erase-member")(erase_member)


def export_member(member_id: MemberId, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Prints all that this place holds of a member, as JSON: for the member who asks for it."""
    loaded, badge = of_place(config)
    folder = loaded.gateway.data_dir
    try:
        keys, signer = place_keys.load(folder), gateway_keys.load(folder)
        table = TableCache(folder, badge.table_key).load()
        with Register(folder, keys.uid_token) as register:
            member = rights.member_of(register, member_id)
            inputs = all_visits(folder, Trust.of([signer.public_key], table))
            days = days_of(badge, ZoneInfo(loaded.gateway.time_zone))
            told = rights.export(member, badge.place, keys, register, inputs, days)
        told["billing_lines"] = rights.billing_lines(member, badge.place, keys, folder)
    except GatewayError as error:
        fail(str(error), FAILED)
    typer.echo(json.dumps(told, ensure_ascii=False, indent=1))


def erase_member(member_id: MemberId, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Erases a member who has ended: name, cards' bearer, taps. Says what stays, how long, and why."""
    loaded, badge = of_place(config)
    folder, year = loaded.gateway.data_dir, datetime.date.today().year
    try:
        keys, book = place_keys.load(folder), Book(folder)
        book.open()
        with Register(folder, keys.uid_token) as register, contextlib.closing(book), contextlib.ExitStack() as stack:
            member = rights.member_of(register, member_id)
            books: list[Book | TypedBook] = [book]
            if (folder / TYPED_FILE).exists():
                books.append(stack.enter_context(contextlib.closing(TypedBook(folder, 0))))
            taps = rights.erase(member, badge.place, keys, register, books, year)
    except GatewayError as error:
        fail(str(error), FAILED)
    typer.echo(f"{member_id} is erased; taps erased here: {taps}")
    for what in rights.STAYS:
        typer.echo(f"stays: {what}")
