"""The gateway as a whole, over real sockets and with the reference hub: clean stops, power cuts, status and page."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from balise_gateway import keys
from balise_gateway.clock import UNKNOWN_MS
from balise_gateway.daemon import Gateway
from balise_gateway.errors import KeyFileError
from balise_gateway.journal import open_to_read, tables
from balise_gateway.page import app, html
from balise_sim.hub import Behaviour, Hub, HubStore
from balise_sim.processes import free_ports
from balise_wire.frames import Ack
from gateway.support import (
    HUB_SIGNER,
    KEY,
    NAME,
    START_UTC_MS,
    AirNode,
    FakeClock,
    config_in,
    envelopes_of,
    played,
    until,
    utc_rows,
)

T0 = START_UTC_MS // 1000


class Station:
    """A gateway on a folder, a hub that outlives it, and clients."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.options = folder, options
        self.clock, self.behaviour = FakeClock(), Behaviour()
        self.signer = keys.load_or_make(folder)
        self.store = HubStore(folder / "hub.db")
        known = {self.signer.kid: self.signer.public_key}
        self.hub = Hub(self.store, HUB_SIGNER, known, self.clock.utc_ms, self.behaviour)
        self.gateway: Gateway | None = None
        self.stop, self.task = asyncio.Event(), asyncio.create_task(asyncio.sleep(0))

    async def start(self) -> None:
        transport = httpx.ASGITransport(self.hub.app())
        self.gateway = Gateway(config_in(self.folder, **self.options), self.clock, transport=transport)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.gateway.run(self.stop))
        await until(lambda: self.gateway and self.gateway.ingests[0].status()["state"] == "up")

    async def power_cut(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        assert self.task.cancelled()

    async def clean_stop(self) -> None:
        self.stop.set()
        await self.task

    @property
    def port(self) -> int:
        assert self.gateway is not None
        return int(str(self.gateway.ingests[0].status()["where"]).rpartition(":")[2])

    def client(self) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.port, username="air-01", password="right")

    def rows_at_hub(self) -> Counter[int]:
        envelopes = envelopes_of(self.store.envelopes(self.signer.kid, 1), self.signer)
        return Counter(tick for _, tick, _ in utc_rows(envelopes))


@contextlib.asynccontextmanager
async def station(folder: Path, **options: Any) -> AsyncIterator[Station]:
    made = Station(folder, **options)
    await made.start()
    yield made
    if not made.task.done():
        await made.clean_stop()
    made.store.close()


class Sender:
    """A node's link: sends its oldest unacknowledged frames until the sealed answer comes, over any number of lives."""

    def __init__(self, node: AirNode) -> None:
        self.node, self.kept = node, dict[int, bytes]()
        self.acks: list[Ack] = []

    def keep(self, frame: bytes) -> None:
        self.kept[self.node.count] = frame

    async def run(self, made: Station) -> None:
        """Until everything is acknowledged."""
        while self.kept:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(5), made.client() as client:
                    await client.subscribe(self.node.down, qos=1)
                    await self._talk(client)

    async def _talk(self, client: aiomqtt.Client) -> None:
        listener = asyncio.create_task(self._listen(client))
        try:
            while self.kept and not listener.done():
                for count in sorted(self.kept)[:20]:
                    await client.publish(self.node.up, self.kept.get(count, b""), qos=0)
                await asyncio.sleep(0.3)
        finally:
            listener.cancel()
            await asyncio.wait([listener])

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            ack = self.node.opened(message.payload)
            self.acks.append(ack)
            for count in list(self.kept):
                beyond = count - ack.contiguous - 1
                if beyond < 0 or ack.bitmap >> beyond & 1:
                    del self.kept[count]


