"""HTTP within bounds, over real sockets: who says nothing, sends slowly, does not read, or comes a hundred times."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from balise_gateway import serving
from balise_gateway.serving import Limits
from balise_gateway.status import shared
from gateway.support import until

PATIENCE_S = 60  # of the tests
QUICK, STEADY = Limits(patience_s=0.2), Limits(patience_s=2.0)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HUGE = b"x" * (64 << 20)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body, then answers; /huge with more than any buffer holds, /slow as a stream that goes on."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/huge":
        await send({"type": "http.response.body", "body": HUGE, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})
    elif scope["path"] == "/slow":
        for _ in range(6):
            await asyncio.sleep(STEADY.patience_s / 4)
            await send({"type": "http.response.body", "body": b"alive\n", "more_body": True})
        await send({"type": "http.response.body", "body": b"the end"})
    else:
        await send({"type": "http.response.body", "body": b"well"})


class Connect(Protocol):
    """Makes a connection; `open_now` are those that the server has."""

    open_now: Callable[[], list[Any]]

    async def __call__(self, source: str = ...) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...


@asynccontextmanager
async def served(limits: Limits, host: str = "127.0.0.1") -> AsyncIterator[Connect]:
    factory, connections = serving.protocol(application, "a test", limits)
    server = await asyncio.get_running_loop().create_server(factory, host, 0)
    port, writers = server.sockets[0].getsockname()[1], list[asyncio.StreamWriter]()

    async def connect(source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        made = await asyncio.open_connection(host, port, local_addr=(source, 0))
        writers.append(made[1])
        return made

    connect.open_now = lambda: list(connections)  # type: ignore[attr-defined]
    try:
        yield connect  # type: ignore[misc]
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """All that still comes; the other end closing is not waited for in vain."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionResetError:
        return b""


def played(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"GET / HTT",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: y",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        GET + b"G",
    ],
)
def test_who_does_not_come_to_an_end_is_let_go(told: bytes) -> None:
    async def scene() -> None:
        async with served(QUICK) as connect:
            reader, writer = await connect()
            writer.write(told)
            await until_closed(reader)

    played(scene)


def test_one_byte_now_and_then_is_no_end_either() -> None:
    async def scene() -> None:
        async with served(QUICK) as connect:
            reader, writer = await connect()
            closed = asyncio.create_task(until_closed(reader))
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            while not closed.done():
                writer.write(b"x")
                await asyncio.sleep(0.01)

    played(scene)


def test_who_does_not_read_what_was_asked_for_is_let_go() -> None:
    async def scene() -> None:
        async with served(QUICK) as connect:
            reader, writer = await connect()
            writer.write(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readline()
            transport: Any = writer.transport
            transport.pause_reading()
            await until(lambda: not connect.open_now())
            transport.resume_reading()
            assert len(await until_closed(reader)) < len(HUGE)

    played(scene)


def test_a_stream_that_goes_on_and_requests_one_after_the_other_are_left_alone() -> None:
    async def scene() -> None:
        async with served(STEADY) as connect:
            reader, writer = await connect()
            writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"the end")
            for _ in range(6):
                writer.write(GET)
                await reader.readuntil(b"well")
                await asyncio.sleep(STEADY.patience_s / 4)

    played(scene)


async def is_answered(connect: Connect, source: str = "127.0.0.1") -> bool:
    reader, writer = await connect(source)
    writer.write(GET)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return b"200" in await reader.readline()
    except ConnectionResetError:
        return False


def test_connections_are_bounded_and_this_computer_finds_room(caplog: pytest.LogCaptureFixture) -> None:
    """127.0.0.2 and its neighbours stand for other computers: only 127.0.0.1 is this one."""

    async def scene() -> None:
        async with served(Limits(most=5, of_one=3, own=2)) as connect:
            held = [await connect("127.0.0.2") for _ in range(3)]
            assert not await is_answered(connect, "127.0.0.2")
            assert await is_answered(connect, "127.0.0.3")
            held += [await connect("127.0.0.4")]
            assert not await is_answered(connect, "127.0.0.5")
            assert await is_answered(connect)
            assert await is_answered(connect)
            assert not await is_answered(connect)
            held[0][1].close()
            await held[0][1].wait_closed()
            assert await is_answered(connect, "127.0.0.5")

    with caplog.at_level(logging.INFO):
        played(scene)
    assert [record.getMessage() for record in caplog.records] == ["too many connections open=3"]


def test_nonsense_is_answered_and_leaves_no_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with served(QUICK) as connect:
            reader, writer = await connect()
            writer.write(b"\x16\x03\x01\x00\x00 nonsense\r\n\r\n")
            assert b"400" in await until_closed(reader)

    with caplog.at_level(logging.DEBUG):
        played(scene)
    assert [record for record in caplog.records if "Invalid" in record.getMessage()] == []


def test_a_status_is_not_made_anew_for_each_who_asks_at_one_moment() -> None:
    made: list[int] = []

    def status() -> dict[str, object]:
        made.append(1)
        return {"times": len(made)}

    async def scene() -> None:
        told = shared(status, age_s=1_000)
        assert [told()["times"] for _ in range(50)] == [1] * 50
        anew = shared(status, age_s=0)
        assert [anew()["times"] for _ in range(3)] == [2, 3, 4]

    played(scene)
