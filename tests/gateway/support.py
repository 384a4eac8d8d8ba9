"""What the gateway's tests share: a clock, a node that seals, a configuration, and waiting without guessing times.

The fakes stand at the edge (clock, radio, hub); journal, sockets and brokers are real.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from balise_gateway.config import Config, parse
from balise_gateway.grants.grant import Grant
from balise_gateway.grants.rules import Granted, Home, Nothing, Site, View
from balise_gateway.ingests import Take
from balise_wire.channels import channel
from balise_wire.envelope import Envelope, Signer, verify_envelope
from balise_wire.frames import Ack, FrameKeys, open_ack, seal_frame
from balise_wire.items import Anchor, Item, Manifest, Readings

START_UTC_MS = 1_544_313_600_000  # 2018-12-09, when the recorded street begins
KEY = bytes(range(16))
NAME = "urn:dev:ops:b4115e-air-01"
CHANNELS = ("pm2_5", "pm10", "temperature", "humidity", "pressure")
ROW = (27, 41, 722, 8483, 98797)
PATIENCE_S = 20.0
SITES = {FrameKeys(KEY).kid: Site(NAME)}


class FakeClock:
    """A clock that moves when told."""

    def __init__(self, utc_ms: int = START_UTC_MS, uncertainty_ms: int = 20) -> None:
        self.now_ms, self.unsure_ms = utc_ms, uncertainty_ms

    def utc_ms(self) -> int:
        return self.now_ms

    def boot_ms(self) -> int:
        return self.now_ms - START_UTC_MS

    def uncertainty_ms(self) -> int:
        return self.unsure_ms


class AirNode:
    """The sealing half of a node: frames that a gateway of the same key opens, and acknowledgements opened."""

    def __init__(self, key: bytes = KEY, name: str = NAME, boot: int = 1) -> None:
        self.keys, self.name, self.boot, self.count = FrameKeys(key), name, boot, 0

    @property
    def up(self) -> str:
        return f"balise/v1/n/{self.keys.kid.hex()}/up"

    @property
    def down(self) -> str:
        return f"balise/v1/n/{self.keys.kid.hex()}/down"

    def frame(self, *items: Item | Readings) -> bytes:
        self.count += 1
        return seal_frame(self.keys, self.boot, self.count, list(items))

    def hello(self, number: int = 1, channels: Iterable[str] = CHANNELS) -> bytes:
        entries = [channel(name).manifest_entry("bme280") for name in channels]
        told: dict[object, object] = {"node": self.name, "tick_ms": 1000, "trust": "node-signed", "channels": entries}
        return self.frame(Manifest(number, told))

    def row(self, ticks: int, values: Iterable[int | None] = ROW, *, since_boot: bool = False) -> bytes:
        columns = [[value] for value in values]
        return self.frame(Readings(1, self.boot if since_boot else None, [ticks], columns))

    def anchor(self, boot_ms: int, utc_ms: int, uncertainty_ms: int = 50) -> bytes:
        return self.frame(Anchor(self.boot, boot_ms, utc_ms, "gateway", uncertainty_ms))

    def reboot(self) -> "AirNode":
        self.boot, self.count = self.boot + 1, 0
        return self

    def opened(self, sealed: bytes) -> Ack:
        return open_ack(self.keys, sealed)[1]


class FakeIngest:
    """The far end of a carrier: what the gateway has released and answered."""

    def __init__(self) -> None:
        self.released: list[Any] = []
        self.dropped: list[Any] = []
        self.answers: list[tuple[bytes, bytes]] = []

    async def run(self, take: Take) -> None:
        await asyncio.get_running_loop().create_future()

    def release(self, tokens: Iterable[Any], committed: bool) -> None:
        (self.released if committed else self.dropped).extend(tokens)

    def answer(self, kid: bytes, sealed: bytes) -> None:
        self.answers.append((kid, sealed))

    def status(self) -> dict[str, object]:
        return {"kind": "fake", "state": "up", "where": "here", "counters": {}}


ZONE = ZoneInfo("Europe/Paris")
EVERYTHING = Grant(channels=("*",), indoor=True, resolution_s=0, purpose="research", licence="CC-BY-4.0")
GRANT_TOML = [  # the same as a host writes it
    "[hub.grant]",
    'channels = ["*"]',
    "indoor = true",
    "resolution_s = 0",
    'purpose = "research"',
    'licence = "CC-BY-4.0"',
]


def views(
    logs: Iterable[int], grant: Grant | None = EVERYTHING, sites: Mapping[bytes, Site] = SITES
) -> dict[int, View]:
    """The home log sees all, every other what this grant lets through."""
    others: View = Nothing() if grant is None else Granted(grant, sites, ZONE)
    return {log: others if log else Home(sites) for log in logs}


HUB_SIGNER = Signer(b"h" * 32)


def toml(folder: Path, *, hubs: int = 1, extra: str = "", **keys: object) -> str:
    """A whole configuration with short periods; `keys` replace those of [gateway] and [[hub]]."""
    gateway = {"commit_s": 0.05, "home_batch_s": 0.2, "clock_uncertainty_ms": 20}
    gateway |= {name: value for name, value in keys.items() if name in gateway}
    lines = ["[gateway]", f'data_dir = "{folder}"', *(f"{name} = {value}" for name, value in gateway.items())]
    lines += ["[[ingest]]", 'kind = "mqtt_listener"', 'host = "127.0.0.1"', "port = 0"]
    lines += ["[ingest.users]", 'air-01 = "right"']
    lines += ["[[node]]", f'name = "{NAME}"', f'key = "{KEY.hex()}"']
    for number in range(1, hubs + 1):
        lines += ["[[hub]]", f'name = "hub {number}"', 'kind = "native"', 'url = "http://hub.example"']
        lines += [f"log = {number}", f'public_key = "{HUB_SIGNER.public_key.hex()}"', "batch_s = 0.1"]
        lines += GRANT_TOML
    return "\n".join([*lines, extra, ""])


def config_in(folder: Path, **options: Any) -> Config:
    return parse(toml(folder, **options), folder / "gateway.toml")


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Waits for something to become true; how fast does not matter. Looks less and less often: looking may be dear."""
    pause_s = 0.005
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.25)


