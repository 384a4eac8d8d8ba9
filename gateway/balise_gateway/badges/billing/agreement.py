"""The agreement between places: one TOML file, and what it says about days, half-days and prices.

Promises that a file becomes a whole `Agreement` or a PaperError with file, key and what to try. Leaves to
`signatures.py` who has signed it.
"""

import hashlib
import tomllib
from dataclasses import dataclass, field
from datetime import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway.badges.files import read_toml
from balise_gateway.errors import ConfigError, PaperError
from balise_gateway.settings import Key, build, refuse_unknown
from balise_wire.errors import WireError
from balise_wire.visits import GRADES, place_of

_REASON = "agreement"
_MINUTES_S = 60
MAX_ID_CHARS = 64


@dataclass(frozen=True, kw_only=True)
class _Head:
    id: Annotated[str, Key("the name of this agreement; it stands in every bill")]
    currency: Annotated[str, Key("three capital letters (ISO 4217)")]
    timezone: Annotated[str, Key("whose days count, such as Europe/Paris")]
    period: Annotated[Literal["month"], Key("how long a bill runs")]
    mode: Annotated[Literal["set-off", "net"], Key("along existing debts only, or the fewest payments")]

    def problem(self) -> str | None:
        if not 0 < len(self.id) <= MAX_ID_CHARS or not self.id.isprintable() or not self.id[0].isalnum():
            return f"id = {self.id[:MAX_ID_CHARS]!r}: a letter or digit first, at most {MAX_ID_CHARS} characters"
        if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
            return f"currency = {self.currency!r}: must be three capital letters, such as EUR"
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return f"timezone = {self.timezone!r}: not known here; write it as in Europe/Paris, or install tzdata"
        return None


@dataclass(frozen=True, kw_only=True)
class _RulesTable:
    debounce_s: Annotated[int, Key("a tap closer than this to the last one is the same tap", least=0, most=86_400)]
    day_starts: Annotated[str, Key('local time at which a day begins, such as "04:00"')]

    def problem(self) -> str | None:
        try:
            starts = time.fromisoformat(self.day_starts)
        except ValueError:
            starts = None
        if starts is None or self.day_starts != f"{starts.hour:02}:{starts.minute:02}":
            return f'day_starts = {self.day_starts!r}: must be hours and minutes, such as "04:00"'
        return None


@dataclass(frozen=True, kw_only=True)
class _HalfDayTable:
    hours: Annotated[float, Key("how long a half-day is", least=0.01, most=24)]
    grace_min: Annotated[float, Key("minutes that are given for nothing", least=0, most=1440)]
    per_day_max: Annotated[int, Key("half-days of one day, at most", least=1, most=48)]


@dataclass(frozen=True, kw_only=True)
class _PlaceTable:
    id: Annotated[str, Key("the place: a domain name in lower case")]
    price_cents: Annotated[int, Key("what a half-day there costs the visitor's home", least=0, most=10**9)]
    no_exit: Annotated[int, Key("half-days of a day with an arrival and no exit", least=0, most=48)]

    def problem(self) -> str | None:
        try:
            place_of(self.id, "id")
        except WireError as error:
            return error.detail
        return None


@dataclass(frozen=True)
class Rules:
    """What holds at every place. `day_starts_min`: minutes after local midnight."""

    debounce_s: int
    day_starts_min: int
    billable_grades: frozenset[int]


