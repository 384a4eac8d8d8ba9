"""`balise badge table`, `place`, `lists`: what places tell each other. Leaves how to `badges/federation/`."""

import string
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer

from balise_gateway.badges.cards import keys, new_key
from balise_gateway.badges.federation.home_lists import HomeLists
from balise_gateway.badges.federation.lists import CardLists
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.federation.table_toml import places_of, toml_of
from balise_gateway.badges.files import replace_file
from balise_gateway.badges.register import Register
from balise_gateway.badges.register.listing import ForLists
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.config import Config
from balise_gateway.errors import GatewayError, PaperError
from balise_gateway.keys import KeyFile
from balise_gateway.keys import load_or_make as gateway_signer
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile, load
from balise_wire.card_list import peek_list
from balise_wire.envelope import Signer, split_sequence
from balise_wire.errors import WireError
from balise_wire.places import Place, Table, read_table, sign_table

table_app = typer.Typer(help="The signed table of places: made, brought, shown.", no_args_is_help=True)
place_app = typer.Typer(help="This place, as the others must know it.", no_args_is_help=True)
lists_app = typer.Typer(help="Lists of cards between homes and hosts.", no_args_is_help=True)
DAY_S, HOUR_S = 86_400, 3_600
KEY_DIGITS = 64


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.add_typer(table_app, name="table")
    app.add_typer(place_app, name="place")
    app.add_typer(lists_app, name="lists")


@table_app.command("make")
def make_table(
    places: Annotated[Path, typer.Argument(help="The places, as in places.toml.")],
    *,
    key: Annotated[Path, typer.Option(help="The federation's key; it is made when there is none.")],
    out: Annotated[Path, typer.Option(help="Where the table goes; the one that is there is followed.")],
    number: Annotated[int, typer.Option(help="Its number; 0: one more than the table that is there.")] = 0,
) -> None:
    """Signs a table of places. Its number must be higher than that of the table before it."""
    try:
        signer = Signer(_key_file(key).load_or_make(key.parent))
        before = read_table(out.read_bytes(), signer.public_key).number if out.exists() else 0
        wanted = number or before + 1
        if wanted <= before:
            fail(f"number {wanted}: {out} has number {before} already, and places refuse what does not rise", FAILED)
        table = Table(wanted, int(time.time()), places_of(places))
        replace_file(out, sign_table(signer, table))
    except (GatewayError, WireError, OSError) as error:
        fail(str(error), FAILED)
    out.chmod(0o644)  # anybody may read it: it proves itself
    typer.echo(f"table {wanted} with {len(table.places)} places; table_key = {signer.public_key.hex()}")


