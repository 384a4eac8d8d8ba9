"""The listener with the clients that people have: mosquitto_pub, mosquitto_sub and paho, over real sockets."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from balise_gateway.ingests import mqtt_listener
from balise_gateway.ingests.mqtt_listener import Ingest, Settings
from gateway.mqtt_bytes import login, subscribe
from gateway.support import played, program, until

BIG_BYTES = 60_000


class Port:
    """A listening ingest whose owner commits when told (`commit`), or at once."""

    def __init__(self, ingest: Ingest, *, commits: bool = True) -> None:
        self.ingest, self.commits = ingest, commits
        self.messages: list[tuple[str, bytes]] = []
        self.waiting: list[Any] = []

    def take(self, ingest: Any, source: str, data: bytes, token: Any, marks: int = 0) -> None:
        self.messages.append((source, data))
        if token is not None:
            self.waiting.append(token)
        if self.commits:
            self.commit()

    def commit(self) -> None:
        waiting, self.waiting = self.waiting, []
        self.ingest.release(waiting, True)

    @property
    def number(self) -> int:
        return int(str(self.ingest.status()["where"]).rpartition(":")[2])

    @property
    def counters(self) -> dict[str, int]:
        counters = self.ingest.status()["counters"]
        assert isinstance(counters, dict)
        return counters


@contextlib.asynccontextmanager
async def listening(*, commits: bool = True, **keys: Any) -> AsyncIterator[Port]:
    keys.setdefault("users", {"air-01": "right"})
    settings = Settings(kind="mqtt_listener", host="127.0.0.1", port=0, **keys)
    loop = asyncio.get_running_loop()
    port = Port(Ingest(settings, loop.create_server), commits=commits)
    task = asyncio.create_task(port.ingest.run(port.take))
    await until(lambda: port.ingest.status()["state"] == "up")
    yield port
    task.cancel()
    await asyncio.wait([task])


async def run(name: str, port: Port, *words: str, who: str = "air-01:right") -> tuple[int, str]:
    """(exit code, output) of one mosquitto client."""
    user, _, password = who.partition(":")
    login_words = ["-u", user, "-P", password] if who else []
    process = await asyncio.create_subprocess_exec(
        *(program(name), "-h", "127.0.0.1", "-p", str(port.number), "-V", "mqttv311", *login_words, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # this test has seen enough
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("qos", [0, 1])
def test_mosquitto_pub(qos: int) -> None:
    async def scene() -> None:
        async with listening() as port:
            code, said = await run("mosquitto_pub", port, "-t", "balise/x", "-m", "hello", "-q", str(qos))
            assert (code, said) == (0, "")
            await until(lambda: port.messages)
            assert port.messages == [("balise/x", b"hello")]
            await until(lambda: port.counters.get("closed_clean") == 1)

    played(scene)


def test_mosquitto_pub_retained_with_a_will() -> None:
    async def scene() -> None:
        async with listening() as port:
            words = ["-t", "a", "-m", "x", "-q", "1", "-r", "--will-topic", "w", "--will-payload", "gone"]
            assert (await run("mosquitto_pub", port, *words))[0] == 0
            assert port.messages == [("a", b"x")]

    played(scene)


def test_mosquitto_pub_waits_for_the_commit() -> None:
    async def scene() -> None:
        async with listening(commits=False) as port:
            client = asyncio.create_task(run("mosquitto_pub", port, "-t", "a", "-m", "x", "-q", "1"))
            await until(lambda: port.messages)
            await asyncio.sleep(0.2)
            assert not client.done()  # no PUBACK yet
            port.commit()
            assert (await client)[0] == 0

    played(scene)


def test_mosquitto_pub_qos_2_is_refused() -> None:
    async def scene() -> None:
        async with listening() as port:
            client = asyncio.create_task(run("mosquitto_pub", port, "-t", "a", "-m", "x", "-q", "2"))
            await until(lambda: port.counters.get("closed_qos2"))
            client.cancel()
            await asyncio.wait([client])
            assert not port.messages

    played(scene)


@pytest.mark.parametrize("who", ["air-01:wrong", "nobody:right", ""])
def test_a_stranger_is_refused(who: str) -> None:
    async def scene() -> None:
        async with listening() as port:
            code, said = await run("mosquitto_pub", port, "-t", "a", "-m", "x", who=who)
            assert code == 5  # "not authorised", MQTT 3.1.1 section 3.2.2.3
            assert "not authorised" in said
            assert port.counters["closed_login"] == 1
            assert not port.messages

    played(scene)


def test_anonymous_only_on_purpose() -> None:
    async def scene() -> None:
        async with listening(users={}, anonymous=True) as port:
            assert (await run("mosquitto_pub", port, "-t", "a", "-m", "x", "-q", "1", who=""))[0] == 0
            assert (await run("mosquitto_pub", port, "-t", "a", "-m", "x", who="nobody:right"))[0] == 5

    played(scene)


def test_big_payloads() -> None:
    async def scene() -> None:
        async with listening() as port:
            await _publish_lines(port, "x" * BIG_BYTES)
            assert [len(data) for _, data in port.messages] == [BIG_BYTES]
            await _publish_lines(port, "x" * 70_000)
            await until(lambda: port.counters.get("closed_too_large"))
            assert len(port.messages) == 1

    played(scene)


async def _publish_lines(port: Port, payload: str) -> None:
    """One big message from a pipe; what mosquitto_pub thinks of being closed is not looked at."""
    words = ["-h", "127.0.0.1", "-p", str(port.number), "-u", "air-01", "-P", "right", "-t", "a", "-q", "1", "-s"]
    process = await asyncio.create_subprocess_exec(program("mosquitto_pub"), *words, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(payload.encode())
    process.stdin.close()
    before = len(port.messages), port.counters.get("closed_too_large", 0)
    await until(lambda: (len(port.messages), port.counters.get("closed_too_large", 0)) != before)
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()


@pytest.mark.parametrize("topic_filter", ["balise/v1/n/+/down", "balise/#", "balise/v1/n/aabbccdd/down"])
def test_mosquitto_sub(topic_filter: str) -> None:
    async def scene() -> None:
        async with listening() as port:
            client = asyncio.create_task(run("mosquitto_sub", port, "-t", topic_filter, "-C", "1", "-v", "-q", "1"))
            await until(lambda: port.ingest.status()["connected"])
            while not client.done():
                port.ingest.answer(bytes.fromhex("aabbccdd"), b"held")
                await asyncio.sleep(0.05)
            assert (await client) == (0, "balise/v1/n/aabbccdd/down held\n")

    played(scene)


def test_a_publisher_reaches_no_subscriber() -> None:
    """It is no broker: nodes cannot listen to each other."""

    async def scene() -> None:
        async with listening() as port:
            client = asyncio.create_task(run("mosquitto_sub", port, "-t", "#", "-C", "1", "-W", "1"))
            await until(lambda: port.ingest.status()["connected"])
            await run("mosquitto_pub", port, "-t", "a", "-m", "secret", "-q", "1")
            code, said = await client
            assert (code, "secret" in said) == (27, False)  # 27: timed out

    played(scene)


class Paho:
    """A paho client in its own thread, as most people use it."""

    def __init__(self, port: int, client_id: str = "air-01", keepalive_s: int = 60) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self.client.username_pw_set("air-01", "right")
        self.client.reconnect_delay_set(1, 1)
        self.connects, self.received = 0, list[bytes]()
        self.client.on_connect = self._connected
        self.client.on_message = lambda client, userdata, message: self.received.append(message.payload)
        self.client.connect_async("127.0.0.1", port, keepalive_s)
        self.client.loop_start()

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not reason.is_failure:
            self.connects += 1
            client.subscribe("balise/v1/n/+/down", qos=1)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_paho_sends_and_hears() -> None:
    async def scene() -> None:
        async with listening() as port:
            client = Paho(port.number)
            await until(lambda: client.connects)
            sent = [client.client.publish("a", f"{n}", qos=n % 2) for n in range(100)]
            await until(lambda: all(info.is_published() for info in sent))
            await until(lambda: len(port.messages) == 100)
            numbers = [int(data) for _, data in port.messages]
            assert sorted(numbers) == list(range(100))
            for qos in (0, 1):  # paho overtakes itself between the two
                assert [n for n in numbers if n % 2 == qos] == list(range(qos, 100, 2))
            while not client.received:
                port.ingest.answer(b"\1\2\3\4", b"held")
                await asyncio.sleep(0.05)
            await asyncio.to_thread(client.close)
            await until(lambda: port.counters.get("closed_clean") == 1)

    played(scene)


def test_paho_comes_back_and_sends_again_what_was_not_acknowledged() -> None:
    async def scene() -> None:
        async with listening(commits=False) as port:
            client = Paho(port.number)
            await until(lambda: client.connects == 1)
            info = client.client.publish("a", "kept", qos=1)
            await until(lambda: len(port.messages) == 1)
            port.ingest._listener.close()  # a cut cable: the message was never committed
            port.waiting.clear()
            port.commits = True
            await until(lambda: client.connects == 2 and info.is_published())
            assert port.messages == [("a", b"kept")] * 2
            await asyncio.to_thread(client.close)

    played(scene)


def test_the_second_of_one_name_takes_over() -> None:
    async def scene() -> None:
        async with listening() as port:
            first = Paho(port.number, "same")
            await until(lambda: first.connects)
            first.client.reconnect_delay_set(600, 600)
            second = Paho(port.number, "same")
            await until(lambda: second.connects and port.counters.get("closed_taken_over"))
            assert port.ingest.status()["connected"] == 1
            await asyncio.gather(asyncio.to_thread(first.close), asyncio.to_thread(second.close))

    played(scene)


def test_connections_are_bounded() -> None:
    async def scene() -> None:
        async with listening(max_connections=2) as port:
            ends = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(3)]
            assert await ends[2][0].read() == b""
            assert port.counters["closed_too_many"] == 1
            for _, writer in ends:
                writer.close()

    played(scene)


def test_garbage_closes_one_connection_only() -> None:
    async def scene() -> None:
        async with listening() as port:
            client = Paho(port.number)
            await until(lambda: client.connects)
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await reader.read() == b""
            assert port.counters["closed_order"] == 1
            assert client.client.is_connected()
            writer.close()
            await asyncio.to_thread(client.close)

    played(scene)


def test_a_client_that_does_not_read_costs_little() -> None:
    """A subscriber that stops reading: messages for it are dropped and counted, memory stays bounded."""

    async def scene() -> None:
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number, limit=1024)
            writer.write(login("air-01", "right") + subscribe(1, "#"))
            await until(lambda: port.ingest._listener.publish("t", b""))
            for _ in range(2_000):
                port.ingest._listener.publish("t", bytes(10_000))
            assert port.counters["slow_subscriber"] > 0
            writer.transport.abort()
            assert reader is not None

    played(scene)


def test_a_silent_client_is_closed_and_a_pinging_one_is_not() -> None:
    async def scene() -> None:
        async with listening() as port:
            client = Paho(port.number, keepalive_s=1)
            await until(lambda: client.connects)
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(login("air-01", "right", "silent", keep_alive_s=1))
            assert await reader.read() == b"\x20\x02\x00\x00"  # CONNACK, and one and a half seconds later the end
            assert port.counters["closed_keep_alive"] == 1
            assert client.connects == 1
            writer.close()
            await asyncio.to_thread(client.close)

    played(scene)


def test_many_threads_many_names() -> None:
    async def scene() -> None:
        async with listening() as port:
            clients = [Paho(port.number, f"node-{n}") for n in range(8)]
            await until(lambda: all(client.connects for client in clients))
            sent = [client.client.publish("a", bytes(50), qos=1) for client in clients for _ in range(50)]
            await until(lambda: all(info.is_published() for info in sent))
            assert len(port.messages) == 400
            await asyncio.gather(*(asyncio.to_thread(client.close) for client in clients))

    played(scene)
    assert threading.active_count() < 30


def test_the_port_is_taken() -> None:
    """Said in the status, tried again, never a crash."""

    async def scene() -> None:
        async with listening() as port:
            settings = Settings(kind="mqtt_listener", host="127.0.0.1", port=port.number, anonymous=True)
            second = mqtt_listener.Ingest(settings, asyncio.get_running_loop().create_server)
            task = asyncio.create_task(second.run(lambda *words: None))
            await until(lambda: str(second.status()["state"]).startswith("cannot listen"))
            assert not task.done()
            task.cancel()

    played(scene)
