"""The gateway behind mosquitto: nothing that it has not committed is forgotten by the broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt

from balise_gateway.ingests import AGAIN, OLD, SOON
from balise_gateway.ingests.mqtt_broker import NEARLY_FULL, Ingest, Settings
from contracts.test_ingest import PASSWORD, USER, Mosquitto
from gateway.support import played, until


class Owner:
    """Takes messages, and commits when told."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, int]] = []
        self.tokens: list[Any] = []

    def take(self, ingest: Any, source: str, data: bytes, token: Any, marks: int = 0) -> None:
        self.messages.append((data, marks))
        if token is not None:
            self.tokens.append(token)


@contextlib.asynccontextmanager
async def subscribed(port: int, owner: Owner) -> AsyncIterator[Ingest]:
    settings = Settings(
        kind="mqtt_broker", host="127.0.0.1", port=port, user=USER, password=PASSWORD, topic_filter="a/# b/+"
    )
    ingest = Ingest(settings, asyncio.get_running_loop().create_server)
    task = asyncio.create_task(ingest.run(owner.take))
    await until(lambda: ingest.status()["state"] == "up")
    yield ingest
    task.cancel()
    await asyncio.wait([task])


def client(port: int) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", port, username=USER, password=PASSWORD)


def test_what_was_not_committed_comes_again_after_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        broker = Mosquitto(tmp_path)
        await broker.start()
        first, second = Owner(), Owner()
        async with subscribed(broker.port, first) as ingest, client(broker.port) as sender:
            for payload in (b"1", b"2", b"3"):
                await sender.publish("a/x", payload, qos=1)
            await until(lambda: len(first.messages) == 3)
            ingest.release(first.tokens[:1], True)
            await asyncio.sleep(0.1)
        async with subscribed(broker.port, second):
            await until(lambda: len(second.messages) == 2)
            assert second.messages == [(b"2", AGAIN), (b"3", AGAIN)]
        await broker.stop()

    played(scene)


def test_what_was_not_taken_comes_again(tmp_path: Path) -> None:
    async def scene() -> None:
        broker = Mosquitto(tmp_path)
        await broker.start()
        owner = Owner()
        async with subscribed(broker.port, owner) as ingest, client(broker.port) as sender:
            await sender.publish("b/x", b"1", qos=1)
            await until(lambda: owner.messages)
            ingest.release(owner.tokens, False)
            await until(lambda: len(owner.messages) == 2)
            assert owner.messages == [(b"1", 0), (b"1", AGAIN)]
        await broker.stop()

    played(scene)


def test_a_broker_that_waits_and_a_message_of_some_time_ago(tmp_path: Path) -> None:
    async def scene() -> None:
        broker = Mosquitto(tmp_path)
        await broker.start()
        owner = Owner()
        async with client(broker.port) as sender:
            await sender.publish("a/old", b"old", retain=True)
            async with subscribed(broker.port, owner):
                await until(lambda: owner.messages)
                assert owner.messages == [(b"old", OLD)]
                await asyncio.gather(*(sender.publish("a/x", b"%d" % n, qos=1) for n in range(NEARLY_FULL + 1)))
                await until(lambda: len(owner.messages) == NEARLY_FULL + 2)
                assert [n for n, (_, marks) in enumerate(owner.messages) if marks & SOON] == [NEARLY_FULL]
        await broker.stop()

    played(scene)
