"""A month on a cellular plan of 50 MB: three homes' air, delivered hourly over TLS, counted by the kernel.

The hub stands in a network namespace of its own, behind a shaped link (a token bucket); each byte
of IP that crosses is in the link's counters. Needs root and `ip`; without them it fails and says so.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from balise_gateway.arrival.intake import Intake
from balise_gateway.config import NodeSettings
from balise_gateway.delivery.uplink import Uplink, freight_of
from balise_gateway.grants.rules import Site
from balise_gateway.hubs import native
from balise_gateway.journal import Journal, tables
from balise_gateway.logbook.closing import Closer
from balise_gateway.policy import budget
from balise_gateway.policy.link import Link, LinkSettings
from balise_gateway.policy.meter import Meter
from balise_wire.envelope import Signer
from balise_wire.frames import FrameKeys
from balise_wire.items import Readings
from gateway.support import EVERYTHING, AirNode, FakeClock, FakeIngest, views

PLAN_MB = 50
HOURS = 30 * 24
START_UTC_MS = 1_767_225_600_000  # 2026-01-01
HERE, THERE, PORT = "10.83.0.1", "10.83.0.2", 8443
GATEWAY, HUB_SEED = Signer(b"m" * 32), "68" * 32
KEYS = [bytes([number]) * 16 for number in (1, 2, 3)]
HUB = """
import json, sys, time
import uvicorn
from balise_sim.hub import Behaviour, Hub, HubStore
from balise_wire.envelope import Signer
told = json.loads(sys.argv[1])
store = HubStore(__import__("pathlib").Path(told["database"]))
keys = {bytes.fromhex(kid): bytes.fromhex(key) for kid, key in told["keys"].items()}
hub = Hub(store, Signer(bytes.fromhex(told["seed"])), keys, lambda: time.time_ns() // 1_000_000, Behaviour("ok"))
uvicorn.run(hub.app(), host=told["host"], port=told["port"], ssl_certfile=told["pem"], log_level="warning")
"""


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr} (this test needs root and network namespaces)"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace behind a shaped link: 4 Mbit/s each way, as LTE Cat 1 upwards."""
    name = f"balise{os.getpid()}"
    near, far = f"bn{os.getpid()}"[:15], f"bf{os.getpid()}"[:15]
    ip("netns", "add", name)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        ip("address", "add", f"{HERE}/30", "dev", near)
        ip("-n", name, "address", "add", f"{THERE}/30", "dev", far)
        ip("link", "set", near, "up")
        ip("-n", name, "link", "set", far, "up")
        for words in ([near], ["-n", name, far]):
            where, device = words[:-1], words[-1]
            shape = [
                "qdisc",
                "add",
                "dev",
                device,
                "root",
                "tbf",
                "rate",
                "4mbit",
                "burst",
                "32kbit",
                "latency",
                "2s",
            ]
            subprocess.run(["tc", *where, *shape], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def crossed_bytes(namespace: str) -> int:
    """All bytes that the hub's end of the link has seen, both ways, headers of Ethernet (14 a frame) taken off."""
    found = subprocess.run(["ip", "-n", namespace, "-s", "-j", "link"], capture_output=True, text=True, check=True)
    (link,) = [each["stats64"] for each in json.loads(found.stdout) if each["ifname"] != "lo"]
    return sum(link[way]["bytes"] - 14 * link[way]["packets"] for way in ("rx", "tx"))


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The hub's, and whom to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2049, 1, 1))
    address = x509.IPAddress(ipaddress.ip_address(THERE))
    made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "hub.pem"
    path.write_bytes(pem + secret)
    return path, ssl.create_default_context(cadata=pem.decode())


@pytest.fixture
def hub(namespace: str, tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """(URL, trust) of the reference hub, a process in the namespace."""
    pem, trust = certificate(tmp_path)
    told = {"database": str(tmp_path / "hub.db"), "keys": {GATEWAY.kid.hex(): GATEWAY.public_key.hex()}}
    told |= {"seed": HUB_SEED, "host": THERE, "port": PORT, "pem": str(pem)}  # type: ignore[dict-item]
    words = ["ip", "netns", "exec", namespace, sys.executable, "-c", HUB, json.dumps(told)]
    process = subprocess.Popen(words)
    url = f"https://{THERE}:{PORT}"
    try:
        while process.poll() is None and not _answers(url, trust):
            time.sleep(0.05)
        assert process.poll() is None
        yield url, trust
    finally:
        process.kill()
        process.wait()


def _answers(url: str, trust: ssl.SSLContext) -> bool:
    try:
        return httpx.get(url, verify=trust, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


class Home:
    """Journal, intake, closing and uplink of a gateway with three nodes, driven hour by hour."""

    def __init__(self, folder: Path, url: str, trust: ssl.SSLContext) -> None:
        self.clock, self.dice = FakeClock(START_UTC_MS), random.Random(7)
        self.nodes = [AirNode(key, f"urn:dev:ops:b4115e-air-{number:02}") for number, key in enumerate(KEYS, 1)]
        settings = [NodeSettings(name=node.name, key=key) for node, key in zip(self.nodes, KEYS, strict=True)]
        sites = {FrameKeys(key).kid: Site(node.name) for node, key in zip(self.nodes, KEYS, strict=True)}
        self.journal = Journal(folder, "balise/test")
        self.intake = Intake(self.journal, settings, self.clock, 1e6)
        self.intake.ready()
        self.closer = Closer(self.journal, GATEWAY, self.clock, views({0: "rice", 1: "rice"}, EVERYTHING, sites))
        words = {"name": "hub", "kind": "native", "log": 1, "url": url}
        hub_settings = native.Settings(public_key=Signer(bytes.fromhex(HUB_SEED)).public_key, **words)  # type: ignore[arg-type]
        transport = httpx.AsyncHTTPTransport(verify=trust)
        self.hub = native.Hub(hub_settings, GATEWAY.kid, transport, Random(1))
        self.link = Link(LinkSettings(metered="yes", monthly_mb=PLAN_MB), None)
        meter = Meter(self.link, self.journal, self.clock, ZoneInfo("Europe/Paris"))
        freight = freight_of(self.hub, 1, self.journal, "balise/test", self.clock)
        self.uplink = Uplink(hub_settings, self.hub, freight, Random(1), meter=meter)
        self.air = [[100, 180, 1_200, 6_000, 101_325] for _ in self.nodes]

    def hour(self, number: int) -> None:
        """Sixty rows of each node, taken and closed."""
        frames = []
        for node, air in zip(self.nodes, self.air, strict=True):
            if number == 0:
                frames.append(node.hello())
            columns: list[list[int | None]] = [[] for _ in air]
            for _ in range(60):
                for at, spread in enumerate((4, 6, 3, 9, 4)):
                    air[at] = max(1, min(102_000, air[at] + self.dice.randint(-spread, spread)))
                    columns[at].append(air[at])
            start_s = START_UTC_MS // 1000 + 3_600 * number
            frames.append(node.frame(Readings(1, None, [start_s + 60 * minute for minute in range(60)], columns)))
        for frame in frames:
            self.intake.take(FakeIngest(), "t", frame, None)
        assert self.intake.commit()
        self.clock.now_ms = START_UTC_MS + 3_600_000 * (number + 1)
        for log in (0, 1):
            while self.closer.close(log, "rice"):
                pass

    async def deliver(self) -> None:
        """One session: all that is due, then the connection is closed."""
        while (await self.uplink._step()) is not None:
            pass
        await self.uplink._rest()


def test_a_month_of_hourly_deliveries_stays_within_a_plan_of_50_mb(
    hub: tuple[str, ssl.SSLContext], namespace: str, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home", *hub)
    before = crossed_bytes(namespace)

    async def month() -> None:
        for number in range(HOURS):
            home.hour(number)
            await home.deliver()

    asyncio.run(month())
    crossed = crossed_bytes(namespace) - before
    assert home.uplink.state.answers == HOURS
    assert home.uplink.state.error is None
    payload = home.uplink.state.sent_bytes
    told = budget.cost_bytes(payload, HOURS)
    print(f"a month: {crossed / 1e6:.2f} MB on the link, {payload / 1e6:.2f} MB signed, {crossed // HOURS} B an hour")
    assert crossed <= PLAN_MB * 1_000_000
    assert abs(told - crossed) <= crossed // 10, f"budget says {told}, the kernel {crossed}"
    (spent,) = [row[1] for row in tables.COUNTER.read(home.journal.db, "name LIKE 'spent %'")]
    assert abs(spent - crossed) <= crossed // 10, f"the plan was charged {spent}, the kernel counted {crossed}"
    home.journal.close()
