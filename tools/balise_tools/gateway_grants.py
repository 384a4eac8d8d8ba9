"""`balise gateway grant`, `ledger` and `consent`: what the host has granted, what has left, and a record of both.

Promises that a pause or withdrawal holds as soon as the command ends, whether or not a gateway runs. Leaves what they
mean to `balise_gateway.grants`; the configuration is never written.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Annotated

import typer

from balise_gateway import keys
from balise_gateway.clock import Clock, SystemClock, known_utc_ms
from balise_gateway.config import Config
from balise_gateway.errors import JournalError, KeyFileError
from balise_gateway.grants import consent, ledger
from balise_gateway.grants.desk import standings_of
from balise_gateway.grants.record import GIVEN, PAUSED, RESUMED, WITHDRAWN, Event
from balise_gateway.grants.standings import NONE, Standings
from balise_gateway.hubs import HubSettings
from balise_gateway.journal import open_to_read, tables
from balise_gateway.journal.file import FILE_NAME
from balise_gateway.nodes.manifests import columns_of
from balise_tools.gateway_config import DEFAULT_CONFIG, FAILED, ConfigFile, fail, load
from balise_wire import cbor

app = typer.Typer(help="What each hub may have: list it, pause it, resume it, withdraw it.", no_args_is_help=True)
HubName = Annotated[str, typer.Argument(help="The hub's name in the configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def show(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Says for each hub how its grant stands, and in words what it lets through."""
    loaded = load(config)
    standings = standings_of(loaded)
    for hub in loaded.hubs:
        grant = loaded.grants.get(hub.log)
        name = "" if grant is None else f" (grant {grant.id})"
        typer.echo(f"{hub.name}, log {hub.log}: {_state(standings, hub)}{name}")
        facts = consent.Facts("", hub.name, hub.log, grant, "", (), ())
        for text in consent.record_of(facts)["dct:description"]:
            typer.echo(f"  {text['@value']}")
    unsaid = [node.name for node in loaded.nodes if node.indoor is None]
    if unsaid:
        typer.echo(f"not said to be outdoors, so taken for indoors: {', '.join(unsaid)}; set indoor in [[node]]")


@app.command()
def pause(hub: HubName, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Nothing leaves for this hub until it is resumed; what is measured meanwhile never does."""
    _do(load(config), hub, PAUSED, (GIVEN,))


@app.command()
def resume(hub: HubName, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Ends a pause."""
    _do(load(config), hub, RESUMED, (PAUSED,))


@app.command()
def withdraw(hub: HubName, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Ends this grant for good: what was not sent is erased. Another grant needs a new id in the configuration."""
    _do(load(config), hub, WITHDRAWN, (GIVEN, PAUSED))


def show_ledger(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Says what has left this gateway: when, to whom, for what, how many rows and bytes."""
    try:
        with closing(open_to_read(load(config).gateway.data_dir)) as db:
            found = list(ledger.entries(db))
    except JournalError as error:
        fail(str(error), FAILED)
    if as_json:
        typer.echo(json.dumps([vars(entry) for entry in found], ensure_ascii=False))
        return
    for entry in found:
        at = "at an unknown time" if entry.at_utc_ms is None else consent.iso(entry.at_utc_ms)
        what = "a reader" if entry.log is None else f"log {entry.log}, envelopes {entry.first_seq} to {entry.last_seq}"
        size = f"{entry.size_bytes} bytes" if entry.size_bytes else "not known to have arrived"
        typer.echo(f"{at}  {entry.recipient} ({entry.purpose}): {what}, {entry.rows} rows, {size}")


def show_consent(hub: HubName, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Prints the consent record of one hub (JSON-LD, ISO/IEC TS 27560 in W3C DPV), in French and English."""
    loaded = load(config)
    settings, standings = _hub(loaded, hub), standings_of(loaded)
    try:
        kid = keys.load(loaded.gateway.data_dir).kid.hex()
        events = [event for event in standings.record.events() if event.log == settings.log]
        streams = _streams_of(loaded, standings, settings.log)
        state = standings.state(settings.log)
    except (JournalError, KeyFileError) as error:
        fail(str(error), FAILED)
    facts = consent.Facts(kid, hub, settings.log, loaded.grants.get(settings.log), state, events, streams)
    typer.echo(json.dumps(consent.record_of(facts), ensure_ascii=False, indent=1))


def _streams_of(config: Config, standings: Standings, log: int) -> list[consent.Stream]:
    """Every stream by name; none before the gateway has run."""
    if not (config.gateway.data_dir / FILE_NAME).exists():
        return []
    with closing(open_to_read(config.gateway.data_dir)) as db:
        return sorted(set(_streams(db, standings, log)), key=lambda one: (one.node, one.channel))


def _streams(db: sqlite3.Connection, standings: Standings, log: int) -> Iterator[consent.Stream]:
    """Each channel that a node ever had, and whether this log shows it."""
    maps: dict[bytes, bytes] = dict(tables.MANIFEST.read(db))
    for kid, _, _, digest in tables.BOOT_MANIFEST.read(db):
        if digest not in maps:
            continue
        columns = columns_of(maps[digest])
        seen = standings[log].manifest(kid, columns)
        shown = set() if seen is None else set(seen.columns.names)
        told = cbor.decode(columns.packed)
        node = str(told.get("node")) if isinstance(told, dict) else kid.hex()
        yield from (consent.Stream(node, name, name in shown) for name in columns.names)


def _do(config: Config, name: str, what: str, allowed: tuple[str, ...]) -> None:
    """Records what the host did, if the grant stands so that it can be done."""
    hub, standings = _hub(config, name), standings_of(config)
    state = _state(standings, hub)
    grant = config.grants.get(hub.log)
    if grant is None or state not in allowed:
        hint = "there is no [hub.grant] below it" if state == NONE else f"its grant is {state}"
        fail(f"hub {name!r}: {hint}; 'balise gateway grant list' shows all", FAILED)
    clock = SystemClock(config.gateway.clock_uncertainty_ms)
    try:
        standings.note_given(clock.utc_ms())
        at_utc_ms = _moment(what, clock, [event for event in standings.record.events() if event.log == hub.log])
        standings.record.add(Event(at_utc_ms, hub.name, hub.log, grant.id, what))
    except JournalError as error:
        fail(str(error), FAILED)
    typer.echo(f"{hub.name}: grant {grant.id} {what}")


def _moment(what: str, clock: Clock, before: Sequence[Event]) -> int:
    """When it was done, so that a pause is rather too long than too short, however little the clock knows."""
    known, unsure_ms = known_utc_ms(clock), clock.uncertainty_ms()
    if what == RESUMED:
        if known is None:
            fail(
                "this computer does not know the time yet; try again when it does, or set clock_uncertainty_ms", FAILED
            )
        return known + unsure_ms
    if what == PAUSED:
        return max((event.at_utc_ms for event in before), default=0) if known is None else known - unsure_ms
    return clock.utc_ms()


def _state(standings: Standings, hub: HubSettings) -> str:
    try:
        return standings.state(hub.log)
    except JournalError as error:
        fail(str(error), FAILED)


def _hub(config: Config, name: str) -> HubSettings:
    found = next((hub for hub in config.hubs if hub.name == name), None)
    if found is None:
        names = ", ".join(repr(hub.name) for hub in config.hubs) or "none"
        fail(f"no hub is called {name!r}; there are: {names}", FAILED)
    return found
