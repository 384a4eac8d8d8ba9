"""What ingests that listen share: a port that is opened as soon as it is free, and who may come in.

Leaves protocols to the kinds.
"""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from balise_gateway.ingests import Listen
from balise_gateway.log import event

RETRY_S = 5.0
NOBODY = 'nobody could connect: give [ingest.users] name = "password", or set anonymous = true on purpose'


async def open_port(
    listen: Listen,
    factory: Callable[[], Any],
    host: str,
    port: int,
    waiting: Callable[[str], None],
    certificate: tuple[Path, Path] | None = None,
) -> tuple[asyncio.Server, int]:
    """(server, its port), as soon as port, address and certificate can be used; `waiting` is told why they cannot."""
    while True:
        try:
            options = {} if certificate is None else {"ssl": tls_context(*certificate)}
            server: asyncio.Server = await listen(factory, host, port, **options)
        except OSError as error:
            waiting(f"cannot listen: {error.strerror or error}")
            event("ingest cannot listen", where=f"{host}:{port}", why=error.strerror or error)
            await asyncio.sleep(RETRY_S)
            continue
        return server, _port_of(server, port)


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to speak TLS 1.2 or newer. Raises OSError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise OSError(f"{certificate} and {key}: {error.strerror or error}") from error
    return context


class Logins:
    """Who may connect. Compares digests in constant time, and takes as long for a name that does not exist."""

    def __init__(self, users: Mapping[str, str], anonymous: bool) -> None:
        self._digests = {name: _digest(password.encode()) for name, password in users.items()}
        self._anonymous = anonymous

    def allow(self, user: str | None, password: bytes | None) -> bool:
        if user is None:
            return self._anonymous
        known = self._digests.get(user)
        same = hmac.compare_digest(_digest(password or b""), known or _digest(b"nobody"))
        return same and known is not None


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()


def _port_of(server: asyncio.Server, wanted: int) -> int:
    """The port that the system chose for port 0; servers in memory have no sockets."""
    sockets = getattr(server, "sockets", ())
    return int(sockets[0].getsockname()[1]) if sockets else wanted