def test_from_a_node_to_the_hub(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            sender = Sender(AirNode())
            sender.keep(sender.node.hello())
            for number in range(20):
                sender.keep(sender.node.row(T0 + 60 * number))
            await sender.run(made)
            assert sender.acks[-1].utc_ms == START_UTC_MS
            await until(lambda: len(made.rows_at_hub()) == 20)
            assert made.rows_at_hub() == Counter({T0 + 60 * number: 1 for number in range(20)})

    played(scene)


def test_power_cuts_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """The gateway dies again and again while a node sends and the hub forgets its answers."""

    async def scene() -> None:
        async with station(tmp_path) as made:
            sender = Sender(AirNode())
            sender.keep(sender.node.hello())
            for life in range(6):
                for number in range(25):
                    sender.keep(sender.node.row(T0 + 60 * (25 * life + number)))
                made.behaviour.mode = ("ok", "forget", "refuse")[life % 3]
                sending = asyncio.create_task(sender.run(made))
                await asyncio.sleep(0.07 * (life + 1))
                await made.power_cut()
                sending.cancel()
                await asyncio.wait([sending])
                await made.start()
            made.behaviour.mode = "ok"
            await sender.run(made)
            await until(lambda: len(made.rows_at_hub()) == 150)
            assert set(made.rows_at_hub().values()) == {1}
            assert made.store.conflicts() == 0
            next_seq, ranges = made.store.held(made.signer.kid, 1)
            assert (next_seq > 1, ranges) == (True, [])

    played(scene)


def test_a_clean_stop_commits_what_is_in_memory(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path, commit_s=1e6, home_batch_s=1e6, hubs=0) as made:
            node = AirNode()
            async with made.client() as client:
                await client.publish(node.up, node.hello(), qos=0)
                await client.publish(node.up, node.row(T0), qos=0)
                gateway = made.gateway
                assert gateway is not None
                await until(lambda: _section(gateway, "journal")["pending_frames"] == 1)
            await made.clean_stop()
            db = open_to_read(tmp_path)
            assert len(list(tables.ENTRY.read(db))) == 1
            db.close()

    played(scene)


def _section(gateway: Gateway, name: str) -> dict[str, Any]:
    section = gateway.status()[name]
    assert isinstance(section, dict)
    return section


def test_a_power_cut_commits_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path, commit_s=1e6, home_batch_s=1e6, hubs=0) as made:
            node = AirNode()
            async with made.client() as client:
                await client.publish(node.up, node.row(T0), qos=0)
                gateway = made.gateway
                assert gateway is not None
                await until(lambda: _section(gateway, "journal")["pending_frames"] == 1)
                await made.power_cut()
            db = open_to_read(tmp_path)
            assert list(tables.WAITING.read(db)) == list(tables.ENTRY.read(db)) == []
            db.close()
            await made.start()

    played(scene)


def test_each_hub_has_a_log_of_its_own(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path, hubs=2) as made:
            sender = Sender(AirNode())
            sender.keep(sender.node.hello())
            sender.keep(sender.node.row(T0))
            await sender.run(made)
            await until(lambda: made.store.logs() == [(made.signer.kid, 1), (made.signer.kid, 2)])

    played(scene)


