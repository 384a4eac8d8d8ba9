"""`places.toml`: the table of places as its keeper writes it, and what a place hands in for it.

Promises that a wrong line is named by its place and key. Leaves signing to `balise_wire.places`.
"""

import json
import tomllib
from pathlib import Path

from balise_gateway.badges.files import read_toml
from balise_gateway.errors import PaperError
from balise_wire.places import KEY_BYTES, Place

_TEXTS, _KEYS = ("id", "name", "prefix", "login", "lists", "visits"), ("sign", "gateways")
_NEEDED = {"id", "name", "prefix", "sign", "box", "gateways"}


def places_of(path: Path) -> tuple[Place, ...]:
    """The places that this file describes. Raises PaperError."""
    try:
        told = read_toml(path.read_bytes())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PaperError("malformed", f"{path}: {error}") from error
    entries = told.get("place")
    if not isinstance(entries, list) or not entries or set(told) != {"place"}:
        raise PaperError("malformed", f"{path}: write [[place]] once for each place, and nothing else")
    return tuple(_place(entry, f"{path}: place {number}") for number, entry in enumerate(entries, 1))


def toml_of(place: Place) -> str:
    """A place as it stands in `places.toml`."""
    lines = ["[[place]]"]
    lines += [f"{name} = {json.dumps(getattr(place, name), ensure_ascii=False)}" for name in _TEXTS[:3]]
    lines += [f"{name} = {json.dumps([key.hex() for key in getattr(place, name)])}" for name in _KEYS]
    lines += [f'box = "{place.box.hex()}"']
    lines += [f"{name} = {json.dumps(getattr(place, name))}" for name in _TEXTS[3:]]
    return "\n".join(lines) + "\n"


def _place(entry: object, where: str) -> Place:
    if not isinstance(entry, dict):
        raise PaperError("malformed", f"{where}: must be a table")
    missing, spare = _NEEDED - entry.keys(), entry.keys() - {*_TEXTS, *_KEYS, "box"}
    if missing or spare:
        what = f"the key '{min(missing)}' is missing" if missing else f"unknown key '{min(spare)}'"
        raise PaperError("malformed", f"{where}: {what}")
    texts = {name: entry.get(name, "") for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise PaperError("malformed", f"{where}: {name} must be text")
    sign, gateways = (_raw_keys(entry[name], f"{where}: {name}") for name in _KEYS)
    return Place(sign=sign, gateways=gateways, box=_raw(entry["box"], f"{where}: box"), **texts)


def _raw_keys(value: object, where: str) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise PaperError("malformed", f"{where}: must be a list of keys in hex")
    return tuple(_raw(key, where) for key in value)


def _raw(value: object, where: str) -> bytes:
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise PaperError("malformed", f"{where}: a key is {2 * KEY_BYTES} hex digits")
    return raw