@dataclass(frozen=True)
class PlaceTerms:
    """What holds at one place. Lengths are exact: 4.1 hours are 14,760 seconds."""

    id: str
    price_cents: int
    half_day_s: Fraction
    grace_s: Fraction
    per_day_max: int
    no_exit: int

    def half_days(self, closed_s: int | None, unclosed: bool) -> int:
        """Half-days of a day. `closed_s`: seconds in closed sessions, None when there is none."""
        over_s = None if closed_s is None else closed_s - self.grace_s
        counted = 0 if over_s is None else max(1, -(-over_s // self.half_day_s))  # the ceiling, exactly
        if unclosed:
            counted = max(counted, self.no_exit)
        return min(counted, self.per_day_max)


@dataclass(frozen=True)
class Agreement:
    """All that the file says; `raw` are its bytes, which places sign."""

    path: Path
    raw: bytes = field(repr=False)
    id: str
    currency: str
    timezone: ZoneInfo
    period: Literal["month"]
    mode: Literal["set-off", "net"]
    rules: Rules
    places: dict[str, PlaceTerms]

    @property
    def sha256(self) -> str:
        """Which agreement exactly, in hex."""
        return hashlib.sha256(self.raw).hexdigest()


def load(path: Path, held: Agreement | None = None) -> Agreement:
    """The agreement that this file holds; `held` again where that is the same one. Raises PaperError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PaperError(_REASON, f"{path}: cannot be read ({error.strerror})") from error
    return held if held is not None and held.raw == raw else parse(raw, path)


def parse(raw: bytes, path: Path) -> Agreement:
    """The agreement of these bytes; `path` only names it. Raises PaperError."""
    try:
        return _parse(raw, path)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PaperError(_REASON, f"{path}: not TOML: {error}") from error
    except ConfigError as error:
        raise PaperError(_REASON, str(error)) from error


def _parse(raw: bytes, path: Path) -> Agreement:
    document, file = read_toml(raw), str(path)
    names = [*_Head.__dataclass_fields__, "rules", "place"]
    refuse_unknown(document, names, "agreement", file)
    head = build(_Head, {k: v for k, v in document.items() if k not in ("rules", "place")}, "agreement", file)
    rules = _rules(_table(document, "rules", "agreement", file), file)
    entries = document.get("place")
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{file}: agreement: 'place' is missing: one [[place]] for each place that takes part")
    places = [_place(entry, number, file) for number, entry in enumerate(entries, start=1)]
    by_id = {place.id: place for place in places}
    if len(by_id) < len(places):
        twice = next(place.id for place in places if by_id[place.id] is not place)
        raise ConfigError(f"{file}: place: id = '{twice}' stands there twice: leave one out")
    zone = ZoneInfo(head.timezone)
    return Agreement(path, raw, head.id, head.currency, zone, head.period, head.mode, rules, by_id)


def _rules(table: dict[str, object], file: str) -> Rules:
    refuse_unknown(table, [*_RulesTable.__dataclass_fields__, "billable_grades"], "rules", file)
    grades = table.pop("billable_grades", None)
    rules = build(_RulesTable, table, "rules", file)
    if not isinstance(grades, list) or not all(type(grade) is int and grade in GRADES for grade in grades):
        raise ConfigError(f"{file}: rules: 'billable_grades' must be a list of grades, such as [0, 1, 2]")
    starts = time.fromisoformat(rules.day_starts)
    return Rules(rules.debounce_s, starts.hour * 60 + starts.minute, frozenset(grades))


def _place(entry: object, number: int, file: str) -> PlaceTerms:
    if not isinstance(entry, dict):
        raise ConfigError(f"{file}: place must be a table, such as [[place]]")
    where = f"place {entry.get('id', number)}"
    refuse_unknown(entry, [*_PlaceTable.__dataclass_fields__, "half_day"], where, file)
    half_day = build(_HalfDayTable, _table(entry, "half_day", where, file), f"{where}: half_day", file)
    place = build(_PlaceTable, {k: v for k, v in entry.items() if k != "half_day"}, where, file)
    half_day_s, grace_s = _exact(half_day.hours) * 60 * _MINUTES_S, _exact(half_day.grace_min) * _MINUTES_S
    return PlaceTerms(place.id, place.price_cents, half_day_s, grace_s, half_day.per_day_max, place.no_exit)


def _table(table: dict[str, object], name: str, where: str, file: str) -> dict[str, object]:
    found = table.get(name)
    if found is None:
        raise ConfigError(f"{file}: {where}: the table '{name}' is missing")
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: {where}: {name} must be a table")
    return dict(found)


def _exact(number: float) -> Fraction:
    """As it was written: Fraction(4.1) would be another number."""
    return Fraction(repr(number))