@table_app.command("import")
def import_table(
    file: Annotated[Path, typer.Argument(help="The table, as its keeper signed it.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Takes a table that was brought on a stick or by mail; an older one, or one of another key, is refused."""
    loaded, badge = of_place(config)
    cache = TableCache(loaded.gateway.data_dir, badge.table_key)
    cache.load()
    try:
        new = cache.take(_read(file))
        cache.note_checked(int(time.time()))
    except GatewayError as error:
        fail(str(error), FAILED)
    assert cache.table is not None
    typer.echo(
        f"{'taken' if new else 'held already'}: table {cache.table.number} with {len(cache.table.places)} places"
    )


@table_app.command("show")
def show_table(
    file: Annotated[Path, typer.Argument(help="A table of places.")],
    *,
    key: Annotated[str, typer.Option(help="The federation's public key, in hex.")],
) -> None:
    """Verifies a table and prints it as places.toml."""
    if len(key) != KEY_DIGITS or not all(letter in string.hexdigits for letter in key):
        fail(f"--key {key!r}: the public key of the federation is {KEY_DIGITS} hex digits", CONFIG_ERROR)
    try:
        table = read_table(_read(file), bytes.fromhex(key))
    except WireError as error:
        fail(f"{file}: {error}; is it what `balise badge table make` wrote?", FAILED)
    typer.echo(f"# number {table.number}, signed {_moment(table.utc_s)}\n")
    typer.echo("\n".join(map(toml_of, table.places)))


@place_app.command("card")
def place_card(
    config: ConfigFile = DEFAULT_CONFIG,
    prefix: Annotated[str, typer.Option(help="Its short name in QR codes: 1 to 8 of a-z and 0-9.")] = "",
    url: Annotated[str, typer.Option(help="Where this gateway's page is seen from outside.")] = "",
    login: Annotated[str, typer.Option(help="Your members' login page.")] = "",
) -> None:
    """Prints what a place hands in to who keeps the table: names, addresses, public keys."""
    loaded, badge = of_place(config)
    try:
        keys.load_or_make(loaded.gateway.data_dir)
        told = new_key.told(loaded.gateway.data_dir, int(time.time()) // DAY_S)
        typer.echo(toml_of(entry_of(loaded, badge, told, (prefix, url, login))), nl=False)
    except GatewayError as error:
        fail(str(error), CONFIG_ERROR)


def entry_of(
    loaded: Config, badge: BadgeSettings, told: new_key.Told, words: tuple[str, str, str] = ("", "", "")
) -> Place:
    """This place as the table should have it. `words`: prefix, URL and login page. Raises KeyFileError."""
    prefix, url, login = words
    base = (url or f"https://{badge.place}").rstrip("/")
    return Place(
        badge.place,
        badge.name or badge.place,
        prefix or "".join(c for c in badge.place.split(".")[0] if c.isalnum())[:8],
        told.sign,
        told.box,
        (gateway_signer(loaded.gateway.data_dir).public_key,),
        login or f"https://{badge.place}/federated_login",
        f"{base}/badge/v1/lists",
        f"{base}/badge",
    )


@lists_app.command("import")
def import_lists(
    files: Annotated[list[Path], typer.Argument(help="Lists of other homes for this place.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Takes lists that were brought on a stick; of several files those for other places are left alone."""
    place, refused = of_place(config)[1].place, False
    with _Lists(config) as (lists, _):
        for file in files:
            data = _read(file)
            host = _host_of(data)
            if len(files) > 1 and host not in ("", place):
                typer.echo(f"{file.name}: for {host}, left alone")
                continue
            try:
                new = lists.take(data, int(time.time()))
            except PaperError as error:
                typer.echo(f"balise badge: {file.name}: {error}", err=True)
                refused = True
            else:
                typer.echo(f"{file.name}: {'taken' if new else 'held already'}")
    if refused:
        raise typer.Exit(FAILED)


def _host_of(data: bytes) -> str:
    """For which place the list says that it is; empty where it says nothing."""
    try:
        return peek_list(next(iter(split_sequence(data)), b""))[1]
    except WireError:
        return ""


@lists_app.command("write")
def write_lists(
    folder: Annotated[Path, typer.Argument(help="Where the files go, such as a stick.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Writes this home's whole lists, one sealed file for each host of the table."""
    loaded, badge = of_place(config)
    data_dir, now_s = loaded.gateway.data_dir, int(time.time())
    cache = TableCache(data_dir, badge.table_key)
    if cache.load() is None:
        fail(cache.error, FAILED)
    try:
        own = keys.load(data_dir)
        with Register(data_dir, own.uid_token) as register:
            listed = ForLists(register, lambda: now_s // DAY_S)
            made = HomeLists(data_dir, badge.place, own, listed, lambda: cache.table)
            for host in made.hosts():
                file = folder / f"{badge.place}--{host}.list"
                replace_file(file, made.message(host, 0, now_s, ZoneInfo(loaded.gateway.time_zone)))
                typer.echo(f"{file}")
            made.close()
    except GatewayError as error:
        fail(str(error), FAILED)


@lists_app.command("show")
def show_lists(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Says of each home which list is here and how old it is, and what was refused."""
    with _Lists(config) as (lists, badge):
        for row in lists.ages(int(time.time()), badge.stale_list_days * DAY_S):
            age_s, refused = row["age_s"], row["refused"]
            told = f"list {row['number']}, {_age(age_s)} old" if isinstance(age_s, int) else "no list"
            told += ", OLD" if row["stale"] and age_s is not None else ""
            counts = ", ".join(f"{n} × {why}" for why, n in refused.items()) if isinstance(refused, dict) else ""
            typer.echo(f"{row['home']}: {told}{'; refused: ' + counts if counts else ''}")


class _Lists:
    """The lists of a configuration's place, closed afterwards."""

    def __init__(self, config: Path) -> None:
        self._loaded, self._badge = of_place(config)

    def __enter__(self) -> tuple[CardLists, BadgeSettings]:
        data_dir, badge = self._loaded.gateway.data_dir, self._badge
        cache = TableCache(data_dir, badge.table_key)
        if cache.load() is None:
            fail(cache.error, FAILED)
        try:
            self._lists = CardLists(data_dir, badge.place, keys.load(data_dir), lambda: cache.table)
        except GatewayError as error:
            fail(str(error), FAILED)
        return self._lists, badge

    def __exit__(self, *_: object) -> None:
        self._lists.close()


def of_place(config: Path) -> tuple[Config, BadgeSettings]:
    """The configuration of a place with badges, or the end of the command."""
    loaded = load(config)
    if loaded.badge is None:
        fail(f'{config.name}: no [badge]; add it, with place = "your.domain"', CONFIG_ERROR)
    return loaded, loaded.badge


def fail(text: str, code: int) -> NoReturn:
    """Ends the command with this message and exit code."""
    typer.echo(f"balise badge: {text}", err=True)
    raise typer.Exit(code)


def _key_file(path: Path) -> KeyFile:
    lost = "bring it back from your backup; without it all places must be told a new table_key"
    return KeyFile(path.name, "federation's key", "sign a table once", lost)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}", CONFIG_ERROR)


def _moment(utc_s: int) -> str:
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _age(age_s: int) -> str:
    return f"{age_s // DAY_S} days" if age_s >= 2 * DAY_S else f"{age_s // HOUR_S} hours"
