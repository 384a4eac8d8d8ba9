"""The configuration: one TOML file to frozen dataclasses.

Promises that a file either becomes a whole `Config` or raises ConfigError with file, key and choices; that no secret is
in any repr; and that `key_table` lists every key there is. Leaves the keys of ingests and hubs to their own modules.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from balise_gateway import hubs, ingests, plugins, settings, sources
from balise_gateway.badges import connectors, outputs, readers
from balise_gateway.badges.settings import BadgeSettings
from balise_gateway.errors import ConfigError
from balise_gateway.grants.blur import Place
from balise_gateway.grants.grant import Grant
from balise_gateway.grants.rules import Site
from balise_gateway.hubs import HubSettings
from balise_gateway.policy.link import LinkSettings
from balise_gateway.quality import models
from balise_gateway.quality.limits import LimitSettings
from balise_gateway.quality.models import CorrectionSettings
from balise_gateway.quality.neighbours import QualitySettings, Standing
from balise_gateway.settings import Key, KeyDoc
from balise_gateway.sources import SourceSettings
from balise_wire.frames import FrameKeys

NODE_URN = "urn:dev:"  # RFC 9039
_SECTIONS = ("gateway", "quality", "ingest", "source", "node", "limit", "correction", "hub", "link", "page", "badge")
_BADGE_PARTS = (("reader", readers), ("output", outputs), ("connector", connectors))


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """[gateway]"""

    data_dir: Annotated[Path, Key("where the journal and the signing key lie")]
    commit_s: Annotated[float, Key("the longest that a frame waits in memory before it is on disk", least=0.01)] = 60.0
    home_batch_s: Annotated[float, Key("how often the home log is closed into an envelope", least=0.01)] = 3600.0
    max_journal_bytes: Annotated[
        int,
        Key("how large the journal may grow; then the oldest goes, in the order that is written above", least=1 << 20),
    ] = 1 << 30
    keep_days: Annotated[float | None, Key("how long anything is kept; unset: as long as there is room", least=1.0)] = (
        None
    )
    keep_sent_days: Annotated[
        float | None, Key("how long the envelopes of a hub are kept that it holds", least=0.0)
    ] = 92.0
    clock_uncertainty_ms: Annotated[
        int | None, Key("believe the system's clock within this, whatever NTP says; unset: ask the kernel", least=0)
    ] = None
    time_zone: Annotated[str, Key("the host's time zone: grants count days in it")] = "Europe/Paris"

    def problem(self) -> str | None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"time_zone = {self.time_zone!r}: not known here; write it as in Europe/Paris, or install tzdata"
        return None


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """[[node]]"""

    name: Annotated[str, Key('the node\'s URN, such as "urn:dev:ops:b4115e-air-01"')]
    key: Annotated[bytes, Key("the key that the node was given", size_bytes=16)] = field(repr=False)
    indoor: Annotated[
        bool | None, Key("true: inside a building, false: outdoors; unset: as the node says, or not known")
    ] = None
    lat: Annotated[float | None, Key("degrees north (WGS 84); leaves as its hub's grant says", least=-90, most=90)] = (
        None
    )
    lon: Annotated[float | None, Key("degrees east (WGS 84)", least=-180, most=180)] = None
    height_m: Annotated[int | None, Key("metres above the ground", least=-100, most=1_000)] = None
    commune: Annotated[str | None, Key("the INSEE code of its commune, such as 35238")] = None

    site: Annotated[str | None, Key("nodes of one site stand side by side, and are checked against each other")] = None

    @property
    def standing(self) -> Standing:
        """Where it stands, for those beside it."""
        return Standing(self.site, self.indoor, self.lat, self.lon)

    @property
    def whereabouts(self) -> Site:
        """What grants need to know of it."""
        return Site(self.name, self.indoor, Place(self.lat, self.lon, self.height_m, self.commune))

    def problem(self) -> str | None:
        misplaced = self.whereabouts.place.problem()
        if misplaced is not None:
            return misplaced
        if self.name.startswith(NODE_URN) and self.name.isprintable() and " " not in self.name:
            return None
        return f"name = {self.name!r}: must be a URN that starts with {NODE_URN} (RFC 9039)"


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """[page]"""

    host: Annotated[str, Key("the address of the station page; 0.0.0.0 shows it to the whole network")] = "127.0.0.1"
    port: Annotated[int, Key("the TCP port of the station page", least=1, most=65_535)] = 8080


@dataclass(frozen=True)
class Config:
    """All that the file says. `ingests`, `sources` and `hubs` hold the `Settings` of their own modules."""

    file: str
    gateway: GatewaySettings
    ingests: tuple[Any, ...]
    nodes: tuple[NodeSettings, ...]
    limits: tuple[LimitSettings, ...]
    corrections: tuple[CorrectionSettings, ...]
    quality: QualitySettings
    hubs: tuple[HubSettings, ...]
    page: PageSettings | None
    link: LinkSettings = field(default_factory=LinkSettings)
    grants: Mapping[int, Grant] = field(default_factory=dict)  # by log; a log without one gets nothing
    sources: tuple[SourceSettings, ...] = ()
    badge: BadgeSettings | None = None
    readers: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    connectors: tuple[Any, ...] = ()


def load(path: Path) -> Config:
    """Reads a configuration file. A relative data_dir counts from the file's folder. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name another with -c") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """The configuration that this text says; `path` is where it lies."""
    file = path.name
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    settings.refuse_unknown(table, [*_SECTIONS, *(name for name, _ in _BADGE_PARTS)], "top level", file)
    if "gateway" not in table:
        raise ConfigError(f'{file}: the section [gateway] is missing; it needs data_dir = "..."')
    gateway = settings.build(GatewaySettings, table["gateway"], "gateway", file)
    granted = _taken_out(table, "hub", "grant")
    config = Config(
        file=file,
        gateway=_placed(gateway, path.parent),
        ingests=tuple(_with_files(each, path.parent) for each in _plugged(table, "ingest", ingests, file)),
        nodes=tuple(settings.build(NodeSettings, entry, where, file) for where, entry in _entries(table, "node", file)),
        limits=tuple(
            settings.build(LimitSettings, entry, where, file) for where, entry in _entries(table, "limit", file)
        ),
        quality=settings.build(QualitySettings, table.get("quality", {}), "quality", file),
        corrections=tuple(_with_files(each, path.parent) for each in _plugged(table, "correction", models, file)),
        hubs=tuple(_plugged(table, "hub", hubs, file)),
        page=settings.build(PageSettings, table["page"], "page", file) if "page" in table else None,
        link=settings.build(LinkSettings, table.get("link", {}), "link", file),
        sources=tuple(_plugged(table, "source", sources, file)),
        **_badge_parts(table, path.parent, file),
    )
    _check_whole(config)
    config = replace(config, outputs=tuple(_of_this_house(each, config) for each in config.outputs))
    grants = {
        hub.log: settings.build(Grant, granted[number], f"hub {number + 1}: grant", file)
        for number, hub in enumerate(config.hubs)
        if granted[number] is not None
    }
    return replace(config, grants=grants)


