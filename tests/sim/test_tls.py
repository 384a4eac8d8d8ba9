"""TLS between a node and a real asyncio server: it talks, it costs memory outside Python's heap, and runs out of it."""

import asyncio
import datetime
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from balise_sim.node import Node
from balise_sim.world import World

Boot = Callable[..., Node]
JOIN = (
    "import network, time, socket, asyncio, ssl\nwlan = network.WLAN(network.STA_IF)\nwlan.active(True)\n"
    "wlan.connect('street', 'secret')\nwhile not wlan.isconnected():\n    time.sleep_ms(100)\n"
    "def context():\n    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n    found.verify_mode = ssl.CERT_NONE\n"
    "    return found\n"
    "def connect():\n    s = socket.socket()\n    s.connect(socket.getaddrinfo('hub.local', 443)[0][-1])\n"
    "    return s\n"
)


class Echo(asyncio.Protocol):
    """Says everything in capitals."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


class Sealed(SSLProtocol):
    """asyncio's TLS, on a transport that is none of asyncio's own."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport._force_close = lambda _error: transport.abort()  # type: ignore[attr-defined]
        super().connection_made(transport)


@pytest.fixture
def hub(world: World, tmp_path: Path) -> None:
    """hub.local:443, with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub.local")])
    begin = datetime.datetime(2018, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36500))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "hub.pem").write_bytes(pem)
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(tmp_path / "hub.pem")

    def protocol() -> asyncio.BaseProtocol:
        return Sealed(world.loop, Echo(), settings, None, server_side=True)

    world.loop.run_until_complete(world.network.listen(protocol, "hub.local", 443))


def texts(node: Node) -> list[str]:
    return [line for _, line in node.console.lines]


def go(world: World, duration_s: float) -> None:
    world.loop.run_until_complete(world.run_for(duration_s))


@pytest.mark.usefixtures("hub")
def test_a_blocking_socket_talks_and_gives_its_memory_back(world: World, boot: Boot) -> None:
    node = boot(
        JOIN + "for _ in range(3):\n    s = context().wrap_socket(connect(), server_hostname='hub.local')\n"
        "    s.write(b'hello\\n')\n    print(s.readline(), s.cipher()[0][:4])\n    s.close()\n",
        board="esp32_s3",
    )
    go(world, 20)
    assert texts(node) == ["b'HELLO\\n' TLS-"] * 3
    assert node.native_heap.free_bytes(0) == 131_072 - 28_672 - 2_560
    assert node.native_heap.lowest_bytes < 131_072 - 28_672 - 2_560 - 20_480 - 15_360


@pytest.mark.usefixtures("hub")
def test_asyncio_streams_talk(world: World, boot: Boot) -> None:
    node = boot(
        JOIN + "async def main():\n"
        "    reader, writer = await asyncio.open_connection('hub.local', 443, ssl=context())\n"
        "    for n in range(3):\n        writer.write(b'x' * 3000 + b'\\n')\n        await writer.drain()\n"
        "        line = await reader.readline()\n        print(len(line), line[:2])\n        await asyncio.sleep(2)\n"
        "    writer.close()\n    await writer.wait_closed()\n"
        "asyncio.run(main())\n",
        board="esp32_s3",
    )
    go(world, 30)
    assert texts(node) == ["3001 b'XX'"] * 3
    assert node.native_heap.free_bytes(0) == 131_072 - 28_672 - 2_560


@pytest.mark.usefixtures("hub")
def test_a_certificate_that_nobody_vouches_for_is_refused(world: World, boot: Boot) -> None:
    node = boot(
        JOIN + "try:\n    c = context()\n    c.verify_mode = ssl.CERT_REQUIRED\n"
        "    c.wrap_socket(connect(), server_hostname='hub.local')\n"
        "except (OSError, ValueError):\n    print('refused')\n"
    )
    go(world, 20)
    assert texts(node) == ["refused"]
    assert node.native_heap.free_bytes(0) == 94_256 - 28_672 - 2_560 - 7_168, "the socket is still open"


@pytest.mark.usefixtures("hub")
def test_the_second_tls_of_an_esp32_finds_no_memory(world: World, boot: Boot) -> None:
    """And Python has plenty: gc.mem_free() says nothing about it (micropython#14421, #6455)."""
    node = boot(
        JOIN + "import gc\nheld = [context().wrap_socket(connect(), server_hostname='hub.local')]\n"
        "try:\n    held.append(context().wrap_socket(connect(), server_hostname='hub.local'))\n"
        "except OSError as error:\n    gc.collect()\n    print(error.errno, gc.mem_free() > 50_000)\n"
        "held[0].write(b'still here\\n')\nprint(held[0].readline())\n"
    )
    go(world, 20)
    assert texts(node) == ["12 True", "b'STILL HERE\\n'"]
    assert [kind for kind, _ in node.native_heap.refused] == ["tls_handshake"] * 2
