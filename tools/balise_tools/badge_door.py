"""`balise badge door`: somebody on the spot holds the doors open or shut, or leaves them to the cards.

Promises that what is decided holds from the next second on, also over a restart, until something else is decided or its
time is over. Leaves the relay to the gateway's output of kind "door".
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from balise_gateway.badges.outputs import door as door_kind
from balise_gateway.badges.outputs._override import FILE, Override
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile, load

_TOLD = {"open": "held open", "lock": "held shut", "auto": "left to the cards"}


class Mode(StrEnum):
    """What can be decided."""

    open = "open"
    lock = "lock"
    auto = "auto"


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command("door")(door)


def door(
    mode: Annotated[Mode, typer.Argument(help="open: held open; lock: held shut; auto: the cards decide.")],
    config: ConfigFile = DEFAULT_CONFIG,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, max=7 * 24 * 60, help="Then the cards decide again; unset: until changed.")
    ] = None,
) -> None:
    """Holds this place's doors open or shut, whatever cards and opening hours say; the screens show it."""
    loaded = load(config)
    doors = [each for each in loaded.outputs if isinstance(each, door_kind.Settings)]
    if not doors:
        _fail(f'{loaded.file} has no [[output]] of kind "door"', CONFIG_ERROR)
    zone, until = ZoneInfo(loaded.gateway.time_zone), ""
    for folder in sorted({each.data_dir for each in doors if each.data_dir is not None}):
        try:
            decision = Override(folder).write(mode.value, None if mode is Mode.auto else minutes)
        except OSError as error:
            what = f"{folder / FILE} cannot be written ({error.strerror}); try as root or as the gateway's user"
            _fail(what, FAILED)
        if decision.until_utc_s is not None:
            until = f" until {datetime.fromtimestamp(decision.until_utc_s, zone):%Y-%m-%d %H:%M}"
    typer.echo(f"the door is {_TOLD[mode.value]}{until}; a gateway that runs does it within a second")


def _fail(text: str, code: int) -> None:
    typer.echo(f"balise badge door: {text}", err=True)
    raise typer.Exit(code)