def _badge_parts(table: dict[str, Any], folder: Path, file: str) -> dict[str, Any]:
    """[badge], and what only makes sense with it."""
    found: dict[str, Any] = {
        f"{section}s": tuple(_with_files(each, folder) for each in _plugged(table, section, package, file))
        for section, package in _BADGE_PARTS
    }
    if "badge" in table:
        return {**found, "badge": _with_files(settings.build(BadgeSettings, table["badge"], "badge", file), folder)}
    for section, _ in _BADGE_PARTS:
        if found[f"{section}s"]:
            raise ConfigError(f'{file}: [[{section}]] without [badge]; add it, with place = "your.domain"')
    return found


def _of_this_house(part: Any, config: Config) -> Any:
    """The same section, where keys that were left empty are those of [badge] and [gateway]."""
    badge, gateway = config.badge, config.gateway
    if badge is None:
        return part
    house = {
        "language": badge.language,
        "place_name": badge.name or badge.place,
        "time_zone": gateway.time_zone,
        "data_dir": gateway.data_dir,
        "phone_url": badge.phone_url,
    }
    empty = {f.name: house[f.name] for f in fields(part) if f.name in house and getattr(part, f.name) in ("", None)}
    return replace(part, **empty)


def key_table() -> dict[str, list[KeyDoc]]:
    """Every key of every section, by the section's name: what the documentation must list."""
    table = {
        "gateway": settings.keys_of(GatewaySettings),
        "node": settings.keys_of(NodeSettings),
        "quality": settings.keys_of(QualitySettings),
        "limit": settings.keys_of(LimitSettings),
        "page": settings.keys_of(PageSettings),
        "link": settings.keys_of(LinkSettings),
        "hub.grant": settings.keys_of(Grant),
        "badge": settings.keys_of(BadgeSettings),
    }
    plugged = (("ingest", ingests), ("source", sources), ("correction", models), ("hub", hubs), *_BADGE_PARTS)
    for section, package in plugged:
        for kind in plugins.kinds(package):
            said = plugins.load(package, kind).Settings
            table[f"{section} {kind}"] = settings.keys_of(said)
            for name, inner in settings.inner_sections(said).items():
                table[f"{section}.{name} {kind}"] = settings.keys_of(inner)
    return table


