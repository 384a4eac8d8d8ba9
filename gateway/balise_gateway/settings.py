"""From a TOML table to a frozen dataclass: the fields are the keys, and every error names file, key and choices.

A field is annotated as `Annotated[type, Key("meaning")]`; a type of `dict[str, Section]` is a table of tables, each of
them built as that dataclass. Promises that `keys_of` lists every key a section takes, with
type, default and meaning, so that a test can hold the documentation against it. Leaves the sections themselves to
`config.py` and to the modules that are found by name.
"""

import dataclasses
import datetime
import difflib
import math
import string
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from balise_gateway.errors import ConfigError

S = TypeVar("S")
_TYPE_NAMES: dict[type, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    bytes: "hex digits",
    dict: 'a table of name = "text"',
    list: "a list",
    tuple: "a list of texts",
    datetime.date: "a day, such as 2026-03-01",
}
_TABLES = 'one table per name, such as [hub.nodes."urn:dev:ops:b4115e-air-01"]'


@dataclasses.dataclass(frozen=True)
class Key:
    """What a key means; `least` and `most` bound numbers, `size_bytes` is the length of hex bytes."""

    doc: str
    least: float = -math.inf
    most: float = math.inf
    size_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class KeyDoc:
    """One key of a section, for people."""

    name: str
    type: str
    default: str  # "" when the key must be given
    doc: str


@typing.runtime_checkable
class Checked(typing.Protocol):
    """A section whose keys must fit together."""

    def problem(self) -> str | None:
        """What does not fit, and what to do; None when all is well."""
        ...


def keys_of(section: type) -> list[KeyDoc]:
    """Every key that a section takes, in order."""
    return [KeyDoc(name, _type_name(wanted), _default_text(f), said.doc) for name, f, wanted, said in _fields(section)]


def inner_sections(section: type) -> dict[str, type]:
    """The keys of a section that are tables of tables, with what each of those is."""
    return {name: inner for name, _, wanted, _ in _fields(section) if (inner := _inner(wanted)) is not None}


def build(section: type[S], table: object, where: str, file: str) -> S:
    """The dataclass `section` from one TOML table that stands at `where`. Raises ConfigError."""
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: {where} must be a table, such as [{where}]")
    fields = _fields(section)
    refuse_unknown(table, [name for name, _, _, _ in fields], where, file)
    values = {}
    for name, f, wanted, said in fields:
        if name in table:
            inner = _inner(wanted)
            values[name] = (
                _convert(table[name], wanted, said, f"{file}: {where}: {name}")
                if inner is None
                else _convert_tables(table[name], inner, f"{where}: {name}", file)
            )
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{file}: {where}: the key '{name}' is missing: {said.doc} ({_type_name(wanted)})")
    made = section(**values)
    problem = made.problem() if isinstance(made, Checked) else None
    if problem:
        raise ConfigError(f"{file}: {where}: {problem}")
    return made


def refuse_unknown(table: Mapping[str, object], valid: list[str], where: str, file: str) -> None:
    """ConfigError for the first key that is not valid, with the nearest one that is."""
    for name in table:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigError(f"{file}: {where}: unknown key '{name}'; {hint}valid keys: {', '.join(valid)}")


def _fields(section: type) -> list[tuple[str, "dataclasses.Field[Any]", Any, Key]]:
    """(name, field, type, what the key means) of each key."""
    hints = typing.get_type_hints(section, include_extras=True)
    found = []
    for f in dataclasses.fields(section):
        wanted, said = typing.get_args(hints[f.name])
        found.append((f.name, f, wanted, said))
    return found


