"""`balise badge batch`: cards that are made in advance, as numbers on paper or one after the other on a reader.

Leaves how to `badges/cards/series.py` and `sheet.py`, and giving them out to `balise badge issue`.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from balise_gateway.badges.cards import series, sheet
from balise_gateway.badges.cards.series import Series, Table
from balise_gateway.badges.cards.writing import Wanted
from balise_gateway.errors import BadgeError
from balise_tools.badge_cards import (
    SIGNED_DAYS,
    Home,
    last_day_wanted,
    new_number,
    of_home,
    reader_named,
    today,
)
from balise_tools.badge_federation import fail
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, ConfigFile

MAX_BATCH = 1_000
PATIENCE_S = 600.0  # who prepares fifty cards is called to the door in between
INTERRUPTED = 130  # as shells say of a program that Ctrl-C ended


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("batch")(batch)


def batch(
    count: Annotated[int, typer.Argument(min=1, max=MAX_BATCH, help="How many cards.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    out: Annotated[Path, typer.Option(help="The sheet: .html or .pdf; a .csv is written beside it.")],
    grade: Annotated[int, typer.Option(min=0, max=2, help="0 numbers on paper, 1 signed, 2 NTAG 424 DNA.")] = 0,
    write: Annotated[str, typer.Option(metavar="READER", help="Write the cards that are laid on this reader.")] = "",
    until: Annotated[str, typer.Option(metavar="DAY", help="Their last day; of grade 1 a year when left out.")] = "",
    lock: Annotated[bool, typer.Option("--lock", help="Make each NTAG21x read-only, for ever.")] = False,
) -> None:
    """Makes cards in advance, to be given out with `issue`: numbers and QR codes on A4, or chips on a reader.

    Chips: run the same command again after Ctrl-C; it goes on where it ended.
    """
    if grade and not write:
        fail(f"cards of grade {grade} must be written: add --write READER", CONFIG_ERROR)
    if not grade and (write or until or lock):
        fail("--write, --until and --lock are for chips: add --grade 1 or --grade 2", CONFIG_ERROR)
    last_day = last_day_wanted(until) if until else today() + SIGNED_DAYS if grade == 1 else 0
    with of_home(config) as home:
        if not grade:
            _print(home, count, out)
            return
        sheet.check_name(out)
        sheet.pages(out.suffix, home.badge.name, home.place, [])  # a library that is missing is missed now
        _make(home, Wanted(home.place, grade, "", last_day=last_day, lock=lock), (count, out, write))


def _print(home: Home, count: int, out: Path) -> None:
    numbers = [new_number() for _ in range(count)]
    table = sheet.write_sheet(out, home.badge.name, home.place, numbers)
    home.register.add_blanks(numbers, today())
    typer.echo(f"{count} cards in {out} and {table}; give them out with: balise badge issue MEMBER --number NUMBER")


def _make(home: Home, wanted: Wanted, asked: tuple[int, Path, str]) -> None:
    count, out, name = asked
    table_path = out.with_suffix(".csv")
    reader = reader_named(home.config, name)
    with Table(table_path, home.place) as table:
        place = series.Place(home.keys, home.config.gateway.data_dir, new_number, today())
        made = Series(place, wanted, table, typer.echo)
        made.check_table()
        if table.numbers:
            typer.echo(f"{len(table.numbers)} cards are made already; going on")
        try:
            asyncio.run(made.make(reader, count, PATIENCE_S))
        except KeyboardInterrupt:
            typer.echo(f"\n{_kept(table, count, table_path)}", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except TimeoutError as error:
            what = f"no card was laid on {name!r} for {PATIENCE_S:.0f} s; does the gateway hold the reader?"
            raise BadgeError(f"{what} {_kept(table, count, table_path)}") from error
        except BadgeError as error:
            raise BadgeError(f"{error}. {_kept(table, count, table_path)}") from error
        finally:
            reader.close()
        sheet.write_pages(out, home.badge.name, home.place, table.numbers)
        typer.echo(
            f"{len(table.numbers)} cards of grade {wanted.grade}: their numbers are in {out} and {table_path}; give "
            "them out with: balise badge issue MEMBER --number NUMBER, or balise badge issue MEMBER --read READER"
        )


def _kept(table: Table, count: int, path: Path) -> str:
    made = len(table.numbers)
    if not made:
        return "No card is made yet."
    on = f"Run the same command to go on; with {made} instead of {count}, to end here"
    return f"{made} of {count} cards are made and kept ({path}). {on}"
