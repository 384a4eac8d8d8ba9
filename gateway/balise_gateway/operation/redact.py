"""What is taken out of texts before anybody else sees them: secrets, and where people live.

Promises that no value of a key that holds a secret, of one that says where somebody lives, or of one that is not known
to be harmless, stands in what comes out, in whatever form (text, hex, base64, percent-encoded); and that passwords,
tokens inside URLs and headers, and mail addresses are gone even where no configuration names them. What was taken out
says so.
"""

import base64
import dataclasses
import re
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from balise_gateway import hubs, ingests, plugins, sources
from balise_gateway.badges import connectors, outputs, readers
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.config import GatewaySettings, NodeSettings, PageSettings
from balise_gateway.grants.grant import Grant

GONE = "[taken out]"
PLACE_KEYS = frozenset({"lat", "lon", "height_m", "commune", "site"})
PEOPLE_KEYS = frozenset({"sender", "recipients", "wallets"})  # of connectors: addresses, and members by their ids
FILE_KEYS = frozenset({"secret_file", "password_file", "place_key_file"})  # where secrets lie is nobody's business
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LEAST_CHARS = 4  # a shorter value is no secret, and would be found in every word
_IN_URL = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_QUERY = re.compile(r"(?i)([?&](?:[^=&\s]*(?:key|token|secret|pass|auth|sig)[^=&\s]*)=)[^&\s\"']+")
_HEADER = re.compile(r"(?i)((?:authorization|x-api-key)\s*[:=]\s*(?:bearer|basic|token)?\s*)[^\s\"',]+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_TOKEN = re.compile(r"balise_(?:[0-9a-f]{12}|desk)_[\w-]+")


class Redaction:
    """The secrets of one configuration, and texts without them."""

    def __init__(self, config_text: str) -> None:
        self._harmless = _harmless_keys()
        table = tomllib.loads(config_text)
        self._secrets = sorted(set(_forms(self._values(table))), key=len, reverse=True)

    def clean(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            text = re.sub(re.escape(secret), GONE, text, flags=re.IGNORECASE)
        text = _IN_URL.sub(GONE, text)
        text = _QUERY.sub(rf"\1{GONE}", text)
        text = _HEADER.sub(rf"\1{GONE}", text)
        return _MAIL.sub(GONE, _TOKEN.sub(GONE, text))

    def config(self, config_text: str) -> str:
        """The configuration, key by key: structure and harmless values stay."""
        return "\n".join(_lines(self._shown(tomllib.loads(config_text)), ())) + "\n"

    def _values(self, table: Mapping[str, Any]) -> Iterator[object]:
        """The values that must go."""
        for key, value in table.items():
            if isinstance(value, dict):
                yield from self._values(value) if key not in _SECRET_TABLES else _leaves(value)
                yield from value if key in PEOPLE_KEYS else ()
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                for each in value:
                    yield from self._values(each)
            elif key not in self._harmless:
                yield from _leaves(value)

    def _shown(self, table: Mapping[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, value in table.items():
            if key in _SECRET_TABLES:
                shown[key] = f"{GONE} ({len(value)} entries)"
            elif isinstance(value, dict):
                shown[key] = self._shown(value)
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                shown[key] = [self._shown(each) for each in value]
            else:
                shown[key] = self._told(value) if key in self._harmless else GONE
        return shown

    def _told(self, value: object) -> object:
        return self.clean(value) if isinstance(value, str) else value


# names and passwords; boxes and tokens by node; a purse by member
_SECRET_TABLES = frozenset({"users", "nodes", "devices", "wallets"})


def _harmless_keys() -> frozenset[str]:
    """The keys of all sections that no section calls secret; a key that is not known is not among them."""
    sections: list[Any] = [GatewaySettings, NodeSettings, PageSettings, Grant, BadgeSettings]
    for package in (ingests, hubs, sources, readers, outputs, connectors):
        sections += [plugins.load(package, kind).Settings for kind in plugins.kinds(package)]
    open_keys: set[str] = set()
    closed: set[str] = set(PLACE_KEYS | PEOPLE_KEYS | FILE_KEYS)
    for section in sections:
        for field in dataclasses.fields(section):
            (open_keys if field.repr else closed).add(field.name)
    hints = [typing.get_type_hints(section) for section in sections]
    closed |= {name for hint in hints for name, wanted in hint.items() if wanted is bytes and name != "public_key"}
    return frozenset(open_keys - closed)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _forms(values: Iterable[object]) -> Iterator[str]:
    """Each value in every form that a text may have it in."""
    for value in values:
        if isinstance(value, bool) or value is None:
            continue
        text = str(value)
        if len(text) < _LEAST_CHARS:
            continue
        raw = text.encode()
        keys = [raw, bytes.fromhex(text)] if _HEX.fullmatch(text) else [raw]
        encoded = [code(each) for each in keys for code in (base64.b64encode, base64.urlsafe_b64encode)]
        yield from (text, quote(text, safe=""), raw.hex(), *(each.decode().rstrip("=") for each in encoded))


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """The table as text for people: one key a line, with its path."""
    for key, value in table.items():
        where = (*path, key)
        if isinstance(value, dict):
            yield from _lines(value, where)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, each in enumerate(value, start=1):
                yield from _lines(each, (*path, f"{key} {number}"))
        else:
            yield f"{'.'.join(where)} = {value!r}"
