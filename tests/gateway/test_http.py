"""Messages posted over HTTP: answered after the commit, and refused by name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from balise_gateway.ingests import SOON
from balise_gateway.ingests.http import Ingest, Settings
from gateway.support import played, until


class Port:
    """A listening ingest whose owner commits when told."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self.messages: list[tuple[str, bytes, int]] = []
        self.tokens: list[Any] = []

    def take(self, ingest: Any, source: str, data: bytes, token: Any, marks: int = 0) -> None:
        self.messages.append((source, data, marks))
        self.tokens.append(token)

    def release(self, committed: bool = True) -> None:
        tokens, self.tokens = self.tokens, []
        self.ingest.release(tokens, committed)


@contextlib.asynccontextmanager
async def listening(**keys: Any) -> AsyncIterator[tuple[Port, httpx.AsyncClient]]:
    keys.setdefault("anonymous", True)
    made = Settings(kind="http", host="127.0.0.1", port=0, **keys)
    port = Port(Ingest(made, asyncio.get_running_loop().create_server))
    task = asyncio.create_task(port.ingest.run(port.take))
    await until(lambda: port.ingest.status()["state"] == "up")
    where = str(port.ingest.status()["where"])
    async with httpx.AsyncClient(base_url=f"http://{where}") as client:
        yield port, client
    task.cancel()
    await asyncio.wait([task])


def test_answers_after_the_commit() -> None:
    async def scene() -> None:
        async with listening() as (port, client):
            posting = asyncio.create_task(client.post("/x?a=1", content=b"body"))
            await until(lambda: port.messages)
            assert port.messages == [("/x?a=1", b"body", SOON)]
            await asyncio.sleep(0.05)
            assert not posting.done()
            port.release()
            assert (await posting).status_code == 201

    played(scene)


def test_what_was_not_taken_is_to_come_again() -> None:
    async def scene() -> None:
        async with listening() as (port, client):
            posting = asyncio.create_task(client.post("/x", content=b"body"))
            await until(lambda: port.messages)
            port.release(committed=False)
            answer = await posting
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0

    played(scene)


def test_a_commit_that_does_not_come_is_told() -> None:
    async def scene() -> None:
        async with listening(answer_within_s=1.0) as (port, client):
            assert (await client.post("/x", content=b"body")).status_code == 503
            port.release()  # too late, and harmless

    played(scene)


def test_the_headers_of_a_station_stand_in_the_address() -> None:
    async def scene() -> None:
        async with listening() as (port, client):
            headers = {"X-Sensor": "esp8266-1 2", "X-PIN": "11", "X-MAC-ID": "private"}
            posting = asyncio.create_task(client.post("/sensor-community", content=b"{}", headers=headers))
            await until(lambda: port.messages)
            assert port.messages[0][0] == "/sensor-community?x-sensor=esp8266-1+2&x-pin=11"
            port.release()
            await posting

    played(scene)


def test_what_is_refused() -> None:
    async def scene() -> None:
        async with listening(users={"a": "b"}, anonymous=False, max_body_bytes=256, max_waiting=1) as (port, client):
            assert (await client.get("/x", auth=("a", "b"))).status_code == 405
            assert (await client.post("/x")).status_code == 401
            assert (await client.post("/x", auth=("a", "c"))).status_code == 401
            assert (await client.post("/x", headers={"Authorization": "Basic ?"})).status_code == 401
            assert (await client.post("/x", auth=("a", "b"), content=bytes(257))).status_code == 413
            assert (await client.post("/" + 600 * "x", auth=("a", "b"))).status_code == 414
            waiting = asyncio.create_task(client.post("/x", auth=("a", "b")))
            await until(lambda: port.messages)
            assert (await client.post("/x", auth=("a", "b"))).status_code == 503
            port.release()
            assert (await waiting).status_code == 201
            assert port.ingest.status()["counters"] == {
                "answered_201": 1,
                "answered_401": 3,
                "answered_405": 1,
                "answered_413": 1,
                "answered_414": 1,
                "answered_503": 1,
            }

    played(scene)
