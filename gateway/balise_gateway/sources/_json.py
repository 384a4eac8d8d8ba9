"""What sources of JSON share: documents, paths in them, times, and mappings of a configuration.

Promises SourceError for what is no JSON, and None where there is nothing. Leaves which paths matter to the kinds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from balise_gateway.sources import UNKNOWN_MODEL, Column, Measure, Shape, SourceError, measure
from balise_wire.channels import names

MAX_MODEL_CHARACTERS = 64
MAX_SHAPES = 256  # of one source: a message may leave out values, but not in ever new ways

_decode = json.JSONDecoder().decode


def parsed(data: bytes) -> Any:
    """The JSON in these bytes."""
    try:
        return _decode(str(data, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError("not json", str(error)) from error


def parsed_object(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes."""
    told = parsed(data)
    if not isinstance(told, dict):
        raise SourceError("not an object", "a JSON object wanted")
    return told


def at(told: Any, path: Sequence[str]) -> Any:
    """What stands at this path of objects; None where there is nothing."""
    for name in path:
        if not isinstance(told, dict):
            return None
        told = told.get(name)
    return told


def utc_ms_of(text: object) -> int | None:
    """The moment that an RFC 3339 text with its offset names; None for any other text: local times are not guessed."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    try:
        return round(moment.astimezone(UTC).timestamp() * 1000)
    except (OverflowError, ValueError):
        return None


def model_of(told: object, otherwise: str = UNKNOWN_MODEL) -> str:
    """The sensor's model as a manifest may say it."""
    usable = isinstance(told, str) and told.isprintable() and 0 < len(told) <= MAX_MODEL_CHARACTERS
    return str(told) if usable else otherwise


def measure_of(name: str, text: str, model: str) -> Measure | None:
    """What `channel = "path"`, "path unit" or "path unit decimals" says; None when the parts do not fit."""
    words = text.split()
    if name in names():
        known = Column.of_channel(name, model)
        return measure(known, words[1] if len(words) == 2 else None) if len(words) in (1, 2) else None
    if len(words) != 3 or not words[2].lstrip("-").isdecimal() or not -9 <= int(words[2]) <= 9:
        return None
    return measure(Column(name, words[1], int(words[2]), 1, model), None)


def mapping_problem(channels: Mapping[str, str]) -> str | None:
    """What is wrong with a mapping, and what to write."""
    for name, text in channels.items():
        if measure_of(name, text, "") is not None:
            continue
        if name in names():
            return f'channels: {name} = {text!r}: write "path" or "path unit", with a unit of what {name} measures'
        return f'channels: {name} = {text!r}: not in the channel table; write "path unit decimals", as "soil.vwc %RH 1"'
    return None


class Names:
    """Which foreign names are which channels, and the shapes that messages of some of them have."""

    def __init__(self, known: Mapping[tuple[str, ...], Measure]) -> None:
        self._known = dict(known)
        self._shapes: dict[tuple[str | None, tuple[Measure, ...]], Shape] = {}

    @classmethod
    def of(cls, channels: Mapping[str, str], known: Mapping[str, str]) -> "Names":
        """From the configuration's mapping, which comes first, and from what messages of this kind usually call things.

        `known` may give a channel several spellings, as "name unit|name unit"; its names are never paths.
        """
        found: dict[tuple[str, ...], Measure] = {}
        for name, text in channels.items():
            each = measure_of(name, text, UNKNOWN_MODEL)
            if each is not None:
                found[tuple(text.split()[0].split("."))] = each
        for name, text in known.items():
            for spelling in text.split("|"):
                each = measure_of(name, spelling, UNKNOWN_MODEL)
                if each is not None:
                    found.setdefault((spelling.split()[0],), each)
        return cls(found)

    def row(self, told: Any, model: str, tick_ms: int = 1) -> tuple[Shape, list[int | None]]:
        """The shape and the values of this object; SourceError when none of its names is known, or none a number."""
        measures, values = [], []
        taken: set[str] = set()
        for path, each in self._known.items():
            number = at(told, path)
            if number is None or each.column.name in taken:
                continue
            measures.append(each)
            values.append(each.value(number))
            taken.add(each.column.name)
        if values.count(None) == len(values):
            raise SourceError("no value", "no name of this message is a channel, or none has a number")
        return self._shape(model, tuple(measures), tick_ms), values

    def _shape(self, model: str, measures: tuple[Measure, ...], tick_ms: int) -> Shape:
        key = (model, measures)
        found = self._shapes.get(key)
        if found is None:
            if len(self._shapes) >= MAX_SHAPES:
                raise SourceError("too many shapes", f"messages of more than {MAX_SHAPES} kinds")
            columns = [replace(each.column, model=model) for each in measures]
            found = self._shapes[key] = Shape(columns, tick_ms)
        return found
