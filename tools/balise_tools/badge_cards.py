"""`balise badge member`, `issue`, `revoke`, `found`, `list`, `check-chip`: this home's members and cards.

Leaves how to `badges/cards/` and `badges/register/`. Numbers are shown, since commands take them; UIDs are not.
"""

import asyncio
import datetime
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from balise_gateway import plugins
from balise_gateway.badges import readers
from balise_gateway.badges.cards import keys as place_keys
from balise_gateway.badges.cards import writing
from balise_gateway.badges.cards.keys import HomeKeys
from balise_gateway.badges.cards.taking import as_it_is
from balise_gateway.badges.cards.writing import Wanted, Written
from balise_gateway.badges.readers import Chip
from balise_gateway.badges.register import Card, Member, Register
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.config import Config
from balise_gateway.errors import BadgeError, CardLost, GatewayError
from balise_tools.badge_federation import fail, of_place
from balise_tools.gateway_config import CONFIG_ERROR, DEFAULT_CONFIG, FAILED, ConfigFile
from balise_wire import card as wire
from balise_wire.errors import WireError

T = TypeVar("T")
EPOCH = datetime.date(1970, 1, 1)
SIGNED_DAYS = 365  # how long a card of grade 1 is good when nobody says
WAIT_S = 60.0
Number = Annotated[str, typer.Argument(help="The card's number, as it is printed.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    for name, command in _COMMANDS.items():
        app.command(name)(command)


def member(
    member_id: Annotated[str, typer.Argument(metavar="MEMBER", help="What your own software calls them.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    client: Annotated[str | None, typer.Option(help="What bills shall name them by, such as their employer.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for yourselves; it never leaves this file.")] = None,
    end: Annotated[bool, typer.Option("--end", help="No member any more: their cards end too.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Erase a member who has ended.")] = False,
) -> None:
    """Makes a member known, changes what is known, or ends them."""
    with of_home(config) as home:
        if end:
            typer.echo(f"{member_id} ended; cards that ended too: {len(home.register.end_member(member_id, today()))}")
        if forget:
            home.register.forget_member(member_id)
            typer.echo(f"{member_id} is forgotten")
        if not end and not forget:
            known = home.register.member(member_id) or Member(member_id)
            home.register.put_member(
                Member(member_id, known.client if client is None else client, known.name if name is None else name)
            )
            typer.echo(f"{member_id} is a member")


def issue(
    member_id: Annotated[str, typer.Argument(metavar="MEMBER", help="Who gets it; see: balise badge member.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    number: Annotated[str, typer.Option(help="A printed number; without it a new one is made.")] = "",
    grade: Annotated[int, typer.Option(min=0, max=2, help="0 number or UID, 1 signed, 2 NTAG 424 DNA.")] = 0,
    write: Annotated[str, typer.Option(metavar="READER", help="Write the card that is laid on this reader.")] = "",
    read: Annotated[str, typer.Option(metavar="READER", help="Take the card on this reader as it is.")] = "",
    until: Annotated[str, typer.Option(metavar="DAY", help="The last day it is good, such as 2027-03-31.")] = "",
    replaces: Annotated[str, typer.Option(metavar="NUMBER", help="Their card that stops with this one.")] = "",
    lock: Annotated[bool, typer.Option("--lock", help="Make an NTAG21x read-only, for ever.")] = False,
) -> None:
    """Gives a card to a member: a new one, a printed one of a batch, or one that came back."""
    if write and read:
        fail("--write or --read, not both", CONFIG_ERROR)
    if grade and not write:
        fail(f"a card of grade {grade} must be written: add --write READER", CONFIG_ERROR)
    last_day = last_day_wanted(until) if until else today() + SIGNED_DAYS if grade == 1 else None
    with of_home(config) as home:
        wanted = Wanted(
            home.place, grade, new_number(), wire.parse_number(number) if number else "", last_day or 0, lock
        )
        home.register.may_issue(member_id, wanted.number or wanted.spare)
        done = home.on_card(wanted, member_id, write, read)
        replaced = wire.parse_number(replaces) if replaces else ""
        last_day = home.last_day(done, last_day)
        card = home.register.issue(
            done.number, member_id, today(), grade=done.grade, last_day=last_day, uid=done.uid, replaces=replaced
        )
        if done.is_reset:
            home.register.forget_counter(done.number)
        if done.counter is not None:
            home.register.take_counter(done.number, done.uid, done.counter)
        typer.echo(f"{wire.printed(card.number)} is {member_id}'s, grade {card.grade}{_until(card)}")
        typer.echo(wire.home_url(home.place, card.number))


def revoke(
    number: Number,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    reason: Annotated[Literal["lost", "ended", "replaced"], typer.Option(help="Why.")],
) -> None:
    """From now on the card is refused: here at once, elsewhere with the next list."""
    with of_home(config) as home:
        card = home.register.revoke(wire.parse_number(number), reason, today())
        typer.echo(f"{wire.printed(card.number)} is {card.state}")


def found(number: Number, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """A lost card is there again."""
    with of_home(config) as home:
        card = home.register.found(wire.parse_number(number), today())
        told = "good again" if card.state == "active" else "ended, because its bearer is no member any more"
        typer.echo(f"{wire.printed(card.number)} is {told}")


def list_cards(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    member_id: Annotated[str | None, typer.Option("--member", help="Only the cards of this member.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """The cards of this home: number, member, grade, state."""
    with of_home(config) as home:
        cards = list(home.register.cards(member_id))
        names = {each.id: each.name for each in home.register.members() if each.name}
        for card in cards:
            typer.echo(json.dumps(_as_json(card), ensure_ascii=False) if as_json else _as_text(card, names))
        if not cards:
            whose = f" of {member_id!r}" if member_id else ""
            typer.echo(f"no cards{whose}; give one with: balise badge issue {member_id or 'MEMBER'}", err=True)


def check_chip(
    reader: Annotated[str, typer.Argument(help="The reader that the card is laid on.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Whether NXP made a chip with this UID: before you buy a thousand of them. Exit status 1 when not."""

    def look(chip: Chip) -> tuple[str, bool | None]:
        return chip.kind or "unknown chip", writing.is_genuine(chip)

    loaded, _ = of_place(config)
    try:
        kind, genuine = _with_card(loaded, reader, look)
    except GatewayError as error:
        fail(str(error), FAILED)
    if genuine is None:
        fail(f"{kind}: this kind has no signature of its maker", FAILED)
    if not genuine:
        fail(f"{kind}: the maker has not signed this UID: a copy, or a chip of another maker", FAILED)
    typer.echo(f"{kind}: NXP has signed this UID. A copy of such a chip can show the same signature.")


_COMMANDS: dict[str, Callable[..., None]] = {
    "member": member,
    "issue": issue,
    "revoke": revoke,
    "found": found,
    "list": list_cards,
    "check-chip": check_chip,
}


@dataclass(frozen=True)
class Home:
    """What the commands work with."""

    config: Config
    badge: BadgeSettings
    keys: HomeKeys
    register: Register

    @property
    def place(self) -> str:
        return self.badge.place

    def on_card(self, wanted: Wanted, member_id: str, write: str, read: str) -> Written:
        """What is on the reader afterwards; without a reader only the number counts."""
        if not write and not read:
            return Written(wanted.number or wanted.spare, b"")

        def job(chip: Chip) -> Written:
            # In the reader's own thread: a register of its own.
            with Register(self.config.gateway.data_dir, self.keys.uid_token) as register:
                if read:
                    done = as_it_is(chip, self.keys, wanted, register)
                    register.may_issue(member_id, done.number, chip.uid)
                    return done
                return writing.write(
                    chip,
                    self.keys,
                    wanted,
                    lambda number: register.may_issue(member_id, number, chip.uid),
                    lambda step: typer.echo(f"writing: {step}", err=True),
                )

        return _with_card(self.config, write or read, job)

    def last_day(self, done: Written, wanted: int | None) -> int | None:
        """The last day that counts. What stands on a card of grade 1 cannot be exceeded by a word in the register."""
        known = self.register.by_number(done.number)
        stands = done.last_day
        if done.grade is None and known is not None and known.grade == 1:
            stands = known.last_day
        if stands is None:
            return wanted
        if stands < today() or (wanted is not None and wanted > stands):
            raise BadgeError(f"on this card stands that it is good until {_iso(stands)}: write it anew, with --write")
        return stands if wanted is None else wanted


@contextmanager
def of_home(config: Path) -> Iterator[Home]:
    """Keys and register of a configuration's place; what goes wrong inside ends the command."""
    loaded, badge = of_place(config)
    try:
        keys = place_keys.load_or_make(loaded.gateway.data_dir)
        with Register(loaded.gateway.data_dir, keys.uid_token) as register:
            yield Home(loaded, badge, keys, register)
    except (GatewayError, WireError) as error:
        fail(error.detail if isinstance(error, WireError) else str(error), FAILED)


def reader_named(config: Config, name: str) -> Any:
    """The reader with this name; nothing is opened yet. Raises BadgeError."""
    settings = next((each for each in config.readers if each.name == name), None)
    if settings is None:
        names = ", ".join(each.name for each in config.readers) or "none is configured"
        raise BadgeError(f"no reader {name!r}; there are: {names}")
    return plugins.load(readers, settings.kind).Reader(settings)


def _with_card(config: Config, name: str, job: Callable[[Chip], T]) -> T:
    reader = reader_named(config, name)
    typer.echo(f"lay the card on {name!r} and leave it there", err=True)
    try:
        found: T = asyncio.run(reader.with_card(job, WAIT_S))
    except CardLost as error:
        raise CardLost(f"{error}; then run the same command again: what was begun is finished") from error
    except TimeoutError as error:
        raise BadgeError(f"no card on {name!r} within {WAIT_S:.0f} s; does the gateway hold the reader?") from error
    finally:
        reader.close()
    return found


def new_number() -> str:
    """A card number that nobody can guess."""
    return wire.make_number(os.urandom(wire.CHANCE_BYTES))


def today() -> int:
    """Days since 1970-01-01, of the local day."""
    return (datetime.date.today() - EPOCH).days


def last_day_wanted(text: str) -> int:
    """Days since 1970-01-01 of what stands behind --until, or the end of the command."""
    try:
        day = (datetime.date.fromisoformat(text) - EPOCH).days
    except ValueError:
        fail(f"--until {text}: not a day such as 2027-03-31", CONFIG_ERROR)
    if day < today():
        fail(f"--until {text}: that day is over", CONFIG_ERROR)
    return day


def _iso(day: int | None) -> str | None:
    return None if day is None else (EPOCH + datetime.timedelta(days=day)).isoformat()


def _until(card: Card) -> str:
    return "" if card.last_day is None else f", until {_iso(card.last_day)}"


def _as_text(card: Card, names: Mapping[str, str]) -> str:
    name = f" ({names[card.member]})" if card.member is not None and card.member in names else ""
    return f"{wire.printed(card.number)}  grade {card.grade}  {card.state:8}  {card.member or '-'}{name}{_until(card)}"


def _as_json(card: Card) -> dict[str, object]:
    return {
        "number": card.number,
        "member": card.member,
        "client": card.client or None,
        "grade": card.grade,
        "state": card.state,
        "issued": _iso(card.issued_day),
        "until": _iso(card.last_day),
        "chip": card.uid_token is not None,
    }