def test_status_tells_all_and_no_secret(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            sender = Sender(AirNode())
            for frame in (sender.node.hello(), sender.node.row(T0, (27, 41, 99_999, None, 98_797))):
                sender.kept[len(sender.kept) + 1] = frame
            await sender.run(made)
            async with made.client() as client:
                await client.publish("anything", b"garbage", qos=1)
            await until(lambda: made.rows_at_hub())
            gateway = made.gateway
            assert gateway is not None
            await until(lambda: gateway.status()["refused"])
            document = gateway.status()
            text = json.dumps(document)
            for word in (
                "right",
                KEY.hex(),
                HUB_SIGNER.public_key.hex(),
                (tmp_path / "signing.key").read_bytes().hex(),
            ):
                assert word not in text
            assert document["refused"] == {"garbage": 1}
            (node,) = document["nodes"] if isinstance(document["nodes"], list) else []
            assert (node["name"], node["boots"], node["rows"], node["latest_utc_ms"]) == (NAME, 1, 1, START_UTC_MS)
            assert [(v["name"], v["value"], v["unit"], v["flag"]) for v in node["latest"]] == [
                ("pm2_5", 2.7, "ug/m3", 1),
                ("pm10", 4.1, "ug/m3", 1),
                ("temperature", 999.99, "Cel", 4),
                ("humidity", None, "%RH", 1),
                ("pressure", 98797, "Pa", 1),
            ]
            home, log = document["logs"] if isinstance(document["logs"], list) else []
            assert (home["name"], log["name"], log["rows"], log["readings"]) == ("home", "hub 1", 1, 4)
            assert log["bytes_per_reading"] == round(log["bytes"] / 4, 3)
            assert log["hub"]["error"] is None
            page = html(document, english=False)
            assert "Capteur" in page
            assert "2018-12-09 00:00:00" in page
            assert "douteux" in page

    played(scene)


def test_the_page_escapes_what_comes_from_outside() -> None:
    evil = "<script>alert(1)</script>"
    value = {"name": evil, "value": 1, "unit": evil, "flag": 4}
    node = {"name": evil, "latest_utc_ms": 1 << 62, "latest": [value], "rows": 1}
    log = {"name": evil, "next_seq": 2, "bytes_per_reading": 1.2, "hub": {"lag_envelopes": 1, "error": evil}}
    document = {"nodes": [node], "logs": [log], "refused": {evil: 1}, "journal": {"error": evil}}
    for english in (True, False):
        assert "<script" not in html(document, english=english)  # type: ignore[arg-type]


def test_the_hub_is_the_clock_of_a_gateway_that_has_none(tmp_path: Path) -> None:
    """Rows of a node that knows no date, at a gateway that knows none, are dated by the hub's signed answers."""

    async def scene() -> None:
        async with station(tmp_path) as made:
            made.clock.unsure_ms = UNKNOWN_MS  # the hub of this test reads the same clock, and believes it
            node = AirNode()
            sender = Sender(node)
            sender.keep(node.hello())
            sender.keep(node.row(60, since_boot=True))
            await sender.run(made)
            assert sender.acks[0].utc_ms is None
            await until(lambda: made.gateway and made.gateway.status()["clock"]["source"] == "hub")  # type: ignore[index]
            sender.keep(node.row(120, since_boot=True))
            await sender.run(made)
            assert sender.acks[-1].utc_ms == START_UTC_MS
            sender.keep(node.anchor(130_000, START_UTC_MS, sender.acks[-1].uncertainty_ms))
            await sender.run(made)
            await until(lambda: len(made.rows_at_hub()) == 2)
            assert made.rows_at_hub() == Counter({T0 - 70: 1, T0 - 10: 1})

    played(scene)


def test_the_page_over_http() -> None:
    document: dict[str, object] = {"nodes": [], "logs": [], "refused": {}, "journal": {"error": None}}

    async def scene() -> None:
        transport = httpx.ASGITransport(app(lambda: document))
        async with httpx.AsyncClient(transport=transport, base_url="http://station") as client:
            assert 'lang="fr"' in (await client.get("/")).text
            assert 'lang="en"' in (await client.get("/?lang=en")).text
            assert (await client.get("/status.json")).json() == document
            assert (await client.post("/")).status_code == 405
            assert (await client.get("/elsewhere")).status_code == 404

    played(scene)


def test_the_page_is_served_beside_the_gateway(tmp_path: Path) -> None:
    async def scene() -> None:
        (port,) = free_ports(1)
        async with station(tmp_path, extra=f"[page]\nport = {port}"), httpx.AsyncClient() as client:
            assert "Station Balise" in (await client.get(f"http://127.0.0.1:{port}/")).text
            status = (await client.get(f"http://127.0.0.1:{port}/status.json")).json()
            assert status["running"] is True
            assert status["clock"] == {"utc_ms": START_UTC_MS, "uncertainty_ms": 20, "source": "gateway"}

    played(scene)


def test_a_taken_port_of_the_page_stops_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with station(tmp_path, extra=f"[page]\nport = {port}") as made:
            assert not made.task.done()
        server.close()

    played(scene)


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    async def scene() -> None:
        keys.load_or_make(tmp_path)
        (tmp_path / keys.FILE_NAME).chmod(0o644)
        with pytest.raises(KeyFileError, match="chmod 600"):
            await Gateway(config_in(tmp_path), FakeClock()).run(asyncio.Event())

    played(scene)


def test_status_before_the_start(tmp_path: Path) -> None:
    assert Gateway(config_in(tmp_path), FakeClock()).status() == {"running": False}
