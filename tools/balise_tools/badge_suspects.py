"""`balise badge suspects`: which of this home's members were at two places at once. Leaves how to `suspects.py`."""

import json
from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from balise_gateway.badges.billing.days import Calendar
from balise_gateway.badges.billing.visits import Inputs, Trust
from balise_gateway.badges.cards import keys
from balise_gateway.badges.desk.days import days_of
from balise_gateway.badges.federation.exchange import FILE_NAME, Exchange
from balise_gateway.badges.federation.sequence import own_visits
from balise_gateway.badges.federation.suspects import DEFAULT_TRAVEL_S, Suspect, suspects, unmask
from balise_gateway.badges.federation.table_cache import TableCache
from balise_gateway.badges.register import Register
from balise_gateway.config import Config
from balise_gateway.errors import GatewayError
from balise_gateway.keys import load_or_make as gateway_signer
from balise_tools.badge_federation import fail, of_place
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("suspects")(show)


def show(
    *,
    min_travel_s: Annotated[int, typer.Option(help="The least time from one place to another.", min=1)] = (
        DEFAULT_TRAVEL_S
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Lists cards of this home that were at two places at once: cloned, or lent. Exit status 1 when there are any."""
    loaded, badge = of_place(config)
    data_dir = loaded.gateway.data_dir
    try:
        days, own = days_of(badge, ZoneInfo(loaded.gateway.time_zone)), keys.load(data_dir)
        taps, _ = _inputs(loaded).taps()
        with Register(data_dir, own.uid_token) as register:
            members = [member.id for member in register.members()]
        sights, lost = unmask(taps, own, badge.place, members, days.calendar)
        found = suspects(sights, lambda a, b: min_travel_s, days.calendar, days.debounce_s)
    except GatewayError as error:
        fail(str(error), FAILED)
    for each in found:
        typer.echo(_json(each) if as_json else _line(each, days.calendar))
    said = f"{len(sights)} visits of {len({sight.member for sight in sights})} members looked at, {len(found)} pairs"
    typer.echo(said + (f"; {lost} visits of nobody who is known" if lost else ""), err=True)
    raise typer.Exit(FAILED if found else 0)


def _inputs(loaded: Config) -> Inputs:
    data_dir, badge = loaded.gateway.data_dir, loaded.badge
    table = TableCache(data_dir, badge.table_key if badge else None).load()
    inputs = Inputs(Trust.of([gateway_signer(data_dir).public_key], table))
    for envelope in own_visits(data_dir):
        inputs.add_envelope(envelope)
    if (data_dir / FILE_NAME).exists():
        exchange = Exchange(data_dir, lambda: table)
        try:
            for envelope in exchange.envelopes():
                inputs.add_envelope(envelope)
        finally:
            exchange.close()
    return inputs


def _json(found: Suspect) -> str:
    told = {"kind": found.kind, "gap_s": found.gap_s, "first": asdict(found.first), "second": asdict(found.second)}
    return json.dumps(told, ensure_ascii=False)


def _line(found: Suspect, calendar: Calendar) -> str:
    first, second = (
        f"{each.host} {calendar.local(each.t):%Y-%m-%d %H:%M} (grade {each.grade})"
        for each in (found.first, found.second)
    )
    return f"{found.first.member}: {found.kind}: {first}, {second}, at most {found.gap_s // 60} min apart"
