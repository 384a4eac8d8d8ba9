"""The site file: what the boards of one place are told before their first boot.

Promises that a site either has a way in that is its own (a key, or the hash of a password) or is refused: there is no
default password; and that neither hash nor Wi-Fi secret is in any repr. Leaves the files for a card to `seed.py`.
"""

import base64
import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway import config, settings
from balise_gateway.errors import ConfigError
from balise_gateway.operation import unit
from balise_gateway.settings import Key

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?")  # RFC 1123, with room for what makes a board's name its own
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # useradd(8)
_HASH = re.compile(r"\$(6|5|y|2b)\$[./A-Za-z0-9$,=]+")  # crypt(5): SHA-512, SHA-256, yescrypt, bcrypt
_PUBLIC = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9@.-]+) ([A-Za-z0-9+/=]+)( .*)?")
_PSK = re.compile(r"[0-9a-f]{64}")
_SECTIONS = ("board", "user", "wifi")


@dataclass(frozen=True, kw_only=True)
class BoardSettings:
    """[board]"""

    host_name: Annotated[str, Key("each board is called this and a tail of its own, such as passerelle-x7k2")]
    time_zone: Annotated[str, Key("as in the tz database")] = "Europe/Paris"
    locale: Annotated[str, Key("language and country of the system's messages")] = "fr_FR.UTF-8"
    keyboard: Annotated[str, Key("the layout of a keyboard that is plugged in")] = "fr"
    config: Annotated[Path | None, Key("the gateway's configuration, with hubs and grants; unset: a first one")] = None
    package: Annotated[Path | None, Key("the Debian package to install from the card; unset: from the network")] = None

    def problem(self) -> str | None:
        if not _HOST.fullmatch(self.host_name):
            return f"host_name = {self.host_name!r}: small letters, digits and inner hyphens only, at most 58"
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"time_zone = {self.time_zone!r}: not known here; write it as in Europe/Paris"
        if not re.fullmatch(r"[A-Za-z_]+\.UTF-8", self.locale):
            return f"locale = {self.locale!r}: write it as in fr_FR.UTF-8"
        return (
            None if re.fullmatch(r"[a-z]{2,8}", self.keyboard) else f"keyboard = {self.keyboard!r}: write it as in fr"
        )


@dataclass(frozen=True, kw_only=True)
class UserSettings:
    """[user]"""

    name: Annotated[str, Key("who may log in")]
    ssh_keys: Annotated[tuple[str, ...], Key("public keys that let in over the network (the .pub files)")] = ()
    password_hash: Annotated[str | None, Key("what openssl passwd -6 prints; SSH takes keys only")] = field(
        default=None, repr=False
    )

    def problem(self) -> str | None:
        if not _USER.fullmatch(self.name) or self.name == "root":
            return f"name = {self.name!r}: a user's name in small letters, not root"
        if not self.ssh_keys and self.password_hash is None:
            return "nobody could log in: give ssh_keys, or a password_hash; there is no default password"
        if self.password_hash is not None and not _HASH.fullmatch(self.password_hash):
            return "password_hash: that is no hash; try: openssl passwd -6"
        for number, key in enumerate(self.ssh_keys, start=1):
            if not _is_public(key):
                return f"ssh_keys, {number}: no public key; it is the one line of a .pub file"
        return None


@dataclass(frozen=True, kw_only=True)
class WifiSettings:
    """[wifi]"""

    ssid: Annotated[str, Key("the network's name")]
    password: Annotated[str, Key("its password; only the key made of it is written")] = field(repr=False)
    country: Annotated[str, Key("whose radio rules hold, two letters")] = "FR"
    hidden: Annotated[bool, Key("true: the network does not tell its name")] = False

    def problem(self) -> str | None:
        if not 1 <= len(self.ssid.encode()) <= 32 or not self.ssid.isprintable():
            return f"ssid = {self.ssid!r}: 1 to 32 bytes (IEEE 802.11)"
        if not re.fullmatch(r"[A-Z]{2}", self.country):
            return f"country = {self.country!r}: two capital letters (ISO 3166-1)"
        usual = 8 <= len(self.password) <= 63 and self.password.isascii() and self.password.isprintable()
        return (
            None if usual or _PSK.fullmatch(self.password) else "password: 8 to 63 characters, or 64 hex digits (WPA)"
        )

    @property
    def psk(self) -> str:
        """The network's key, in hex: PBKDF2 of the password (IEEE 802.11i, annex H.4); opens this network only."""
        if _PSK.fullmatch(self.password):
            return self.password
        return hashlib.pbkdf2_hmac("sha1", self.password.encode(), self.ssid.encode(), 4096, 32).hex()


@dataclass(frozen=True)
class Site:
    """All that the file says; `config_text` is the gateway's configuration, None for a first one."""

    board: BoardSettings
    user: UserSettings
    wifi: WifiSettings | None
    config_text: str | None = field(default=None, repr=False)
    package: Path | None = None


def load(path: Path) -> Site:
    """Reads a site file and the configuration it names; relative paths count from its folder. Raises ConfigError."""
    text = _text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: not TOML: {error}") from error
    settings.refuse_unknown(table, list(_SECTIONS), "top level", path.name)
    for section in ("board", "user"):
        if section not in table:
            raise ConfigError(f"{path.name}: the section [{section}] is missing")
    board = settings.build(BoardSettings, table["board"], "board", path.name)
    user = settings.build(UserSettings, table["user"], "user", path.name)
    wifi = settings.build(WifiSettings, table["wifi"], "wifi", path.name) if "wifi" in table else None
    config_text = None
    if board.config is not None:
        _check(path.parent / board.config)
        config_text = _text(path.parent / board.config)
    package = None if board.package is None else path.parent / board.package
    if package is not None and not package.is_file():
        raise ConfigError(f"{path.name}: board: package = {str(board.package)!r}: no such file; 'make deb' makes it")
    return Site(board, user, wifi, config_text, package)


def _check(path: Path) -> None:
    """A board that cannot start is noticed here, not on the shelf."""
    data_dir = config.load(path).gateway.data_dir
    if data_dir != Path(unit.STATE_DIR):
        raise ConfigError(f'{path.name}: gateway: data_dir must be "{unit.STATE_DIR}": the service writes nowhere else')


def _is_public(key: str) -> bool:
    """The kind of a key stands before it and in it (RFC 4253, section 6.6)."""
    found = _PUBLIC.fullmatch(key)
    if found is None:
        return False
    try:
        blob = base64.b64decode(found[2], validate=True)
    except ValueError:
        return False
    kind = found[1].encode()
    return blob[: 4 + len(kind)] == len(kind).to_bytes(4, "big") + kind


def key_fingerprint(key: str) -> str:
    """Of a public key, as ssh-keygen -l prints it: to compare with the key at hand."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key.split()[1])).digest()).decode().rstrip("=")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