def _convert(value: object, wanted: Any, said: Key, where: str) -> object:
    if typing.get_origin(wanted) is typing.Literal:
        options = typing.get_args(wanted)
        if value not in options:
            raise ConfigError(f"{where} = {value!r}; choose one of: {', '.join(map(str, options))}")
        return value
    plain = _plain(wanted)
    if plain is dict:
        return _convert_table(value, where)
    if plain is tuple:
        return _convert_list(value, where)
    if plain is bytes:
        return _convert_hex(value, said.size_bytes, where)
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    given = str if plain is Path else plain
    if (
        not isinstance(value, given)
        or isinstance(value, datetime.datetime)
        or (isinstance(value, bool) and plain is not bool)
    ):
        raise ConfigError(f"{where}: must be {_TYPE_NAMES[plain]}, not {_shown(value)}")
    if isinstance(value, (int, float)) and not (said.least <= value <= said.most and math.isfinite(value)):
        raise ConfigError(f"{where} = {value}: must be {_limits(said)}")
    return Path(value) if plain is Path and isinstance(value, str) else value


def _convert_table(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) and v for v in value.values()):
        raise ConfigError(f"{where}: must be {_TYPE_NAMES[dict]}, no text empty")
    return {str(name): str(text) for name, text in value.items()}


def _convert_tables(value: object, section: type, where: str, file: str) -> dict[str, object]:
    """A dataclass per name, as in [hub.nodes."urn:dev:ops:b4115e-air-01"]."""
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise ConfigError(f"{file}: {where}: must be {_TABLES}")
    return {str(name): build(section, entry, f"{where}: {name}", file) for name, entry in value.items()}


def _convert_list(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise ConfigError(f'{where}: must be {_TYPE_NAMES[tuple]}, such as ["one", "two"], none of them empty')
    return tuple(value)


def _convert_hex(value: object, size_bytes: int, where: str) -> bytes:
    wanted = f"{where}: must be {2 * size_bytes} hex digits ({size_bytes} bytes)"
    if not isinstance(value, str):
        raise ConfigError(f"{wanted}, not {_shown(value)}")
    try:
        data = bytes.fromhex(value)
    except ValueError as error:
        wrong = f", not {len(value)}" if all(letter in string.hexdigits for letter in value) else ""
        raise ConfigError(f"{wanted}{wrong or '; there are other characters in it'}") from error
    if len(data) != size_bytes:
        raise ConfigError(f"{wanted}, not {2 * len(data)}")
    return data


def _limits(said: Key) -> str:
    parts = []
    if said.least > -math.inf:
        parts.append(f"at least {_number(said.least)}")
    if said.most < math.inf:
        parts.append(f"at most {_number(said.most)}")
    return " and ".join(parts) or "a finite number"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _plain(wanted: Any) -> type:
    """The type itself, also where None stands beside it (the default of a key that may be left out)."""
    if isinstance(wanted, type) and not typing.get_args(wanted):
        return wanted
    origin = typing.get_origin(wanted)
    if origin in (dict, tuple):
        return dict if origin is dict else tuple
    return next(typing.cast(type, option) for option in typing.get_args(wanted) if option is not type(None))


def _inner(wanted: Any) -> type | None:
    """The dataclass of a table of tables; None for any other type."""
    options = typing.get_args(wanted) if typing.get_origin(wanted) is dict else ()
    return next((option for option in options if isinstance(option, type) and dataclasses.is_dataclass(option)), None)


def _type_name(wanted: Any) -> str:
    if _inner(wanted) is not None:
        return "tables"
    if typing.get_origin(wanted) is typing.Literal:
        return " or ".join(f'"{option}"' for option in typing.get_args(wanted))
    return _TYPE_NAMES[_plain(wanted)]


def _default_text(f: "dataclasses.Field[Any]") -> str:
    if f.default_factory is not dataclasses.MISSING:
        return "empty"
    if f.default is dataclasses.MISSING:
        return ""
    if f.default == "":
        return "empty"
    if isinstance(f.default, tuple):
        return ", ".join(f.default) or "empty"
    return "unset" if f.default is None else str(f.default).lower() if isinstance(f.default, bool) else str(f.default)


def _shown(value: object) -> str:
    """What was given, by type: the value itself may be a secret."""
    return _TYPE_NAMES.get(type(value), type(value).__name__)