def played(scene: Callable[[], Awaitable[None]]) -> None:
    """Runs one asynchronous test."""

    async def whole() -> None:
        await scene()

    asyncio.run(whole())


def envelopes_of(rows: Iterable[tuple[int, bytes]], signer: Signer) -> list[Envelope]:
    return [verify_envelope(cose, {signer.kid: signer.public_key}) for _, cose in rows]


def utc_rows(envelopes: Iterable[Envelope]) -> Iterator[tuple[str, int, tuple[int | None, ...]]]:
    """(node, UTC tick, values) of every row with a known time, in order; anchors are applied."""
    names: dict[int, str] = {}
    anchors: dict[int, Anchor] = {}
    found: list[tuple[str, Readings]] = []
    for envelope in envelopes:
        for item in envelope.items:
            if isinstance(item, Manifest):
                names[item.number] = str(item.map["node"])
            elif isinstance(item, Anchor):
                anchors[item.boot] = item
            elif isinstance(item, Readings):
                found.append((names[item.manifest], item))
    for name, item in found:
        shift_s = 0
        if item.boot is not None:
            shift_s = (anchors[item.boot].utc_ms - anchors[item.boot].boot_ms) // 1000
        for index, ticks in enumerate(item.times):
            yield name, ticks + shift_s, tuple(column[index] for column in item.columns)


def program(name: str) -> str:
    """The path of a program that the tests need. Debian keeps brokers in /usr/sbin, off a user's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found is not None, f"{name} is not installed; 'make test' installs it"
    return found
