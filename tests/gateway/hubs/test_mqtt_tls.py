"""TLS to a real broker, with a certificate of one's own authority: what is trusted, and what is not."""

import asyncio
import datetime
import ipaddress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from balise_gateway.errors import HubAway
from balise_gateway.hubs import home_assistant
from contracts.far_ends import GATEWAY, ROWS
from contracts.far_ends._mosquitto import PASSWORD, USER, Mosquitto
from gateway.support import played

LONG = datetime.timedelta(days=36_500)


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, and its key beside it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + LONG)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(private)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "cert.pem"


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    found = Mosquitto(tmp_path)
    found.more = (f"certfile {certificate(tmp_path)}", f"keyfile {tmp_path / 'key.pem'}")
    found.start()
    yield found
    found.stop()


def hub(broker: Mosquitto, **words: Any) -> home_assistant.Hub:
    words |= {"name": "h", "kind": "home_assistant", "log": 3, "host": "127.0.0.1", "port": broker.port}
    words |= {"user": USER, "password": PASSWORD, "tls": True, "timeout_s": 10.0}
    return home_assistant.Hub(home_assistant.Settings(**words), GATEWAY.kid, None, Random(1))


def test_a_broker_with_a_certificate_that_is_trusted(broker: Mosquitto, tmp_path: Path) -> None:
    """Home Assistant's kind also reads: several messages come in one TLS record after a restart."""

    async def scene() -> None:
        for _ in range(3):
            here = hub(broker, ca_file=tmp_path / "cert.pem")
            assert await here.send(ROWS) > 0
            await here.close()
            await asyncio.sleep(0.05)  # what was said last is on its way

    played(scene)


def test_a_broker_with_a_certificate_of_a_stranger(broker: Mosquitto) -> None:
    async def scene() -> None:
        with pytest.raises(HubAway, match="certificate verify failed"):
            await hub(broker).send(ROWS)

    played(scene)
