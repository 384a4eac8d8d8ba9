"""What a badge visit says, and what is found out about it later (BADGES.md sections 4 and 5); CPython only.

Promises that a record which was read has every key in its range and no other, and that writing it again gives the same
bytes. Leaves who is meant to `places.py`, and what visits cost to whoever reads them.
"""

import re
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Literal, get_args

from balise_wire import checks
from balise_wire.errors import WireError
from balise_wire.items import Visit, VisitMapping

WHO_BYTES = 16
NOBODY = bytes(WHO_BYTES)  # who a visit is mapped to that was entered by mistake: it does not count
MAX_PLACE_CHARS = 253  # RFC 1035 section 2.3.4
MAX_CLIENT_CHARS = 64
GRADES = (0, 1, 2)  # UID, printed or typed; signed NDEF; SUN that was verified

Via = Literal["card", "qr", "desk"]
When = int | tuple[int, int]  # seconds since 1970-01-01 UTC, or (clock domain, seconds since its start)

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLACE = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_KEYS = {"host", "home", "who", "t", "u", "grade", "tap"}
_MAPPING_KEYS = {"host", "home", "was", "who"}


@dataclass(frozen=True)
class VisitRecord:
    """One accepted tap: item kind 4. `t` may be wrong by `u` seconds either way."""

    host: str
    home: str
    who: bytes
    t: When
    u: int
    grade: int
    tap: int
    client: str = ""
    via: Via | Literal[""] = ""

    def to_map(self) -> dict[object, object]:
        """As it stands in the item. Raises WireError when a value is out of range."""
        t = list(self.t) if isinstance(self.t, tuple) else self.t
        told: dict[object, object] = {"host": self.host, "home": self.home, "who": self.who, "t": t, "u": self.u}
        told |= {"grade": self.grade, "tap": self.tap}
        told |= {"client": self.client} if self.client else {}
        told |= {"via": self.via} if self.via else {}
        visit_of(told)
        return told

    def item(self) -> Visit:
        """The item that says it."""
        return Visit(self.to_map())


@dataclass(frozen=True)
class MappingRecord:
    """Visits at `host` with the pseudonym `was` are visits of `who`: item kind 8.

    With `tap` only that visit is meant; with `grade` it is of this grade, since its SUN message was verified later.
    """

    host: str
    home: str
    was: bytes
    who: bytes
    tap: int | None = None
    grade: int | None = None

    def to_map(self) -> dict[object, object]:
        """As it stands in the item. Raises WireError when a value is out of range."""
        told: dict[object, object] = {"host": self.host, "home": self.home, "was": self.was, "who": self.who}
        told |= {} if self.tap is None else {"tap": self.tap}
        told |= {} if self.grade is None else {"grade": self.grade}
        mapping_of(told)
        return told

    def item(self) -> VisitMapping:
        """The item that says it."""
        return VisitMapping(self.to_map())


def visit_of(told: AnyMapping[object, object]) -> VisitRecord:
    """The record that a map stands for. Raises WireError."""
    _refuse_keys(told, _KEYS, {"client", "via"}, "visit")
    client, via = told.get("client", ""), told.get("via", "")
    if "via" in told and via not in get_args(Via):
        raise WireError("malformed", f"via of a visit is {checks.short(via)}, not card, qr or desk")
    if len(checks.text(client, "client of a visit")) > MAX_CLIENT_CHARS or ("client" in told and not client):
        raise WireError("malformed", f"client of a visit is {checks.short(client)}: 1 to {MAX_CLIENT_CHARS} characters")
    return VisitRecord(
        place_of(told["host"], "host"),
        place_of(told["home"], "home"),
        checks.binary(told["who"], "who of a visit", WHO_BYTES),
        _when(told["t"]),
        checks.uint(told["u"], "u of a visit"),
        checks.uint(told["grade"], "grade of a visit", max(GRADES)),
        checks.uint(told["tap"], "tap of a visit"),
        str(client),
        via,  # type: ignore[arg-type]
    )


def mapping_of(told: AnyMapping[object, object]) -> MappingRecord:
    """The record that a map stands for. Raises WireError."""
    _refuse_keys(told, _MAPPING_KEYS, {"tap", "grade"}, "mapping")
    tap, grade = told.get("tap"), told.get("grade")
    if grade is not None and tap is None:
        raise WireError("malformed", "a mapping with a grade names no tap")
    return MappingRecord(
        place_of(told["host"], "host"),
        place_of(told["home"], "home"),
        checks.binary(told["was"], "was of a mapping", WHO_BYTES),
        checks.binary(told["who"], "who of a mapping", WHO_BYTES),
        None if tap is None else checks.uint(tap, "tap of a mapping"),
        None if grade is None else checks.uint(grade, "grade of a mapping", max(GRADES)),
    )


def place_of(value: object, what: str) -> str:
    """A place's name: a domain name in lower case (RFC 1123 section 2.1). Raises WireError."""
    name = checks.text(value, what)
    if len(name) > MAX_PLACE_CHARS or _PLACE.fullmatch(name) is None:
        raise WireError("malformed", f"{what} is {checks.short(name)}, not a domain name in lower case")
    return name


def _when(value: object) -> When:
    if isinstance(value, list):
        boot, ticks = (checks.uint(part, "t of a visit") for part in checks.array(value, "t of a visit", 2))
        return boot, ticks
    return checks.uint(value, "t of a visit")


def _refuse_keys(told: AnyMapping[object, object], needed: set[str], also: set[str], what: str) -> None:
    missing, spare = needed - told.keys(), told.keys() - needed - also
    if missing:
        raise WireError("malformed", f"a {what} without {', '.join(sorted(missing))}")
    if spare:
        raise WireError("malformed", f"a {what} with {', '.join(sorted(map(checks.short, spare)))}")
