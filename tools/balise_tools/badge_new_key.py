"""`balise badge new-key`: another `place.key`, in time or after a leak. Leaves how to `badges/cards/new_key.py`."""

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import typer

from balise_gateway.badges.cards import keys, new_key
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.federation.table_toml import toml_of
from balise_gateway.badges.register import Register
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.config import Config
from balise_gateway.errors import GatewayError
from balise_tools.badge_federation import entry_of, fail, of_place
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile
from balise_wire.card import printed

DAY_S = 86_400
SOON_DAYS = 30  # who runs the command again so soon wants to see what has become of the last change


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("new-key")(change_key)


def change_key(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    leaked: Annotated[bool, typer.Option("--leaked", help="Others may have the old key: it counts no more.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Another change, soon after the last one.")] = False,
) -> None:
    """Makes a new place.key. Prints this place's entry for who keeps the table; the key is used when that is in force.

    The same command again says how far it is.
    """
    loaded, badge = of_place(config)
    folder, now_s = loaded.gateway.data_dir, int(time.time())
    try:
        own = keys.load(folder)
        changed = keys.Change.load(folder).changed_day
        is_soon = changed is not None and now_s // DAY_S - changed < SOON_DAYS
        if new_key.waits(folder) or leaked or again or not is_soon:
            new_key.begin(folder, leaked=leaked)
        is_leak = new_key.is_leak(folder)
        with Register(folder, own.uid_token) as register:
            cache = TableCache(folder, badge.table_key)
            scene = new_key.Scene(badge.place, cache.load(), now_s, badge.table_key is None)
            done = new_key.look(folder, own, scene, register.cards)
            _tell(folder, done=done, is_leak=is_leak)
            if is_leak:
                _tell_cards(register)
        _print_entry(loaded, badge, cache, new_key.told(folder, now_s // DAY_S))
    except GatewayError as error:
        fail(str(error), FAILED)


def _tell(folder: Path, *, done: bool, is_leak: bool) -> None:
    if not new_key.waits(folder):
        what = (
            "place.key is the new one now" if done else "place.key was changed a short while ago (--again: once more)"
        )
        _say(f"{what}. Make a backup: balise gateway backup FILE --with-key")
        return
    _say("the new key waits: give the entry below to who keeps the table, in place of the one that is there")
    if is_leak:
        _say("it signs as soon as the new table is here; telephone the other places: they take that table at once, and")
        _say("write the new key into the [[hub]] for this place. Sign the agreement anew")
    else:
        _say(
            "it signs a day after the new table was signed; until then, and as long as its cards are good, the old one"
        )
        _say("counts too. Partners write the new key into their [[hub]] for this place when it signs")


def _tell_cards(register: Register) -> None:
    cards = [card for card in register.cards() if card.grade == 1 and card.state in ("active", "blank", "lost")]
    _say(f"cards of grade 1 that must be written again (balise badge issue … --write READER): {len(cards)}")
    for card in cards:
        _say(f"  {printed(card.number)}  {card.state:8}  {card.member or '-'}")


def _print_entry(loaded: Config, badge: BadgeSettings, cache: TableCache, told: new_key.Told) -> None:
    """The entry of the table in force, with these keys; without one, a new one."""
    held = cache.place(badge.place)
    entry = entry_of(loaded, badge, told)
    if held is not None:
        gateways = tuple(dict.fromkeys((*entry.gateways, *held.gateways)))
        entry = dataclasses.replace(held, sign=told.sign, box=told.box, gateways=gateways)
    typer.echo(toml_of(entry), nl=False)


def _say(text: str) -> None:
    typer.echo(text, err=True)
