"""The contract `Ingest`, on every kind in the folder: each over its real carrier, with real clients.

A new kind needs one entry in CARRIERS: how to start its carrier, and how a client of it sends and listens.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from balise_gateway import ingests, plugins
from balise_gateway.ingests import Ingest, down_topic
from balise_sim.processes import free_ports
from gateway.support import AirNode, played, program, until

USER, PASSWORD = "air-01", "right"
CONTRACT = ("run", "release", "answer", "status")


class Mosquitto:
    """A real broker on a free port, with a password; may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_ports(1)[0]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        passwords, settings = self._folder / "passwords", self._folder / "mosquitto.conf"
        if not settings.exists():
            maker = await asyncio.create_subprocess_exec(
                program("mosquitto_passwd"), "-b", "-c", str(passwords), USER, PASSWORD
            )
            assert await maker.wait() == 0
            passwords.chmod(0o644)
            self._folder.chmod(0o755)
            lines = [
                f"listener {self.port} 127.0.0.1",
                "allow_anonymous false",
                f"password_file {passwords}",
                "user root",
            ]
            settings.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self._process = await asyncio.create_subprocess_exec(
            program("mosquitto"),
            "-c",
            str(settings),
            stderr=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await self._wait_until_it_listens()

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def _wait_until_it_listens(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


class Carried:
    """One running ingest, what it brought, and how to reach its carrier."""

    def __init__(self, ingest: Ingest, port: Callable[[], int], cut: Callable[[], Any]) -> None:
        self.ingest, self.port, self.cut = ingest, port, cut
        self.arrived: list[tuple[str, bytes]] = []
        self.tokens: list[Any] = []
        self.commits = True

    def take(self, ingest: Ingest, source: str, data: bytes, token: Any, marks: int = 0) -> None:
        assert ingest is self.ingest
        self.arrived.append((source, data))
        if token is not None:
            self.tokens.append(token)
        if self.commits:
            self.commit()

    def commit(self) -> None:
        tokens, self.tokens = self.tokens, []
        self.ingest.release(tokens, True)

    def client(self) -> Any:
        return aiomqtt.Client("127.0.0.1", self.port(), username=USER, password=PASSWORD)

    def address(self, topic: str) -> str:
        """What the ingest calls the topic that a client has published to."""
        return topic

    async def up(self) -> None:
        await until(lambda: self.ingest.status()["state"] == "up")


@contextlib.asynccontextmanager
async def running(made: Carried) -> AsyncIterator[Carried]:
    task = asyncio.create_task(made.ingest.run(made.take))
    await made.up()
    yield made
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert made.ingest.status()["state"] == "stopped"


@contextlib.asynccontextmanager
async def listener(folder: Path) -> AsyncIterator[Carried]:
    kind = plugins.load(ingests, "mqtt_listener")
    settings = kind.Settings(kind="mqtt_listener", host="127.0.0.1", port=0, users={USER: PASSWORD})
    ingest = kind.Ingest(settings, asyncio.get_running_loop().create_server)

    async def cut() -> None:
        ingest._listener.close()

    def port() -> int:
        return int(str(ingest.status()["where"]).rpartition(":")[2])

    async with running(Carried(ingest, port, cut)) as made:
        yield made


@contextlib.asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[Carried]:
    mosquitto = Mosquitto(folder)
    await mosquitto.start()
    kind = plugins.load(ingests, "mqtt_broker")
    settings = kind.Settings(kind="mqtt_broker", host="127.0.0.1", port=mosquitto.port, user=USER, password=PASSWORD)
    ingest = kind.Ingest(settings, asyncio.get_running_loop().create_server)

    async def cut() -> None:
        await mosquitto.stop()
        await until(lambda: str(ingest.status()["state"]).startswith("away"))
        await mosquitto.start()

    async with running(Carried(ingest, lambda: mosquitto.port, cut)) as made:
        yield made
    await mosquitto.stop()


class Poster:
    """An HTTP client that looks like an MQTT client with QoS 1: a message is published when it is answered."""

    def __init__(self, port: int) -> None:
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(USER, PASSWORD))

    async def __aenter__(self) -> "Poster":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def publish(self, topic: str, payload: bytes, qos: int = 1, timeout: float = 60) -> None:
        answer = await self._client.post("/" + topic, content=payload, timeout=timeout)
        assert answer.status_code == 201


class Posted(Carried):
    def client(self) -> Any:
        return Poster(self.port())

    def address(self, topic: str) -> str:
        return "/" + topic


@contextlib.asynccontextmanager
async def http(folder: Path) -> AsyncIterator[Carried]:
    kind = plugins.load(ingests, "http")
    settings = kind.Settings(kind="http", host="127.0.0.1", port=0, users={USER: PASSWORD})
    ingest = kind.Ingest(settings, asyncio.get_running_loop().create_server)

    def port() -> int:
        return int(str(ingest.status()["where"]).rpartition(":")[2])

    async with running(Posted(ingest, port, lambda: None)) as made:
        yield made


CARRIERS = {"mqtt_listener": listener, "mqtt_broker": broker, "http": http}
SENSES = ("blinka",)  # read sensors, which no client reaches: tests/gateway/test_blinka.py
ONE_WAY = (
    *SENSES,
    "http",
)  # nothing but an answer to a request comes back: its own tests are tests/gateway/test_http.py


@pytest.fixture(params=[kind for kind in plugins.kinds(ingests) if kind not in SENSES])
def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    kind = request.param
    assert kind in CARRIERS, f"tests/contracts/test_ingest.py does not know how to start a carrier for {kind!r}"
    return lambda: CARRIERS[kind](tmp_path)


@pytest.fixture(params=[kind for kind in plugins.kinds(ingests) if kind not in ONE_WAY])
def two_way(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    return lambda: CARRIERS[request.param](tmp_path)


@pytest.mark.parametrize("kind", plugins.kinds(ingests))
def test_a_kind_has_the_methods_of_the_contract_and_few_of_its_own(kind: str) -> None:
    module = plugins.load(ingests, kind)
    public = [name for name, _ in inspect.getmembers(module.Ingest, inspect.isfunction) if not name.startswith("_")]
    assert sorted(public) == sorted(CONTRACT)
    assert len(CONTRACT) <= 5
    for name in CONTRACT:
        theirs, ours = inspect.signature(getattr(module.Ingest, name)), inspect.signature(getattr(Ingest, name))
        assert list(theirs.parameters) == list(ours.parameters)


def test_brings_each_message_with_its_source(carrier: Callable[[], Any]) -> None:
    async def scene() -> None:
        async with carrier() as made:
            node = AirNode()
            frames = [node.row(60 * n) for n in range(50)]
            async with made.client() as client:
                for frame in frames:
                    await client.publish(node.up, frame, qos=1)
                await until(lambda: len(made.arrived) == len(frames))
            assert made.arrived == [(made.address(node.up), frame) for frame in frames]

    played(scene)


def test_bytes_are_bytes(carrier: Callable[[], Any]) -> None:
    """Whatever they are: all values, nothing, and many."""
    payloads = [bytes(range(256)), b"", bytes(4_000)]

    async def scene() -> None:
        async with carrier() as made:
            async with made.client() as client:
                for payload in payloads:
                    await client.publish("balise/v1/n/x/up", payload, qos=1)
                await until(lambda: len(made.arrived) == len(payloads))
            assert [data for _, data in made.arrived] == payloads

    played(scene)


def test_an_answer_reaches_its_node_and_no_other(two_way: Callable[[], Any]) -> None:
    async def scene() -> None:
        async with two_way() as made:
            one, other = AirNode(), AirNode(bytes(16))
            async with made.client() as client, made.client() as stranger:
                await client.subscribe(one.down, qos=1)
                await stranger.subscribe(other.down, qos=1)
                made.ingest.answer(one.keys.kid, b"sealed for one")
                made.ingest.answer(other.keys.kid, b"sealed for another")
                assert await _first(client) == (down_topic(one.keys.kid), b"sealed for one")
                assert await _first(stranger) == (down_topic(other.keys.kid), b"sealed for another")

    played(scene)


async def _first(client: aiomqtt.Client) -> tuple[str, bytes]:
    async with asyncio.timeout(20):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            return str(message.topic), message.payload
    raise AssertionError("the connection ended without a message")


def test_an_answer_to_nobody_is_harmless(carrier: Callable[[], Any]) -> None:
    async def scene() -> None:
        async with carrier() as made:
            made.ingest.answer(b"\0\0\0\0", b"sealed")
            assert made.ingest.status()["state"] == "up"

    played(scene)


def test_comes_back_after_a_cut(two_way: Callable[[], Any]) -> None:
    """A node that sends until it has its answer gets through, both ways."""

    async def scene() -> None:
        async with two_way() as made:
            node = AirNode()
            await made.cut()
            await made.up()
            async with made.client() as client:
                await client.subscribe(node.down)
                await client.publish(node.up, node.hello(), qos=1)
                await until(lambda: made.arrived)
                made.ingest.answer(node.keys.kid, b"sealed")
                assert (await _first(client))[1] == b"sealed"

    played(scene)


def test_what_was_not_committed_may_be_released_late_or_never(two_way: Callable[[], Any]) -> None:
    """Its connection may be gone by then."""

    async def scene() -> None:
        async with two_way() as made:
            made.commits = False
            async with made.client() as client:
                await client.publish("balise/v1/n/x/up", b"kept", qos=0)
                sender = asyncio.create_task(client.publish("balise/v1/n/x/up", b"kept too", qos=1, timeout=60))
                await until(lambda: len(made.arrived) == 2)
                await made.cut()
                sender.cancel()
                with contextlib.suppress(aiomqtt.MqttError, asyncio.CancelledError):
                    await sender
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.__aexit__(None, None, None)
            made.commit()
            await made.up()

    played(scene)


def test_says_how_it_is_without_secrets(carrier: Callable[[], Any]) -> None:
    async def scene() -> None:
        async with carrier() as made:
            status = made.ingest.status()
            assert {"kind", "state", "where", "counters"} <= set(status)
            assert PASSWORD not in str(status)
            assert status["where"].endswith(str(made.port()))

    played(scene)


@pytest.mark.parametrize("kind", plugins.kinds(ingests))
def test_building_one_touches_nothing(kind: str) -> None:
    """No socket, no loop, no library before `run`."""
    module = plugins.load(ingests, kind)
    words: Iterable[tuple[str, Any]] = () if kind in SENSES else {"host": "192.0.2.1", "port": 1}.items()
    extra = {"anonymous": True} if kind in ("mqtt_listener", "http") else {}
    made = module.Ingest(module.Settings(kind=kind, **dict(words), **extra), None)
    assert made.status()["state"] == "starting"
