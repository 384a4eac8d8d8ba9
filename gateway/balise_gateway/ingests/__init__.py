"""How frames arrive. The contract `Ingest`, and one module per kind, found by its name.

An ingest carries bytes and does not look inside. What its own protocol acknowledges proves nothing to a node: only
the sealed acknowledgement does, which the gateway hands to `answer` after its commit. Until then a node keeps a frame.

A kind is a module with two names: `Settings`, a frozen dataclass of its configuration keys, and `Ingest`, a class that
fulfils the contract and is made with `Ingest(settings, listen)`. It imports heavy libraries when it runs, not before.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

UP_FILTER = "balise/v1/n/+/up"

Token = Any  # whatever an ingest needs to acknowledge one message to its carrier
# Marks of a message: it may have come before; its sender can send no more until it is released; a broker has kept it
# for who comes later, so it is of some time ago.
AGAIN, SOON, OLD = 1, 2, 4
Listen = Callable[..., Awaitable[Any]]  # (protocol factory, host, port), and ssl=context where TLS is spoken


class Take(Protocol):
    """Where an ingest hands its messages."""

    def __call__(self, ingest: "Ingest", source: str, data: bytes, token: Token | None, marks: int = 0) -> None: ...


def down_topic(kid: bytes) -> str:
    """Where a node listens for its sealed acknowledgements."""
    return f"balise/v1/n/{kid.hex()}/down"


class Ingest(Protocol):
    """A way in. Four methods; a constructor that only builds."""

    async def run(self, take: Take) -> None:
        """Carries until cancelled, and comes back by itself after every fault of its carrier.

        Each message is handed over as `take(self, source, data, token, marks)`: `source` says where it came from (a
        topic; or "/", a path and a query), `token` is whatever `release` needs, or None when this carrier has nothing
        to acknowledge, `marks` is AGAIN, SOON and OLD, where they hold. `take` never waits.
        When cancelled it closes its connections, and acknowledges nothing more.
        """
        ...

    def release(self, tokens: Iterable[Token], committed: bool) -> None:
        """These messages are on disk: the carrier may acknowledge them. With `committed` false they were not taken:
        forget them without acknowledging, so that they come again."""
        ...

    def answer(self, kid: bytes, sealed: bytes) -> None:
        """Carries a sealed acknowledgement to the node with this key id, now or never: it asks again for a lost one."""
        ...

    def status(self) -> dict[str, object]:
        """`kind`, `state` ("up", or what is wrong), `where`, and `counters`; no secret."""
        ...
