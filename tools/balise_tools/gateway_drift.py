"""`balise gateway drift`: which sensors move away from the others, by the hours that the journal keeps.

Promises exit code 0 whatever it finds: an indicator, no verdict. Corrects nothing. Leaves the sums to `quality.drift`.
"""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from balise_gateway.config import Config
from balise_gateway.errors import GatewayError
from balise_gateway.journal import open_to_read, tables
from balise_gateway.quality.drift import Hours, beside_others, co2_floor_is_off
from balise_gateway.quality.hourly import HOUR_S
from balise_gateway.quality.limits import LimitTable
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, fail, load
from balise_wire.channels import channel as channel_row
from balise_wire.frames import FrameKeys

LEVEL_DB = 3.0  # sound has no `near`: twice the power
CHANNELS = ("pm1", "pm2_5", "pm10", "laeq")
CO2 = "co2"

Document = dict[str, Any]


def drift(
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One array, for programs.")] = False,
) -> None:
    """Says which sensors have moved beside the others, week by week. Corrects nothing."""
    loaded = load(config)
    try:
        db = open_to_read(loaded.gateway.data_dir)
        found = [*_against_others(db, loaded), *_against_open_air(db, loaded)]
        db.close()
    except GatewayError as error:
        fail(str(error), FAILED)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for told in found:
        typer.echo(_line(told))
    if not found:
        typer.echo("nothing to compare yet: it takes six weeks, and two other nodes that measure the same")


def _against_others(db: sqlite3.Connection, config: Config) -> Iterator[Document]:
    table = LimitTable(config.limits)
    for name in CHANNELS:
        series = _hours(db, config, name)
        limits = table.of(name, 0)
        allowed = limits.near if limits is not None and limits.near is not None else LEVEL_DB
        for node, hours in series.items():
            moved = beside_others(hours, [other for key, other in series.items() if key != node])
            if moved is not None:
                told = {"node": node, "channel": name, "unit": channel_row(name).unit, "moved": round(moved.moved, 2)}
                told |= {"weeks": moved.weeks, "others": moved.others, "look": abs(moved.moved) > allowed}
                yield told


def _against_open_air(db: sqlite3.Connection, config: Config) -> Iterator[Document]:
    for node, hours in _hours(db, config, CO2).items():
        year = datetime.fromtimestamp(max(hours) / 1_000, UTC).year
        off = co2_floor_is_off(hours, year)
        if off is not None:
            yield {"node": node, "channel": CO2, "unit": "ppm", "moved": round(off), "look": True}


def _hours(db: sqlite3.Connection, config: Config, name: str) -> dict[str, Hours]:
    """The hours of each node of the configuration that measures this channel."""
    names = {FrameKeys(node.key).kid: node.name for node in config.nodes}
    found: dict[str, dict[int, float]] = {}
    for row in tables.AGGREGATE.read(db, "channel = ? AND window_s = ?", (name, HOUR_S)):
        if row[0] in names and row[6] is not None:
            found.setdefault(names[row[0]], {})[row[3]] = row[6]
    return dict(found)


def _line(told: Document) -> str:
    mark = "look at it: clean it, or put it beside a reference" if told["look"] else "within what is usual"
    if told["channel"] == CO2:
        return f"{told['node']} {CO2}: its floor is {told['moved']} ppm beside open air; {mark}"
    weeks = f"beside {told['others']} others in {told['weeks']} weeks"
    return f"{told['node']} {told['channel']}: moved by {told['moved']:+g} {told['unit']} {weeks}; {mark}"