def _placed(gateway: GatewaySettings, folder: Path) -> GatewaySettings:
    return replace(gateway, data_dir=folder / gateway.data_dir)  # an absolute data_dir stays as it is


def _with_files(told: Any, folder: Path) -> Any:
    """The same section, where relative paths count from the configuration's folder."""
    paths = {f.name: folder / value for f in fields(told) if isinstance(value := getattr(told, f.name), Path)}
    return replace(told, **paths)


def _entries(table: dict[str, Any], section: str, file: str) -> Iterator[tuple[str, object]]:
    entries = table.get(section, [])
    if not isinstance(entries, list):
        raise ConfigError(f"{file}: {section}: write [[{section}]] with double brackets, once for each")
    for number, entry in enumerate(entries, start=1):
        yield f"{section} {number}", entry


def _taken_out(table: dict[str, Any], section: str, key: str) -> list[object]:
    """A table inside each entry of a section, None where there is none; the entries are left without it."""
    entries = table.get(section, [])
    return [entry.pop(key, None) if isinstance(entry, dict) else None for entry in entries]


def _plugged(table: dict[str, Any], section: str, package: ModuleType, file: str) -> Iterator[Any]:
    choices = plugins.kinds(package)
    for where, entry in _entries(table, section, file):
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind not in choices:
            said = f"kind = {kind!r}" if kind is not None else "the key 'kind' is missing"
            raise ConfigError(f"{file}: {where}: {said}; choose one of: {', '.join(choices)}")
        yield settings.build(plugins.load(package, str(kind)).Settings, entry, where, file)


def _check_whole(config: Config) -> None:
    if not config.ingests and config.badge is None:
        raise ConfigError(f'{config.file}: no [[ingest]]: nothing could arrive; try kind = "mqtt_listener"')
    _refuse_twice(config, "node", "name", [node.name for node in config.nodes])
    _refuse_twice(config, "node", "key", [FrameKeys(node.key).kid for node in config.nodes])
    _refuse_twice(config, "limit", "channel", [limit.channel for limit in config.limits])
    _refuse_same_corrections(config)
    _refuse_twice(config, "hub", "name", [hub.name for hub in config.hubs])
    _refuse_twice(config, "hub", "log", [hub.log for hub in config.hubs])
    _refuse_shared_ports(config)
    if config.page is None and any(getattr(each, "NEEDS_PAGE", False) for each in config.outputs):
        raise ConfigError(f"{config.file}: an [[output]] is a page, and there is no [page]; add [page]")
    if config.page is None and config.badge is not None and config.badge.phone_url:
        raise ConfigError(f"{config.file}: [badge] has a phone_url, and there is no [page] for phones; add [page]")


def _refuse_same_corrections(config: Config) -> None:
    """Two of one kind for one channel of one node would be called the same."""
    for number, told in enumerate(config.corrections):
        for first, other in enumerate(config.corrections[:number], start=1):
            same_node = told.node == other.node or None in (told.node, other.node)
            if same_node and (told.kind, told.channel) == (other.kind, other.channel):
                what = f"{told.channel} is corrected by {told.kind} already, in correction {first}"
                raise ConfigError(f"{config.file}: correction {number + 1}: {what}; name another node, or drop one")


def _refuse_shared_ports(config: Config) -> None:
    """Only one of two that listen on one port would ever be heard."""
    takers = [(f"ingest {n}", *each.listens_on) for n, each in enumerate(config.ingests, 1) if _listens(each)]
    if config.page is not None:
        takers.append(("page", config.page.host, config.page.port))
    for number, (where, host, port) in enumerate(takers):
        for other, other_host, other_port in takers[:number]:
            if port == other_port != 0 and (host == other_host or "0.0.0.0" in (host, other_host)):
                raise ConfigError(f"{config.file}: {where}: port = {port} is that of {other}; each needs its own")


def _listens(ingest: object) -> bool:
    return hasattr(ingest, "listens_on")


def _refuse_twice(config: Config, section: str, name: str, values: list[Any]) -> None:
    for number, value in enumerate(values, start=1):
        first = values.index(value) + 1
        if first < number:
            same = "" if name == "key" else f" = {value!r}"  # a key is a secret
            raise ConfigError(
                f"{config.file}: {section} {number}: {name}{same} is that of {section} {first}; each needs its own"
            )
